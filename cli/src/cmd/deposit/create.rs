//! `cheque deposit create`.

use std::time::Duration;

use alloy::primitives::U256;
use cheque::payer::{Payer, PlannedDeposit};
use clap::Args;
use eyre::{Result, WrapErr};
use serde_json::json;

use super::terms::{TermsOpts, not_opened, show_deposit};
use crate::{
    clock::unix_now,
    opts::{
        beacon::BeaconOpts,
        chain::ChainOpts,
        send::SendOpts,
        store::{CreateOpts, StoreOpts, payer_on},
        time::{parse_duration, show_duration},
        wallet::signing_key,
    },
    output::Output,
    relay::Agreement,
    transaction::TxReport,
};

/// Lock one deposit for many payees and print its id
///
/// Terms and payees are in the store before anything is sent. The draw time is on a grid of 5
/// minutes, so that draws share seeds, and at least 40 minutes ahead at the common bank. The wallet's key signs the
/// cheques unless --signer names another.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque deposit create --allowance 0xd8dA...=0.2ether --draw-in 1h --account alice
  cheque deposit create --allowances payees.csv --draw-at 2026-12-01T12:00Z --dry-run
  cheque deposit create --allowances payees.json --draw-in 1h --min-payout 0.1ether
  cheque deposit create --allowances p.csv --draw-in 1h --token 0xA0b8... --tokens-per-coin 2500.0

Relayed: the payer signs, a relayer pays the gas (the money must be in the payer's balance):
  cheque deposit create ... --sign-only > agreement.txt    on the payer's machine
  cheque deposit open --agreement agreement.txt            on the relayer's")]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    terms: TermsOpts,

    /// Use the purse of this lane, from 1 [default: the lowest free lane]
    #[arg(long, value_name = "NUMBER")]
    lane: Option<u64>,

    /// Print a signed agreement for a relayer; store the deposit, send nothing
    #[arg(long, conflicts_with = "dry_run")]
    sign_only: bool,

    /// Let the agreement of --sign-only expire after this time
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "1h")]
    expires_in: Duration,

    #[command(flatten)]
    store: StoreOpts,

    #[command(flatten)]
    create: CreateOpts,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    relays: BeaconOpts,

    #[command(flatten)]
    send: SendOpts,
}

impl CreateArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        let reader = self.chain.reader().await?;
        let key = self.send.wallet.unlock()?;
        let token = self.terms.token(&reader).await?;
        let request = self.terms.request(&token, key.address(), self.lane)?;
        let wallet = self.send.wallet_on(key.clone(), &reader)?;
        let store = match self.send.dry_run {
            true => self.create.open_or_pretend(&self.store).await?,
            false => {
                let opened = self.create.open_or_begin(&self.store).await?;
                opened.announce(out);
                opened.store
            }
        };
        let payer = payer_on(store, reader, &self.relays)
            .await?
            .with_rates(self.terms.rates(&token)?);
        let payer = payer
            .with_wallet(wallet.clone())
            .with_key(signing_key(&key)?);

        let unopened = |error| not_opened(error, &token);
        if self.sign_only {
            let planned = payer.prepare_deposit(&request).await.map_err(unopened)?;
            return self.sign(&payer, &planned, out).await;
        }
        if self.send.dry_run {
            let planned = payer.plan_deposit(&request, None).await.map_err(unopened)?;
            let report = self
                .send
                .send(&wallet, &planned.call, "opening the deposit", out)
                .await?;
            return show_deposit(planned.id, &planned.deposit, &report, &token, out);
        }
        out.progress(format!(
            "opening a deposit for {} payees",
            request.allowances.len()
        ));
        let opened = payer
            .create_deposit(&request)
            .await
            .map_err(unopened)
            .wrap_err("opening the deposit")?;
        let report = TxReport::Mined(Box::new(opened.tx));
        show_deposit(opened.id, &opened.deposit, &report, &token, out)
    }

    async fn sign(&self, payer: &Payer, planned: &PlannedDeposit, out: &Output) -> Result<()> {
        let deadline = unix_now().saturating_add(self.expires_in.as_secs());
        let signed = payer.sign_opening(planned.id, U256::from(deadline)).await?;
        let text = Agreement::new(payer.reader().bank(), signed).to_string();
        out.progress(format!(
            "deposit {} is stored; the agreement to open it expires in {}",
            planned.id,
            show_duration(self.expires_in)
        ));
        let json = json!({ "deposit": planned.id, "deadline": deadline, "agreement": text });
        out.result(&json, || text.clone())
    }
}
