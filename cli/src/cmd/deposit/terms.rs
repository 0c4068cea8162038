//! The terms of a new deposit, as flags and as printed.

use std::{path::PathBuf, time::Duration};

use alloy::primitives::Address;
use cheque::{
    Amount, Deposit, DepositId,
    bank::{Reader, TokenRates},
    payer::{DepositRequest, Draw, Funding, PayerError},
};
use clap::{ArgGroup, Args};
use eyre::{Report, Result, WrapErr, eyre};
use serde_json::{Value, json};

use crate::{
    allowances::{AllowanceText, in_units, names, parse_address, read_file},
    amount::{AmountText, Token},
    format,
    opts::{
        rate::RateOpts,
        time::{parse_duration, parse_time, show_time},
    },
    output::{Output, fields},
    token::token_at,
    transaction::TxReport,
};

/// The terms of a deposit.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("payees").required(true), group = ArgGroup::new("draw").required(true))]
pub(super) struct TermsOpts {
    /// Allow a payee payments up to AMOUNT; repeatable
    #[arg(long, value_name = "ADDRESS=AMOUNT", group = "payees")]
    allowance: Vec<AllowanceText>,

    /// Read payees and allowances from FILE, or - for stdin
    ///
    /// CSV lines `address,amount` or `name,address,amount`, or JSON {"address": "amount", ...}. The names are stored with the
    /// deposit, and `cheque write` and `cheque stream` take them in place of addresses.
    #[arg(long, value_name = "FILE", group = "payees")]
    allowances: Option<PathBuf>,

    /// Draw after DURATION, such as 1h, rounded up to the grid of 5 minutes
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, group = "draw")]
    draw_in: Option<Duration>,

    /// Draw at exactly TIME, such as 2026-12-01T12:00Z, which must be that of a round of the beacon
    #[arg(long, value_name = "TIME", value_parser = parse_time, group = "draw")]
    draw_at: Option<u64>,

    /// Pay a winner at least this much [default: 50 times the cost to redeem now, at most the deposit]
    ///
    /// A larger payout means fewer redemptions and more variance.
    #[arg(long, value_name = "AMOUNT")]
    min_payout: Option<AmountText>,

    /// Deposit this ERC-20 token [default: the native coin]
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    token: Option<Address>,

    /// Accept cheques signed by the key of ADDRESS [default: the wallet's]
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    signer: Option<Address>,

    /// Let the winner redeem for DURATION after the draw [default: 24h, Arbitrum 48h]
    ///
    /// Payees want 6 hours at least on layer 1, and longer on rollups. Unredeemed money is locked until then.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    redeem_window: Option<Duration>,

    /// Take native coin from the wallet, not from the bank's balance
    #[arg(long)]
    from_wallet: bool,

    #[command(flatten)]
    rate: RateOpts,
}

impl TermsOpts {
    /// Reads the token from the chain.
    pub(super) async fn token(&self, reader: &Reader) -> Result<Token> {
        token_at(self.token.unwrap_or_default(), reader).await
    }

    /// The rates to compute the default payout with.
    pub(super) fn rates(&self, token: &Token) -> Result<TokenRates> {
        self.rate.rates(token)
    }

    /// Builds the library's request.
    pub(super) fn request(
        &self,
        token: &Token,
        wallet: Address,
        lane: Option<u64>,
    ) -> Result<DepositRequest> {
        let list = match &self.allowances {
            Some(path) => read_file(path)?,
            None => self.allowance.clone(),
        };
        let allowances = in_units(&list, token)?;
        let draw = match (self.draw_in, self.draw_at) {
            (Some(duration), _) => Draw::In(duration.as_secs()),
            (None, time) => Draw::At(time.unwrap_or_default()),
        };
        let signer = self.signer.unwrap_or(wallet);
        let mut request = DepositRequest::new(allowances, signer, draw);
        request.names = names(&list);
        request.payer = Some(wallet);
        request.token = token.address;
        request.lane = lane;
        request.redeem_window = self.redeem_window.map(|window| window.as_secs());
        let min_payout = self.min_payout.as_ref();
        request.min_payout = min_payout
            .map(|amount| amount.in_units_of(token))
            .transpose()
            .wrap_err("--min-payout")?;
        if self.from_wallet {
            request.funding = Funding::SendAlong;
        }
        Ok(request)
    }
}

/// Explains why no deposit was planned or opened, with times as dates and amounts of the token.
pub(super) fn not_opened(error: PayerError, token: &Token) -> Report {
    match error {
        PayerError::NotFunded { missing, .. } => eyre!(
            "{} are missing in the payer's purse and balance; put them there with `cheque fund`",
            token.show_amount(missing)
        ),
        PayerError::DrawTooSoon {
            draw_time,
            earliest,
        } => eyre!(
            "a draw at {} leaves no time to pay; choose {} or later",
            show_time(draw_time),
            show_time(earliest)
        ),
        error => error.into(),
    }
}

/// A planned or opened deposit as JSON.
fn deposit_json(id: DepositId, deposit: &Deposit) -> Value {
    let mut json = format::terms(deposit);
    json["id"] = json!(id);
    json
}

/// A planned or opened deposit as lines of a list of fields.
fn deposit_fields(id: DepositId, terms: &Deposit, token: &Token) -> Vec<(&'static str, String)> {
    vec![
        ("deposit", id.to_string()),
        ("amount", token.show_amount(Amount::new(terms.amount))),
        (
            "min payout",
            token.show_amount(Amount::new(terms.minPayout)),
        ),
        ("draw time", show_time(terms.drawTime)),
        ("redeem until", show_time(terms.redeemUntil)),
        ("signer", terms.signer.to_string()),
        ("lane", terms.lane.to_string()),
    ]
}

/// Prints the id of a deposit, for scripts, and its terms and transaction on stderr. A dry run has no deposit: its result is
/// the terms.
pub(super) fn show_deposit(
    id: DepositId,
    deposit: &Deposit,
    report: &TxReport,
    token: &Token,
    out: &Output,
) -> Result<()> {
    let mut json = deposit_json(id, deposit);
    json["transaction"] = report.json();
    let table = || {
        let mut lines = deposit_fields(id, deposit, token);
        lines.extend(report.fields());
        fields(&lines)
    };
    if let TxReport::DryRun(_) = report {
        return out.result(&json, table);
    }
    out.details(table);
    out.result(&json, || id.to_string())
}
