//! `cheque deposit open`.

use alloy::primitives::U256;
use cheque::{Deposit, bank::Reader, payer::PayerError, tx::Call};
use clap::Args;
use eyre::{Result, WrapErr, bail};

use super::terms::show_deposit;
use crate::{
    cmd::withdraw::idle,
    id::IdText,
    input::text_of,
    opts::{beacon::BeaconOpts, chain::ChainOpts, send::SendOpts, store::StoreOpts},
    output::Output,
    relay::Agreement,
    token::token_at,
    transaction::TxReport,
};

/// Open a stored deposit, or another payer's with an agreement
///
/// With an id, opens the payer's own deposit, prepared before or left by an interrupted command; a transaction already
/// sent is awaited, not sent twice. With an agreement, opens any payer's deposit as a relayer, who pays the gas.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque deposit open 0x5f3c... --account alice                continue with a stored deposit
  cheque deposit open --agreement agreement.txt --account bob  as a relayer")]
pub(super) struct OpenArgs {
    /// Stored deposit
    #[arg(required_unless_present = "agreement", conflicts_with = "agreement")]
    id: Option<IdText>,

    /// Open with an agreement of `deposit create --sign-only`
    ///
    /// TEXT is the agreement, a file with it, or - for stdin.
    #[arg(long, value_name = "TEXT")]
    agreement: Option<String>,

    #[command(flatten)]
    store: StoreOpts,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    relays: BeaconOpts,

    #[command(flatten)]
    send: SendOpts,
}

impl OpenArgs {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        match (&self.agreement, &self.id) {
            (Some(text), _) => self.relay(text, out).await,
            (None, Some(id)) => self.open(id, out).await,
            (None, None) => bail!("the deposit is missing; name its id, or an --agreement"),
        }
    }

    async fn relay(&self, text: &str, out: &Output) -> Result<()> {
        let text = text_of(text, "agreement")?;
        let agreement: Agreement = text.parse().wrap_err("--agreement")?;
        let reader = self.chain.reader().await?;
        agreement.check_bank(reader.bank())?;
        let opening = &agreement.opening;
        let token = token_at(opening.deposit.token, &reader).await?;
        let wallet = self.send.unlock(&reader)?;
        let call = Call::open_for(
            reader.bank(),
            &opening.deposit,
            opening.deadline,
            &opening.signature,
        );
        let report = self
            .send
            .send(&wallet, &call, "opening the deposit", out)
            .await?;
        let id = reader.bank().deposit_id(&opening.deposit);
        show_deposit(id, &opening.deposit, &report, &token, out)
    }

    async fn open(&self, id: &IdText, out: &Output) -> Result<()> {
        let reader = self.chain.reader().await?;
        let wallet = self.send.unlock(&reader)?;
        let payer = self.store.payer(reader, &self.relays).await?;
        let payer = payer.with_wallet(wallet.clone());
        let id = id.of_payer(&payer).await?;
        let deposit = payer.deposit(id).await?.deposit;
        let token = token_at(deposit.token, payer.reader()).await?;
        if self.send.dry_run {
            let reader = payer.reader();
            let value = value_of(reader, &deposit).await?;
            let call = Call::open(reader.bank(), &deposit, value);
            let report = self
                .send
                .send(&wallet, &call, "opening the deposit", out)
                .await?;
            return show_deposit(id, &deposit, &report, &token, out);
        }
        out.progress(format!("opening deposit {id}"));
        let report = match payer.open(id).await {
            Ok(opened) => TxReport::Mined(Box::new(opened.tx)),
            Err(PayerError::IsOpen(_)) => {
                out.progress("the deposit is already open; nothing is sent");
                TxReport::NotNeeded
            }
            Err(error) => return Err(error.into()),
        };
        show_deposit(id, &deposit, &report, &token, out)
    }
}

/// Computes the native coin to send with `open`: the part that neither purse nor balance holds.
async fn value_of(reader: &Reader, deposit: &Deposit) -> Result<U256> {
    if !deposit.token.is_zero() {
        return Ok(U256::ZERO);
    }
    let held = idle(reader, deposit.payer, deposit.token, deposit.lane).await?;
    let balance = reader.balance(deposit.payer, deposit.token).await?;
    Ok(U256::from(deposit.amount).saturating_sub(held.saturating_add(balance)))
}
