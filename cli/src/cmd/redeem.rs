//! `cheque redeem`: cashing a win.

use alloy::primitives::{Address, Bytes};
use cheque::{
    Amount, DepositId, Redemption,
    bank::{Reader, redeem},
    payee::RedeemOptions,
};
use clap::Args;
use eyre::{Result, WrapErr, bail, eyre};
use serde_json::json;

use super::outcome::redeem_failure;
use crate::{
    allowances::parse_address,
    handover::SignedConsent,
    input::text_of,
    opts::{ChainOpts, PayeeOpts, SendOpts, StoreOpts},
    output::{Output, fields},
    payer::signing_key,
    send::{Done, sender_of},
    token::token_at,
};

/// Cash the newest cheque of a deposit that has won
///
/// Asks the bank first and sends nothing that it would refuse (exit code 4). Run again after an interruption, it goes on
/// with the same transaction, for a higher fee where the first one waits for long.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque redeem 0x5f3c... --account shop                 to the payee's balance in the bank
  cheque redeem 0x5f3c... --account shop --to 0xd8dA...  straight out

Relayed: the payee signs, somebody else pays the gas:
  cheque redeem 0x5f3c... --sign-only > consent.txt      on the payee's machine
  cheque redeem --consent consent.txt --account bob      on the relayer's
A consent is for exactly what was paid: it is signed from the draw block on, and not before.")]
pub(crate) struct RedeemArgs {
    /// The deposit
    #[arg(required_unless_present = "consent", conflicts_with = "consent")]
    id: Option<DepositId>,

    /// Pay straight out to this address [default: to the payee's balance in the bank]
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address, conflicts_with = "consent")]
    to: Option<Address>,

    /// Print the payee's signed consent with all that a relayer needs; send nothing
    #[arg(long, conflicts_with_all = ["consent", "dry_run"])]
    sign_only: bool,

    /// Redeem for a payee, as a relayer: what it printed with --sign-only, a file that holds it, or - for stdin
    #[arg(long, value_name = "TEXT")]
    consent: Option<String>,

    #[command(flatten)]
    payee: PayeeOpts,

    #[command(flatten)]
    store: StoreOpts,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    send: SendOpts,
}

impl RedeemArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        match (&self.consent, self.id) {
            (Some(text), _) => self.relay(text, out).await,
            (None, Some(id)) if self.sign_only => self.sign(id, out).await,
            (None, Some(id)) => self.redeem(id, out).await,
            (None, None) => bail!("name a deposit, or give a --consent"),
        }
    }

    async fn redeem(&self, id: DepositId, out: &Output) -> Result<()> {
        let reader = self.chain.reader().await?;
        let wallet = self.send.wallet.unlock()?;
        let address = self.payee.address(&self.send.wallet)?;
        let sender = sender_of(wallet, &reader);
        let payee = self
            .store
            .payee_for(address, reader, self.send.dry_run)
            .await?
            .with_wallet(sender.clone());
        let options = RedeemOptions {
            to: self.to.unwrap_or_default(),
            consent: None,
        };
        let position = payee.holding(id).await?;
        let position = position.ok_or_else(|| {
            eyre!("the store holds no cheque of deposit {id} for {address}: is --store or --payee another?")
        })?;
        let (done, payout) = if self.send.dry_run {
            let planned = payee
                .plan_redeem(id, &options)
                .await
                .map_err(redeem_failure)?;
            let done = self
                .send
                .send(&sender, &planned.call, "redeeming", out)
                .await?;
            (done, planned.payout)
        } else {
            out.progress(format!("redeeming deposit {id}"));
            let redeemed = payee.redeem(id, &options).await.map_err(redeem_failure)?;
            (Done::Sent(Box::new(redeemed.sent)), redeemed.payout)
        };
        let redemption = position.redemption(options.to, Bytes::new(), Bytes::new());
        print(payee.reader(), &redemption, payout, &done, out).await
    }

    async fn sign(&self, id: DepositId, out: &Output) -> Result<()> {
        let reader = self.chain.reader().await?;
        let key = signing_key(&self.send.wallet.unlock()?)?;
        let payee = self.store.payee(key.address(), reader).await?;
        let to = self.to.unwrap_or_default();
        let consent = payee.sign_consent(id, to, &key).await?;
        let position = payee.holding(id).await?;
        let position = position.ok_or_else(|| eyre!("the cheque is not in the store any more"))?;
        // The relayer adds the header, which may not be there yet.
        let redemption = position.redemption(to, consent, Bytes::new());
        let text = SignedConsent::new(payee.reader().bank(), redemption).to_text()?;
        let json = json!({ "deposit": id, "payee": key.address(), "total": position.total(), "consent": text });
        out.result(&json, || text.clone())
    }

    async fn relay(&self, text: &str, out: &Output) -> Result<()> {
        let text = text_of(text, "consent")?;
        let signed: SignedConsent = text.parse().wrap_err("--consent")?;
        let reader = self.chain.reader().await?;
        signed.check_bank(reader.bank())?;
        let mut redemption = signed.redemption;
        let seed = reader.seed(redemption.deposit.drawBlock).await?;
        redemption.header = seed.map_or_else(Bytes::new, |(_, header)| header);
        let sender = self.send.sender(&reader)?;
        let (done, payout) = if self.send.dry_run {
            let planned = reader.plan_redemption(&redemption, sender.address()).await;
            let (call, payout) = planned.map_err(redeem_failure)?;
            (
                self.send.send(&sender, &call, "redeeming", out).await?,
                payout,
            )
        } else {
            out.progress("redeeming for the payee");
            let redeemed = redeem(&reader, &sender, &redemption)
                .await
                .map_err(redeem_failure)?;
            (Done::Sent(Box::new(redeemed.sent)), redeemed.payout)
        };
        print(&reader, &redemption, payout, &done, out).await
    }
}

async fn print(
    reader: &Reader,
    redemption: &Redemption,
    payout: Amount,
    done: &Done,
    out: &Output,
) -> Result<()> {
    let token = token_at(redemption.deposit.token, reader).await?;
    let id = reader.bank().deposit_id(&redemption.deposit);
    let json = json!({
        "deposit": id,
        "payee": redemption.payee,
        "payout": payout,
        "to": redemption.to,
        "transaction": done.json(),
    });
    out.result(&json, || {
        let to = if redemption.to.is_zero() {
            format!("the balance of {} in the bank", redemption.payee)
        } else {
            redemption.to.to_string()
        };
        let mut lines = vec![
            ("deposit", id.to_string()),
            ("payout", token.show_amount(payout)),
            ("to", to),
        ];
        lines.extend(done.fields());
        fields(&lines)
    })
}
