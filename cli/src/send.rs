//! Sending a verb's transaction, or only pricing it.

use alloy::{network::EthereumWallet, signers::local::PrivateKeySigner};
use cheque::{
    bank::Reader,
    tx::{Call, Estimate, MinedTx, Wallet},
};
use eyre::{Result, WrapErr};
use serde_json::{Value, json};

use crate::{amount::Token, opts::SendOpts, output::Output};

/// What became of a transaction.
#[derive(Debug)]
pub(crate) enum Done {
    /// It is in a block and succeeded.
    Sent(Box<MinedTx>),
    /// Nothing was sent: it would succeed now, at this price.
    Dry(Estimate),
    /// There was nothing to send.
    Nothing,
}

impl Done {
    /// For programs.
    pub(crate) fn json(&self) -> Value {
        match self {
            Self::Sent(sent) => json!({
                "sent": true,
                "hash": sent.hash,
                "block": sent.block,
                "gas": sent.gas_used,
                "fee": sent.fee.to_string(),
            }),
            Self::Dry(estimate) => json!({
                "sent": false,
                "gas": estimate.gas,
                "max_cost": estimate.max_cost.to_string(),
            }),
            Self::Nothing => json!({ "sent": false }),
        }
    }

    /// For people, as lines of a list of fields.
    pub(crate) fn fields(&self) -> Vec<(&'static str, String)> {
        let coin = Token::coin();
        match self {
            Self::Sent(sent) => vec![
                ("transaction", sent.hash.to_string()),
                ("block", sent.block.to_string()),
                ("gas", format!("{}, {}", sent.gas_used, coin.show(sent.fee))),
            ],
            Self::Dry(estimate) => vec![
                (
                    "transaction",
                    "not sent (--dry-run); it would succeed now".to_owned(),
                ),
                (
                    "gas",
                    format!(
                        "at most {}, with the value at most {}",
                        estimate.gas,
                        coin.show(estimate.max_cost)
                    ),
                ),
            ],
            Self::Nothing => Vec::new(),
        }
    }
}

impl SendOpts {
    /// Unlocks the wallet for the reader's chain.
    pub(crate) fn sender(&self, reader: &Reader) -> Result<Wallet> {
        Ok(sender_of(self.wallet.unlock()?, reader))
    }

    /// Sends a call and waits until it is mined, or with `--dry-run` only prices it.
    pub(crate) async fn send(
        &self,
        sender: &Wallet,
        call: &Call,
        what: &str,
        out: &Output,
    ) -> Result<Done> {
        if self.dry_run {
            let estimate = sender.estimate(call).await;
            return Ok(Done::Dry(
                estimate.wrap_err_with(|| format!("{what} would fail"))?,
            ));
        }
        out.progress(format!("sending: {what}"));
        let sent = sender.send(call).await;
        Ok(Done::Sent(Box::new(
            sent.wrap_err_with(|| what.to_owned())?,
        )))
    }
}

/// Sends a wallet's transactions on the reader's chain.
pub(crate) fn sender_of(wallet: PrivateKeySigner, reader: &Reader) -> Wallet {
    let wallet = EthereumWallet::from(wallet);
    Wallet::new(reader.provider().clone(), wallet, reader.bank().chain_id())
}
