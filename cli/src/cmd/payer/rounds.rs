//! The rounds of a payer's service, as flags.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use alloy::primitives::Address;
use cheque::payer::{ListError, NextList, Payer, RoundList, Rounds};
use clap::{ArgGroup, Args};
use eyre::{Result, WrapErr, ensure, eyre};

use crate::{
    allowances::{AllowanceText, in_units, names, parse_address, read_file},
    amount::{AmountText, Token},
    opts::{rate::RateOpts, time::parse_duration},
};

/// The rounds of the service; none without payees.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Rounds", group = ArgGroup::new("payees"))]
pub(super) struct RoundsOpts {
    /// Allow a payee payments up to AMOUNT per round; repeatable
    #[arg(long, value_name = "ADDRESS=AMOUNT", group = "payees")]
    allowance: Vec<AllowanceText>,

    /// Read payees and allowances from FILE for each round
    ///
    /// CSV lines `address,amount` or `name,address,amount`, or JSON {"address": "amount", ...}.
    #[arg(long, value_name = "FILE", group = "payees")]
    allowances: Option<PathBuf>,

    /// Draw each deposit after DURATION, rounded up to the grid of 5 minutes [default: as early as --every allows]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, requires = "payees")]
    draw_in: Option<Duration>,

    /// Open a deposit every DURATION [default: with --draw-in one after the other, else 30m, Arbitrum 58m]
    ///
    /// Several deposits are then open at a time, and the service pays from the one drawn first. Frequent draws mean a
    /// steadier income for payees, and more transactions.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, requires = "draw_in")]
    every: Option<Duration>,

    /// Let the winner redeem for DURATION after the draw [default: 24h, Arbitrum 48h]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    redeem_window: Option<Duration>,

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

    /// Open the next deposit so long before the cutoff of the last [default: the time to open, and without --every to
    /// finality, too]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    lead: Option<Duration>,

    /// Limit the sum of deposits opened within any 24 hours [default: none]
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
    /// Builds the rounds of a list, and checks them and the list for the payer.
    pub(super) fn rounds(&self, list: NextList, token: &Token, payer: &Payer) -> Result<Rounds> {
        // An unreadable list is an error now, not at the end of a round.
        list().map_err(|error| eyre!(error))?;
        let amount = |text: &Option<AmountText>, flag: &'static str| {
            let amount = text.as_ref().map(|text| text.in_units_of(token));
            amount.transpose().wrap_err(flag)
        };
        let seconds = |duration: Duration| duration.as_secs();
        let mut rounds = match self.draw_in {
            Some(draw_in) => {
                let mut rounds = Rounds::new(list, draw_in.as_secs());
                rounds.every = self.every.map(seconds);
                rounds
            }
            None => Rounds::usual(list, payer).ok_or_else(|| {
                eyre!("the bank's lead has no end; name another bank with --bank")
            })?,
        };
        rounds.token = token.address;
        rounds.redeem_window = self.redeem_window.map(seconds);
        rounds.min_payout = amount(&self.min_payout, "--min-payout")?;
        rounds.nearly_spent = (self.nearly_spent.0, self.nearly_spent.1);
        rounds.lead = self.lead.map(seconds);
        rounds.daily_budget = amount(&self.daily_budget, "--daily-budget")?;
        rounds.check(payer)?;
        Ok(rounds)
    }

    /// Makes the list of payees, as of the beginning of each round. `None` without payees.
    pub(super) fn list(&self, token: &Token) -> Result<Option<NextList>> {
        if let Some(path) = self.allowances.clone() {
            ensure!(
                path != Path::new("-"),
                "--allowances is stdin, but a service reads the list for each round; name a file"
            );
            let token = token.clone();
            return Ok(Some(Arc::new(move || {
                let list = read_file(&path).and_then(|list| round_list(&list, &token));
                list.map_err(|error| ListError::from(format!("{error:#}")))
            })));
        }
        if self.allowance.is_empty() {
            return Ok(None);
        }
        Ok(Some(Rounds::same_list(round_list(&self.allowance, token)?)))
    }
}

fn round_list(list: &[AllowanceText], token: &Token) -> Result<RoundList> {
    Ok(RoundList {
        allowances: in_units(list, token)?,
        names: names(list),
    })
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
