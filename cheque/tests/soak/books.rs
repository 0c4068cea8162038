//! Sums over all rounds, and the laws that they must obey.

use alloy_primitives::{I256, U256};
use cheque::{Amount, Deposit, Position};

/// All in wei.
#[derive(Debug, Default)]
pub(crate) struct Books {
    /// Money paid into the bank, out of the bank by payouts, and out of purses by withdrawals.
    pub(crate) funded: U256,
    pub(crate) paid_out: U256,
    pub(crate) withdrawn: U256,
    /// Sum of the values credited by payees.
    pub(crate) values: U256,
    /// Payouts less the gas used by their redemptions, at the gas price of the payees' estimates.
    pub(crate) net_cash: I256,
    /// Cost of gas that payees estimated and did not use.
    overestimated: U256,
    /// The variance of the net cash, in square wei.
    variance: U256,
    pub(crate) payments: usize,
    pub(crate) redeemed: usize,
}

impl Books {
    /// Adds the variance of a draw's net payout X, from the payees' payouts and ranges: E[X^2] - E[X]^2.
    pub(crate) fn add_draw(&mut self, deposit: &Deposit, positions: &[Position]) {
        let amount = U256::from(deposit.amount);
        let (mut first, mut second) = (U256::ZERO, U256::ZERO);
        for position in positions {
            let Some(payout) = position.payout() else {
                continue;
            };
            let net = payout
                .amount
                .saturating_sub(position.redeem_cost())
                .to_u256();
            first += payout.range.to_u256() * net;
            second += payout.range.to_u256() * net * net;
        }
        let mean = first / amount;
        self.variance += second / amount - mean * mean;
    }

    /// Adds a redemption: its payout, the cost of its gas, and the payee's estimate of the cost.
    pub(crate) fn add_redemption(&mut self, payout: u128, cost: u128, estimated: Amount) {
        let saved = estimated.get().checked_sub(cost);
        self.overestimated += U256::from(saved.expect("an estimate of at least the cost"));
        self.net_cash += I256::from_raw(U256::from(payout)) - I256::from_raw(U256::from(cost));
        self.redeemed += 1;
    }

    /// Checks that the sum of credited values equals the net cash within three standard errors.
    pub(crate) fn assert_values_are_the_net_cash(&self) {
        let difference = I256::from_raw(self.values) - self.net_cash;
        // The rounding down makes the test stricter.
        let standard_error = self.variance.root(2);
        let bound = standard_error * U256::from(3);
        assert!(
            difference.unsigned_abs() <= bound,
            "the difference is {difference}, three standard errors are {bound}"
        );
        assert!(
            bound < self.values,
            "{} redemptions are too few: the bound is {bound}, the values are {}",
            self.redeemed,
            self.values
        );
        // Payees estimate for the longest stream. The bound must not depend on this difference.
        assert!(self.overestimated < standard_error / U256::from(4));
    }
}

/// Resident memory of this process in kB, or `None` on systems without `/proc`.
pub(crate) fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Checks that a step reads no more rows of the stores in the end than after a third of the rounds, but for an eighth.
pub(crate) fn assert_same_rows(early: usize, late: usize) {
    assert!(
        late <= early + early / 8,
        "the stores grew from {early} rows to {late}"
    );
}

/// Checks that memory has grown by at most an eighth and 8 MiB.
pub(crate) fn assert_flat(early: u64, late: u64) {
    let bound = early + early / 8 + 8 * 1024;
    assert!(
        late <= bound,
        "memory grew from {early} kB after a third of the rounds to {late} kB"
    );
}
