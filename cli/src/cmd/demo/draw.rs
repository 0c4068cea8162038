//! The draw of a round, with the numbers to recompute it by hand.

use std::fmt::Write;

use alloy::primitives::{B256, U256, keccak256};
use cheque::{Amount, Beacon, BeaconRound, DepositId, Position, Seed, roll};
use serde_json::{Value, json};

use crate::opts::time::show_time;

/// A draw: the beacon's round, and the point of the deposit that it selects.
pub(super) struct DrawReport {
    beacon: Beacon,
    round: BeaconRound,
    deposit: DepositId,
    amount: Amount,
    /// The winner's range: its start and its width.
    pub(super) range: Option<(Amount, Amount)>,
}

impl DrawReport {
    pub(super) const fn new(
        beacon: Beacon,
        round: BeaconRound,
        (deposit, amount): (DepositId, Amount),
    ) -> Self {
        Self {
            beacon,
            round,
            deposit,
            amount,
            range: None,
        }
    }

    /// Adds the range of the winner's newest cheque.
    pub(super) fn set_winner(&mut self, position: &Position) {
        let payout = position.payout();
        self.range = payout.map(|payout| (position.start(), payout.range));
    }

    /// The draw time, in seconds since 1970.
    pub(super) const fn time(&self) -> u64 {
        self.round.time()
    }

    const fn seed(&self) -> Seed {
        self.round.seed()
    }

    /// The point that the round selects.
    pub(super) fn roll(&self) -> Amount {
        roll(self.seed(), self.deposit, self.amount)
    }

    /// keccak256(randomness ‖ deposit).
    fn hash(&self) -> B256 {
        keccak256([self.seed().0.as_slice(), self.deposit.0.as_slice()].concat())
    }

    /// The upper 128 bits of the hash.
    fn high(&self) -> U256 {
        U256::from_be_bytes(self.hash().0) >> 128
    }

    /// The command that verifies the signature.
    fn command(&self) -> String {
        format!(
            "cheque beacon verify --round {} --signature {} --beacon-key {} --genesis {} --period {}",
            self.round.round(),
            self.round.signature(),
            self.beacon.public_key(),
            self.beacon.genesis(),
            self.beacon.period()
        )
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "beacon_key": self.beacon.public_key(),
            "round": self.round.round(),
            "signature": self.round.signature(),
            "randomness": self.seed().0,
            "hash": self.hash(),
            "high": self.high().to_string(),
            "roll": self.roll(),
            "start": self.range.map(|(start, _)| start),
            "range": self.range.map(|(_, range)| range),
            "verify": self.command(),
        })
    }

    /// Writes the steps of the draw, each with its numbers.
    pub(super) fn text(&self, text: &mut String) {
        let _ = writeln!(
            text,
            "  The draw, to recompute by hand: round {} of the beacon, at {} ({})\n    \
             signature   {}\n    \
             randomness  sha256(signature) = {}\n    \
             hash        keccak256(randomness ‖ deposit) = {}\n    \
             roll        floor(first 128 bits of hash * amount / 2^128)\n                \
             = floor({} * {} / 2^128) = {}",
            self.round.round(),
            show_time(self.time()),
            self.time(),
            self.round.signature(),
            self.seed().0,
            self.hash(),
            self.high(),
            self.amount,
            self.roll()
        );
        let _ = match self.range {
            Some((start, range)) => writeln!(
                text,
                "    winner      {start} <= roll < {start} + {range}, the range of its newest cheque"
            ),
            None => writeln!(
                text,
                "    winner      none: the roll is in no payee's range"
            ),
        };
        let _ = writeln!(text, "    verify      {}", self.command());
    }
}
