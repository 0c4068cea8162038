//! Which rounds follow one another, as flags.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use alloy::primitives::Address;
use cheque::{
    Amount,
    payer::{ListError, NextList, Rounds},
};
use clap::{ArgGroup, Args};
use eyre::{Result, WrapErr, ensure};

use crate::{
    allowances::{AllowanceText, parse_address, read_file},
    amount::{AmountText, Token},
    payer::RateOpts,
};

/// The rounds that the service opens; none without payees.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Rounds", group = ArgGroup::new("payees"))]
pub(super) struct RoundsOpts {
    /// A payee and the most it can be paid in a round; repeat for more payees
    #[arg(
        long,
        value_name = "ADDRESS=AMOUNT",
        group = "payees",
        requires = "draw_in"
    )]
    allowance: Vec<AllowanceText>,

    /// A file of payees and allowances, read anew for each round: CSV lines `address,amount`, or JSON {"address": "amount", ...}
    #[arg(long, value_name = "FILE", group = "payees", requires = "draw_in")]
    allowances: Option<PathBuf>,

    /// Draw a round after this many blocks, rounded up to the chain's grid of draw blocks
    #[arg(long, value_name = "BLOCKS", requires = "payees")]
    draw_in: Option<u64>,

    /// How many blocks after the draw the winner may redeem [default: 8191, as long as the chain remembers the draw block]
    #[arg(long, value_name = "BLOCKS")]
    redeem_window: Option<u64>,

    /// Smallest prize [default: 50 times the cost of a redemption when the round is opened, at most the whole round]
    #[arg(long, value_name = "AMOUNT")]
    min_payout: Option<AmountText>,

    /// The ERC-20 token of rounds and payments [default: the native coin]
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    pub(super) token: Option<Address>,

    #[command(flatten)]
    pub(super) rate: RateOpts,

    /// Open the next round when this part of a round is spent
    #[arg(long, value_name = "PART", default_value = "7/8", value_parser = parse_part)]
    nearly_spent: Part,

    /// Open the next round at the latest this many blocks before no more cheques can be written from the present one
    /// [default: 4 times the chain's confirmations]
    #[arg(long, value_name = "BLOCKS")]
    lead: Option<u64>,

    /// Open no round that brings the deposits of 24 hours above this sum
    #[arg(long, value_name = "AMOUNT")]
    daily_budget: Option<AmountText>,
}

/// A part of a whole, exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Part(u32, u32);

fn parse_part(text: &str) -> Result<Part, String> {
    let part = text.split_once('/').and_then(|(part, whole)| {
        let (part, whole) = (part.trim().parse().ok()?, whole.trim().parse().ok()?);
        Some(Part(part, whole))
    });
    part.ok_or_else(|| format!("`{text}` is no part: write 7/8, for instance"))
}

impl RoundsOpts {
    /// The rounds, with a list that can be read now. `None`: no payees are named.
    pub(super) fn rounds(&self, token: &Token) -> Result<Option<Rounds>> {
        let Some(list) = self.list(token)? else {
            return Ok(None);
        };
        // What is wrong with it shall be known at once, and not at the end of a round.
        list().map_err(|error| eyre::eyre!(error))?;
        let amount = |text: &Option<AmountText>, flag: &'static str| {
            let amount = text.as_ref().map(|text| text.in_units_of(token));
            amount.transpose().wrap_err(flag)
        };
        let mut rounds = Rounds::new(list, self.draw_in.unwrap_or_default());
        rounds.token = token.address;
        rounds.redeem_window = self.redeem_window;
        rounds.min_payout = amount(&self.min_payout, "--min-payout")?;
        rounds.nearly_spent = (self.nearly_spent.0, self.nearly_spent.1);
        rounds.lead = self.lead;
        rounds.daily_budget = amount(&self.daily_budget, "--daily-budget")?;
        Ok(Some(rounds))
    }

    fn list(&self, token: &Token) -> Result<Option<NextList>> {
        if let Some(path) = self.allowances.clone() {
            ensure!(
                path != Path::new("-"),
                "--allowances: a service reads its list for each round anew, so name a file"
            );
            let token = token.clone();
            return Ok(Some(Arc::new(move || {
                let list = read_file(&path).and_then(|list| in_units(&list, &token));
                list.map_err(|error| ListError::from(format!("{error:#}")))
            })));
        }
        if self.allowance.is_empty() {
            return Ok(None);
        }
        Ok(Some(Rounds::same_list(in_units(&self.allowance, token)?)))
    }
}

fn in_units(list: &[AllowanceText], token: &Token) -> Result<Vec<(Address, Amount)>> {
    let in_units = |entry: &AllowanceText| {
        let amount = entry.amount.in_units_of(token);
        amount
            .map(|amount| (entry.payee, amount))
            .wrap_err_with(|| format!("the allowance of {}", entry.payee))
    };
    list.iter().map(in_units).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_written_with_a_stroke() {
        assert_eq!(parse_part("7/8"), Ok(Part(7, 8)));
        assert_eq!(parse_part(" 1 / 2 "), Ok(Part(1, 2)));
        for text in [
            "",
            "7",
            "0.875",
            "7/",
            "/8",
            "-7/8",
            "7/8/9",
            "4294967296/1",
        ] {
            assert!(parse_part(text).is_err(), "{text}");
        }
    }
}
