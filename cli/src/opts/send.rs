//! Flags of verbs with a transaction.

use alloy::{network::EthereumWallet, signers::local::PrivateKeySigner};
use cheque::{
    bank::Reader,
    tx::{Call, Wallet},
};
use clap::Args;
use eyre::{Result, WrapErr};

use super::wallet::WalletOpts;
use crate::{
    amount::{AmountText, Token},
    output::Output,
    transaction::TxReport,
};

/// The wallet, and the choice of a dry run.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct SendOpts {
    #[command(flatten)]
    pub(crate) wallet: WalletOpts,

    /// Check and price the transaction on the node; send and record nothing
    #[arg(long, help_heading = "Transaction")]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) tip: TipOpts,
}

/// The tip of transactions.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Transaction")]
pub(crate) struct TipOpts {
    /// Offer block producers this much per unit of gas [default: what the node suggests, and at least what blocks took]
    ///
    /// A transaction that blocks pass over is sent again with a higher tip.
    #[arg(long, value_name = "AMOUNT")]
    tip: Option<AmountText>,
}

impl TipOpts {
    /// Sets the tip of the flag.
    pub(crate) fn set(&self, wallet: Wallet) -> Result<Wallet> {
        let Some(tip) = &self.tip else {
            return Ok(wallet);
        };
        let tip = tip.in_units_of(&Token::coin()).wrap_err("--tip")?;
        Ok(wallet.with_tip(tip.get()))
    }
}

impl SendOpts {
    /// Unlocks the wallet for the reader's chain.
    pub(crate) fn unlock(&self, reader: &Reader) -> Result<Wallet> {
        self.wallet_on(self.wallet.unlock()?, reader)
    }

    /// The wallet of a key on the reader's chain, with the tip of the flag.
    pub(crate) fn wallet_on(&self, key: PrivateKeySigner, reader: &Reader) -> Result<Wallet> {
        self.tip.set(wallet_on(key, reader))
    }

    /// Sends a call and waits until mined; with `--dry-run` only estimates the cost. `purpose` appears in progress and
    /// errors.
    pub(crate) async fn send(
        &self,
        wallet: &Wallet,
        call: &Call,
        purpose: &str,
        out: &Output,
    ) -> Result<TxReport> {
        if self.dry_run {
            let estimate = wallet.estimate(call).await;
            return Ok(TxReport::DryRun(
                estimate.wrap_err_with(|| format!("{purpose} would fail"))?,
            ));
        }
        out.progress(format!("sending: {purpose}"));
        let mined = wallet.send(call).await;
        Ok(TxReport::Mined(Box::new(
            mined.wrap_err_with(|| purpose.to_owned())?,
        )))
    }
}

/// The wallet of a key on the reader's chain.
pub(crate) fn wallet_on(key: PrivateKeySigner, reader: &Reader) -> Wallet {
    let key = EthereumWallet::from(key);
    Wallet::new(reader.provider().clone(), key, reader.bank().chain_id())
}
