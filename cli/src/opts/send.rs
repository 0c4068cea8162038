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
    pub(crate) fees: FeeOpts,
}

/// The fees of transactions.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Transaction")]
pub(crate) struct FeeOpts {
    /// Offer at most this much per unit of gas [default: no limit]
    ///
    /// Transactions wait, or are refused, while the market price is higher.
    #[arg(long, value_name = "AMOUNT")]
    max_fee_per_gas: Option<AmountText>,

    /// Offer block producers this much per unit of gas [default: what the node suggests, and at least what blocks took]
    ///
    /// A transaction that blocks pass over is sent again with a higher tip.
    #[arg(long, value_name = "AMOUNT")]
    tip: Option<AmountText>,
}

impl FeeOpts {
    /// Sets the limit and the tip of the flags.
    pub(crate) fn set(&self, mut wallet: Wallet) -> Result<Wallet> {
        let coin = Token::coin();
        if let Some(max) = &self.max_fee_per_gas {
            let max = max.in_units_of(&coin).wrap_err("--max-fee-per-gas")?;
            wallet = wallet.with_max_fee(max.get());
        }
        if let Some(tip) = &self.tip {
            let tip = tip.in_units_of(&coin).wrap_err("--tip")?;
            wallet = wallet.with_tip(tip.get());
        }
        Ok(wallet)
    }
}

impl SendOpts {
    /// Unlocks the wallet for the reader's chain.
    pub(crate) fn unlock(&self, reader: &Reader) -> Result<Wallet> {
        self.wallet_on(self.wallet.unlock()?, reader)
    }

    /// The wallet of a key on the reader's chain, with the fees of the flags.
    pub(crate) fn wallet_on(&self, key: PrivateKeySigner, reader: &Reader) -> Result<Wallet> {
        self.fees.set(wallet_on(key, reader))
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
