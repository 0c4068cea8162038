//! `cheque deposit open`.

use alloy::primitives::U256;
use cheque::{Deposit, DepositId, bank::Reader, payer::PayerError, tx::Call};
use clap::Args;
use eyre::{Result, WrapErr};

use super::terms::show_deposit;
use crate::{
    cmd::withdraw::idle,
    handover::SignedOpen,
    input::text_of,
    opts::{ChainOpts, SendOpts, StoreOpts},
    output::Output,
    send::Done,
    token::token_at,
};

/// Open a deposit that is stored, or one that its payer has signed
///
/// With an id: the payer's own deposit, prepared before or left over from an interrupted command; what was sent before
/// is waited for, not sent twice. With a signature: anybody's, as a relayer who pays the gas.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque deposit open 0x5f3c... --account alice              go on with a stored deposit
  cheque deposit open --signature opening.txt --account bob  as a relayer")]
pub(super) struct OpenArgs {
    /// The stored deposit
    #[arg(required_unless_present = "signature", conflicts_with = "signature")]
    id: Option<DepositId>,

    /// What `deposit create --sign-only` printed, a file that holds it, or - for stdin
    #[arg(long, value_name = "TEXT")]
    signature: Option<String>,

    #[command(flatten)]
    store: StoreOpts,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    send: SendOpts,
}

impl OpenArgs {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        match (&self.signature, self.id) {
            (Some(text), _) => self.relay(text, out).await,
            (None, Some(id)) => self.open(id, out).await,
            (None, None) => eyre::bail!("name a deposit, or give a --signature"),
        }
    }

    async fn relay(&self, text: &str, out: &Output) -> Result<()> {
        let text = text_of(text, "signed opening")?;
        let signed: SignedOpen = text.parse().wrap_err("--signature")?;
        let reader = self.chain.reader().await?;
        signed.check_bank(reader.bank())?;
        let opening = &signed.opening;
        let token = token_at(opening.deposit.token, &reader).await?;
        let sender = self.send.sender(&reader)?;
        let call = Call::open_for(
            reader.bank(),
            &opening.deposit,
            opening.deadline,
            &opening.signature,
        );
        let done = self
            .send
            .send(&sender, &call, "opening the deposit", out)
            .await?;
        let id = reader.bank().deposit_id(&opening.deposit);
        show_deposit(id, &opening.deposit, &done, &token, out)
    }

    async fn open(&self, id: DepositId, out: &Output) -> Result<()> {
        let reader = self.chain.reader().await?;
        let sender = self.send.sender(&reader)?;
        let payer = self.store.payer_for(reader, self.send.dry_run).await?;
        let payer = payer.with_wallet(sender.clone());
        let deposit = payer.deposit(id).await?.deposit;
        let token = token_at(deposit.token, payer.reader()).await?;
        if self.send.dry_run {
            let reader = payer.reader();
            let value = value_of(reader, &deposit).await?;
            let call = Call::open(reader.bank(), &deposit, value);
            let done = self
                .send
                .send(&sender, &call, "opening the deposit", out)
                .await?;
            return show_deposit(id, &deposit, &done, &token, out);
        }
        out.progress(format!("opening deposit {id}"));
        let done = match payer.open(id).await {
            Ok(opened) => Done::Sent(Box::new(opened.sent)),
            Err(PayerError::IsOpen(_)) => {
                out.progress("it is open already: nothing was sent");
                Done::Nothing
            }
            Err(error) => return Err(error.into()),
        };
        show_deposit(id, &deposit, &done, &token, out)
    }
}

/// The native coin that goes with `open`: what neither the purse nor the balance holds.
async fn value_of(reader: &Reader, deposit: &Deposit) -> Result<U256> {
    if !deposit.token.is_zero() {
        return Ok(U256::ZERO);
    }
    let held = idle(reader, deposit.payer, deposit.token, deposit.lane).await?;
    let balance = reader.balance(deposit.payer, deposit.token).await?;
    Ok(U256::from(deposit.amount).saturating_sub(held.saturating_add(balance)))
}
