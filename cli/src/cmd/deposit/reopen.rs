//! `cheque deposit reopen`.

use cheque::DepositId;
use clap::Args;
use eyre::{Result, WrapErr};

use super::terms::{TermsOpts, show_deposit};
use crate::{
    opts::{ChainOpts, SendOpts, StoreOpts},
    output::Output,
    payer::signing_key,
    send::{Done, sender_of},
};

/// Open the next deposit in the purse of a finished one, in one transaction
///
/// If nobody redeemed the old deposit, it is reclaimed on the way; if somebody did, what was left in the purse is used.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque deposit reopen 0x5f3c... --allowances payees.csv --draw-in 600 --account alice
  cheque deposit reopen 0x5f3c... --allowances payees.csv --draw-in 600 --dry-run")]
pub(super) struct ReopenArgs {
    /// The finished deposit
    id: DepositId,

    #[command(flatten)]
    terms: TermsOpts,

    #[command(flatten)]
    store: StoreOpts,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    send: SendOpts,
}

impl ReopenArgs {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let reader = self.chain.reader().await?;
        let wallet = self.send.wallet.unlock()?;
        let sender = sender_of(wallet.clone(), &reader);
        let token = self.terms.token(&reader).await?;
        let request = self.terms.request(&token, wallet.address(), None)?;
        let payer = self
            .store
            .payer_for(reader, self.send.dry_run)
            .await?
            .with_rates(self.terms.rates(&token)?);
        let payer = payer
            .with_wallet(sender.clone())
            .with_key(signing_key(&wallet)?);
        if self.send.dry_run {
            let planned = payer.plan_deposit(&request, Some(self.id)).await?;
            let done = self
                .send
                .send(&sender, &planned.call, "reopening the deposit", out)
                .await?;
            return show_deposit(planned.id, &planned.deposit, &done, &token, out);
        }
        out.progress(format!(
            "opening a deposit for {} payees",
            request.allowances.len()
        ));
        let opened = payer
            .reopen(self.id, &request)
            .await
            .wrap_err("the deposit")?;
        let done = Done::Sent(Box::new(opened.sent));
        show_deposit(opened.id, &opened.deposit, &done, &token, out)
    }
}
