//! The rounds of a payer's service, as flags.

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
use eyre::{Result, WrapErr, ensure, eyre};

use crate::{
    allowances::{AllowanceText, parse_address, read_file},
    amount::{AmountText, Token},
    opts::rate::RateOpts,
};

/// The rounds of the service; none without payees.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Rounds", group = ArgGroup::new("payees"))]
pub(super) struct RoundsOpts {
    /// Allow a payee payments up to AMOUNT per round; repeatable
    #[arg(
        long,
        value_name = "ADDRESS=AMOUNT",
        group = "payees",
        requires = "draw_in"
    )]
    allowance: Vec<AllowanceText>,

    /// Read payees and allowances from FILE for each round
    ///
    /// CSV lines `address,amount`, or JSON {"address": "amount", ...}.
    #[arg(long, value_name = "FILE", group = "payees", requires = "draw_in")]
    allowances: Option<PathBuf>,

    /// Draw each round after this many blocks, rounded up to the grid
    #[arg(long, value_name = "BLOCKS", requires = "payees")]
    draw_in: Option<u64>,

    /// Let the winner redeem for this many blocks after the draw [default: 8191]
    ///
    /// The chain remembers the draw block for 8191 blocks.
    #[arg(long, value_name = "BLOCKS")]
    redeem_window: Option<u64>,

    /// Pay a winner at least this much [default: 50 times the cost to redeem, at most the whole round]
    #[arg(long, value_name = "AMOUNT")]
    min_payout: Option<AmountText>,

    /// Open rounds and pay in this ERC-20 token [default: the native coin]
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    pub(super) token: Option<Address>,

    #[command(flatten)]
    pub(super) rate: RateOpts,

    /// Open the next round when this fraction of the current is spent
    #[arg(long, value_name = "FRACTION", default_value = "7/8", value_parser = parse_fraction)]
    nearly_spent: Fraction,

    /// Open the next round this many blocks before the current cutoff [default: 4 times the confirmations]
    #[arg(long, value_name = "BLOCKS")]
    open_ahead: Option<u64>,

    /// Limit the sum of deposits opened within 24 hours [default: none]
    #[arg(long, value_name = "AMOUNT")]
    daily_budget: Option<AmountText>,
}

/// An exact fraction: numerator and denominator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Fraction(u32, u32);

fn parse_fraction(text: &str) -> Result<Fraction, String> {
    let fraction = text.split_once('/').and_then(|(part, whole)| {
        let (part, whole) = (part.trim().parse().ok()?, whole.trim().parse().ok()?);
        Some(Fraction(part, whole))
    });
    fraction.ok_or_else(|| format!("`{text}` is not a fraction; write one such as 7/8"))
}

impl RoundsOpts {
    /// Builds the rounds and checks that their list is readable. `None` without payees.
    pub(super) fn rounds(&self, token: &Token) -> Result<Option<Rounds>> {
        let Some(list) = self.list(token)? else {
            return Ok(None);
        };
        // An unreadable list is an error now, not at the end of a round.
        list().map_err(|error| eyre!(error))?;
        let amount = |text: &Option<AmountText>, flag: &'static str| {
            let amount = text.as_ref().map(|text| text.in_units_of(token));
            amount.transpose().wrap_err(flag)
        };
        let mut rounds = Rounds::new(list, self.draw_in.unwrap_or_default());
        rounds.token = token.address;
        rounds.redeem_window = self.redeem_window;
        rounds.min_payout = amount(&self.min_payout, "--min-payout")?;
        rounds.nearly_spent = (self.nearly_spent.0, self.nearly_spent.1);
        rounds.lead = self.open_ahead;
        rounds.daily_budget = amount(&self.daily_budget, "--daily-budget")?;
        Ok(Some(rounds))
    }

    fn list(&self, token: &Token) -> Result<Option<NextList>> {
        if let Some(path) = self.allowances.clone() {
            ensure!(
                path != Path::new("-"),
                "--allowances is stdin, but a service reads the list for each round; name a file"
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
    fn parses_fraction_with_a_slash() {
        assert_eq!(parse_fraction("7/8"), Ok(Fraction(7, 8)));
        assert_eq!(parse_fraction(" 1 / 2 "), Ok(Fraction(1, 2)));
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
            assert!(parse_fraction(text).is_err(), "{text}");
        }
    }
}
