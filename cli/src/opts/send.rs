//! Flags of verbs with a transaction.

use alloy::{network::EthereumWallet, signers::local::PrivateKeySigner};
use cheque::{
    bank::Reader,
    tx::{Call, Wallet},
};
use clap::Args;
use eyre::{Result, WrapErr};

use super::wallet::WalletOpts;
use crate::{output::Output, transaction::TxReport};

/// The wallet, and the choice of a dry run.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct SendOpts {
    #[command(flatten)]
    pub(crate) wallet: WalletOpts,

    /// Check and price the transaction on the node; send and record nothing
    #[arg(long, help_heading = "Transaction")]
    pub(crate) dry_run: bool,
}

impl SendOpts {
    /// Unlocks the wallet for the reader's chain.
    pub(crate) fn unlock(&self, reader: &Reader) -> Result<Wallet> {
        Ok(wallet_on(self.wallet.unlock()?, reader))
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
