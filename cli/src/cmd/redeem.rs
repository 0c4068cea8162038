//! `cheque redeem`: the payout of a winning cheque.

use alloy::primitives::{Address, Bytes};
use cheque::{
    Amount, BeaconRound, Redemption,
    bank::{Reader, redeem},
    payee::RedeemOptions,
};
use clap::Args;
use eyre::{Result, WrapErr, bail, ensure, eyre};
use serde_json::json;

use super::{seed::fetch_round, status::redeem_failure};
use crate::{
    allowances::parse_address,
    id::IdText,
    input::text_of,
    opts::{
        beacon::BeaconOpts, chain::ChainOpts, payee::PayeeOpts, send::SendOpts, store::StoreOpts,
        wallet::signing_key,
    },
    output::{Output, fields},
    relay::SignedConsent,
    token::token_at,
    transaction::TxReport,
};

/// Redeem the newest cheque of a won deposit
///
/// Simulates the redemption first and sends nothing if the bank would reject it (exit code 4). After an interruption,
/// the same command continues with the same transaction, at a higher fee if it has been pending for long.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque redeem 0x5f3c... --account shop                 to the payee's balance in the bank
  cheque redeem 0x5f3c... --account shop --to 0xd8dA...  to another address

Relayed: the payee signs, a relayer pays the gas:
  cheque redeem 0x5f3c... --sign-only > consent.txt      on the payee's machine
  cheque redeem --consent consent.txt --account bob      on the relayer's
A consent is for the exact total paid, so it can be signed from the draw time on, not earlier.")]
pub(crate) struct RedeemArgs {
    /// Deposit
    #[arg(required_unless_present = "consent", conflicts_with = "consent")]
    id: Option<IdText>,

    /// Pay out to ADDRESS [default: the payee's balance in the bank]
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address, conflicts_with = "consent")]
    to: Option<Address>,

    /// Print the payee's signed consent for a relayer; send nothing
    #[arg(long, conflicts_with_all = ["consent", "dry_run"])]
    sign_only: bool,

    /// Redeem with a consent of --sign-only, as a relayer
    ///
    /// TEXT is the consent, a file with it, or - for stdin.
    #[arg(long, value_name = "TEXT")]
    consent: Option<String>,

    #[command(flatten)]
    payee: PayeeOpts,

    #[command(flatten)]
    store: StoreOpts,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    relays: BeaconOpts,

    #[command(flatten)]
    send: SendOpts,
}

impl RedeemArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        match (&self.consent, &self.id) {
            (Some(text), _) => self.relay(text, out).await,
            (None, Some(id)) if self.sign_only => self.sign(id, out).await,
            (None, Some(id)) => self.redeem(id, out).await,
            (None, None) => bail!("the deposit is missing; name its id, or a --consent"),
        }
    }

    async fn redeem(&self, id: &IdText, out: &Output) -> Result<()> {
        let reader = self.chain.reader().await?;
        let key = self.send.wallet.unlock()?;
        let address = self.payee.address(&self.send.wallet)?;
        let wallet = self.send.wallet_on(key, &reader)?;
        let payee = self
            .store
            .payee(address, reader, &self.relays)
            .await?
            .with_wallet(wallet.clone());
        let id = id.of_payee(&payee).await?;
        let options = RedeemOptions {
            to: self.to.unwrap_or_default(),
            consent: None,
        };
        let position = payee.position(id).await?;
        let position = position.ok_or_else(|| {
            eyre!(
                "the store holds no cheque of deposit {id} for {address}; check --store and --payee"
            )
        })?;
        let (report, payout) = if self.send.dry_run {
            let planned = payee
                .plan_redeem(id, &options)
                .await
                .map_err(redeem_failure)?;
            let report = self
                .send
                .send(&wallet, &planned.call, "redeeming", out)
                .await?;
            (report, planned.payout)
        } else {
            out.progress(format!("redeeming deposit {id}"));
            let redeemed = payee.redeem(id, &options).await.map_err(redeem_failure)?;
            (TxReport::Mined(Box::new(redeemed.tx)), redeemed.payout)
        };
        let redemption = position.redemption(options.to, Bytes::new());
        print(payee.reader(), &redemption, payout, &report, out).await
    }

    async fn sign(&self, id: &IdText, out: &Output) -> Result<()> {
        let reader = self.chain.reader().await?;
        let key = signing_key(&self.send.wallet.unlock()?)?;
        let payee = self
            .store
            .payee(key.address(), reader, &self.relays)
            .await?;
        let id = id.of_payee(&payee).await?;
        let to = self.to.unwrap_or_default();
        let consent = payee.sign_consent(id, to, &key).await;
        let consent = consent.map_err(redeem_failure)?;
        let position = payee.position(id).await?;
        let position = position
            .ok_or_else(|| eyre!("the cheque was removed from the store; run the command again"))?;
        let redemption = position.redemption(to, consent);
        let text = SignedConsent::new(payee.reader().bank(), redemption).to_text()?;
        let json = json!({ "deposit": id, "payee": key.address(), "total": position.total(), "consent": text });
        out.result(&json, || text.clone())
    }

    async fn relay(&self, text: &str, out: &Output) -> Result<()> {
        let text = text_of(text, "consent")?;
        let signed: SignedConsent = text.parse().wrap_err("--consent")?;
        let reader = self.chain.reader().await?;
        signed.check_bank(reader.bank())?;
        let redemption = signed.redemption;
        let wallet = self.send.unlock(&reader)?;
        // The bank takes the sender for the payee's agreement, to whatever total the text states.
        ensure!(
            wallet.address() != redemption.payee,
            "the wallet is the payee itself; redeem with `cheque redeem ID`, which uses the newest cheque of the store"
        );
        let round = self.round(redemption.deposit.drawTime, &reader).await?;
        let (report, payout) = if self.send.dry_run {
            let planned = reader
                .plan_redemption(&redemption, wallet.address(), round.as_ref())
                .await;
            let (call, payout) = planned.map_err(redeem_failure)?;
            (
                self.send.send(&wallet, &call, "redeeming", out).await?,
                payout,
            )
        } else {
            out.progress("redeeming for the payee");
            let redeemed = redeem(&reader, &wallet, &redemption, round.as_ref())
                .await
                .map_err(redeem_failure)?;
            (TxReport::Mined(Box::new(redeemed.tx)), redeemed.payout)
        };
        print(&reader, &redemption, payout, &report, out).await
    }

    /// Fetches the round of a draw. `None` if the bank has its seed, or if it is not public yet.
    async fn round(&self, draw_time: u64, reader: &Reader) -> Result<Option<BeaconRound>> {
        if reader.recorded_seed(draw_time).await?.is_some() {
            return Ok(None);
        }
        fetch_round(&self.relays, draw_time, reader).await
    }
}

async fn print(
    reader: &Reader,
    redemption: &Redemption,
    payout: Amount,
    report: &TxReport,
    out: &Output,
) -> Result<()> {
    let token = token_at(redemption.deposit.token, reader).await?;
    let id = reader.bank().deposit_id(&redemption.deposit);
    let json = json!({
        "deposit": id,
        "payee": redemption.payee,
        "payout": payout,
        "to": redemption.to,
        "transaction": report.json(),
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
        lines.extend(report.fields());
        fields(&lines)
    })
}
