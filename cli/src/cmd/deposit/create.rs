//! `cheque deposit create`.

use std::time::Duration;

use alloy::primitives::U256;
use cheque::payer::{Payer, Planned};
use clap::Args;
use eyre::{Result, WrapErr};
use serde_json::json;

use super::terms::{TermsOpts, show_deposit};
use crate::{
    clock::unix_now,
    handover::SignedOpen,
    opts::{ChainOpts, SendOpts, StoreOpts},
    output::Output,
    payer::signing_key,
    send::{Done, sender_of},
};

/// Lock one deposit for many payees
///
/// Terms and the list of payees are in the store before anything is sent. Without a signer of its own, the wallet's key
/// writes the cheques. Prints the deposit's id.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque deposit create --allowance 0xd8dA...=0.2ether --allowance 0x5aAe...=0.3ether --draw-in 600 --account alice
  cheque deposit create --allowances payees.csv --draw-block 21000300 --min-payout 0.1ether --dry-run
  cheque deposit create --allowances payees.json --token 0xA0b8... --rate 2500.0 --draw-in 600

Relayed: the payer signs, somebody else pays the gas (the money must be in the payer's balance):
  cheque deposit create ... --sign-only > opening.txt      on the payer's machine
  cheque deposit open --signature opening.txt              on the relayer's")]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    terms: TermsOpts,

    /// The purse to use, from 1 [default: the lowest free one]
    #[arg(long, value_name = "NUMBER")]
    lane: Option<u64>,

    /// Store the deposit and print the payer's signed agreement for a relayer; send nothing
    #[arg(long, conflicts_with = "dry_run")]
    sign_only: bool,

    /// With --sign-only: for how many seconds the agreement is good
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    valid_for: u64,

    #[command(flatten)]
    store: StoreOpts,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    send: SendOpts,
}

impl CreateArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        let reader = self.chain.reader().await?;
        let wallet = self.send.wallet.unlock()?;
        let token = self.terms.token(&reader).await?;
        let request = self.terms.request(&token, wallet.address(), self.lane)?;
        let sender = sender_of(wallet.clone(), &reader);
        let payer = self
            .store
            .payer_for(reader, self.send.dry_run)
            .await?
            .with_rates(self.terms.rates(&token)?);
        let payer = payer
            .with_wallet(sender.clone())
            .with_key(signing_key(&wallet)?);

        if self.sign_only {
            let planned = payer.prepare_deposit(&request).await?;
            return self.sign(&payer, &planned, out).await;
        }
        if self.send.dry_run {
            let planned = payer.plan_deposit(&request, None).await?;
            let done = self
                .send
                .send(&sender, &planned.call, "opening the deposit", out)
                .await?;
            return show_deposit(planned.id, &planned.deposit, &done, &token, out);
        }
        out.progress(format!(
            "opening a deposit for {} payees",
            request.allowances.len()
        ));
        let opened = payer
            .create_deposit(&request)
            .await
            .wrap_err("the deposit")?;
        let done = Done::Sent(Box::new(opened.sent));
        show_deposit(opened.id, &opened.deposit, &done, &token, out)
    }

    async fn sign(&self, payer: &Payer, planned: &Planned, out: &Output) -> Result<()> {
        let deadline = unix_now().saturating_add(self.valid_for);
        let signed = payer.sign_opening(planned.id, U256::from(deadline)).await?;
        let text = SignedOpen::new(payer.reader().bank(), signed).to_string();
        out.progress(format!(
            "deposit {} is stored; the agreement to open it is good for {:?}",
            planned.id,
            Duration::from_secs(self.valid_for)
        ));
        let json = json!({ "deposit": planned.id, "deadline": deadline, "signature": text });
        out.result(&json, || text.clone())
    }
}
