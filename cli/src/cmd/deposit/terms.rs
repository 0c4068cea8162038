//! What a new deposit shall be, as flags.

use std::path::PathBuf;

use alloy::primitives::Address;
use cheque::{
    Amount, Deposit, DepositId,
    bank::{NativeRates, Reader},
    payer::{DepositRequest, Draw, Funding},
};
use clap::{ArgGroup, Args};
use eyre::{Result, WrapErr};
use serde_json::{Value, json};

use crate::{
    allowances::{AllowanceText, parse_address, read_file},
    amount::{AmountText, Token},
    output::{Output, fields},
    payer::RateOpts,
    send::Done,
    show,
    token::token_at,
};

/// The terms of a deposit.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("payees").required(true), group = ArgGroup::new("draw").required(true))]
pub(super) struct TermsOpts {
    /// A payee and the most it can be paid; repeat for more payees
    #[arg(long, value_name = "ADDRESS=AMOUNT", group = "payees")]
    allowance: Vec<AllowanceText>,

    /// A file of payees and allowances, or - for stdin: CSV lines `address,amount`, or JSON {"address": "amount", ...}
    #[arg(long, value_name = "FILE", group = "payees")]
    allowances: Option<PathBuf>,

    /// Draw after this many blocks, rounded up to the chain's grid of draw blocks
    #[arg(long, value_name = "BLOCKS", group = "draw")]
    draw_in: Option<u64>,

    /// Draw at exactly this block
    #[arg(long, value_name = "BLOCK", group = "draw")]
    draw_block: Option<u64>,

    /// Smallest prize: a larger one means fewer redemptions and more chance in each
    /// [default: 50 times the cost of a redemption now, at most the whole deposit]
    #[arg(long, value_name = "AMOUNT")]
    min_payout: Option<AmountText>,

    /// The ERC-20 token [default: the native coin]
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    token: Option<Address>,

    /// Address of the key that writes the cheques [default: the wallet's]
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    signer: Option<Address>,

    /// How many blocks after the draw the winner may redeem [default: 8191, as long as the chain remembers the draw block]
    #[arg(long, value_name = "BLOCKS")]
    redeem_window: Option<u64>,

    /// Leave the balance in the bank alone and send the native coin along
    #[arg(long)]
    send_along: bool,

    #[command(flatten)]
    rate: RateOpts,
}

impl TermsOpts {
    /// The token, asked from the chain.
    pub(super) async fn token(&self, reader: &Reader) -> Result<Token> {
        token_at(self.token.unwrap_or_default(), reader).await
    }

    /// The rates that the smallest prize follows from.
    pub(super) fn rates(&self, token: &Token) -> Result<NativeRates> {
        self.rate.rates(token)
    }

    /// The request to the library.
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
        let in_units = |entry: &AllowanceText| {
            let amount = entry.amount.in_units_of(token);
            amount
                .map(|amount| (entry.payee, amount))
                .wrap_err_with(|| format!("the allowance of {}", entry.payee))
        };
        let allowances = list.iter().map(in_units).collect::<Result<Vec<_>>>()?;
        let draw = match (self.draw_in, self.draw_block) {
            (Some(blocks), _) => Draw::In(blocks),
            (None, block) => Draw::At(block.unwrap_or_default()),
        };
        let signer = self.signer.unwrap_or(wallet);
        let mut request = DepositRequest::new(allowances, signer, draw);
        request.payer = Some(wallet);
        request.token = token.address;
        request.lane = lane;
        request.redeem_window = self.redeem_window;
        let min_payout = self.min_payout.as_ref();
        request.min_payout = min_payout
            .map(|amount| amount.in_units_of(token))
            .transpose()
            .wrap_err("--min-payout")?;
        if self.send_along {
            request.funding = Funding::SendAlong;
        }
        Ok(request)
    }
}

/// A planned or opened deposit for programs.
fn deposit_json(id: DepositId, deposit: &Deposit) -> Value {
    let mut json = show::terms(deposit);
    json["id"] = json!(id);
    json
}

/// The same for people.
fn deposit_fields(id: DepositId, terms: &Deposit, token: &Token) -> Vec<(&'static str, String)> {
    vec![
        ("deposit", id.to_string()),
        ("amount", token.show_amount(Amount::new(terms.amount))),
        (
            "min payout",
            token.show_amount(Amount::new(terms.minPayout)),
        ),
        ("draw block", terms.drawBlock.to_string()),
        ("redeem until", format!("block {}", terms.lastRedeemBlock)),
        ("signer", terms.signer.to_string()),
        ("lane", terms.lane.to_string()),
    ]
}

/// Prints a deposit and what became of its transaction.
pub(super) fn show_deposit(
    id: DepositId,
    deposit: &Deposit,
    done: &Done,
    token: &Token,
    out: &Output,
) -> Result<()> {
    let mut json = deposit_json(id, deposit);
    json["transaction"] = done.json();
    out.result(&json, || {
        let mut lines = deposit_fields(id, deposit, token);
        lines.extend(done.fields());
        fields(&lines)
    })
}
