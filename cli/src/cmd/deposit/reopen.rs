//! `cheque deposit reopen`.

use clap::Args;
use eyre::{Result, WrapErr};

use super::terms::{TermsOpts, not_opened, show_deposit};
use crate::{
    id::IdText,
    opts::{
        beacon::BeaconOpts, chain::ChainOpts, send::SendOpts, store::StoreOpts, wallet::signing_key,
    },
    output::Output,
    transaction::TxReport,
};

/// Open the next deposit in a finished deposit's purse
///
/// A single transaction reclaims the old deposit, unless redeemed, and opens the next. After a redemption, the rest in
/// the purse is used.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque deposit reopen 0x5f3c... --allowances payees.csv --draw-in 1h --account alice
  cheque deposit reopen 0x5f3c... --allowances payees.csv --draw-in 1h --dry-run")]
pub(super) struct ReopenArgs {
    /// Finished deposit
    id: IdText,

    #[command(flatten)]
    terms: TermsOpts,

    #[command(flatten)]
    store: StoreOpts,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    relays: BeaconOpts,

    #[command(flatten)]
    send: SendOpts,
}

impl ReopenArgs {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let reader = self.chain.reader().await?;
        let key = self.send.wallet.unlock()?;
        let wallet = self.send.wallet_on(key.clone(), &reader)?;
        let token = self.terms.token(&reader).await?;
        let request = self.terms.request(&token, key.address(), None)?;
        let payer = self
            .store
            .payer(reader, &self.relays)
            .await?
            .with_rates(self.terms.rates(&token)?);
        let payer = payer
            .with_wallet(wallet.clone())
            .with_key(signing_key(&key)?);
        let id = self.id.of_payer(&payer).await?;
        let unopened = |error| not_opened(error, &token);
        if self.send.dry_run {
            let planned = payer.plan_deposit(&request, Some(id)).await;
            let planned = planned.map_err(unopened)?;
            let report = self
                .send
                .send(&wallet, &planned.call, "reopening the deposit", out)
                .await?;
            return show_deposit(planned.id, &planned.deposit, &report, &token, out);
        }
        out.progress(format!(
            "opening a deposit for {} payees",
            request.allowances.len()
        ));
        let opened = payer
            .reopen(id, &request)
            .await
            .map_err(unopened)
            .wrap_err("reopening the deposit")?;
        let report = TxReport::Mined(Box::new(opened.tx));
        show_deposit(opened.id, &opened.deposit, &report, &token, out)
    }
}
