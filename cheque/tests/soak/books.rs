//! What must come out in the end: sums over all rounds, and the memory they took.

use alloy_primitives::{I256, U256};
use cheque::{Amount, Deposit, Position};

/// All in wei.
#[derive(Debug, Default)]
pub(crate) struct Books {
    /// What came into the bank, straight out of it as payouts, and out of purses.
    pub(crate) funded: U256,
    pub(crate) paid_out: U256,
    pub(crate) withdrawn: U256,
    /// The values that payees have credited.
    pub(crate) values: U256,
    /// Payouts, less the gas that their redemptions have used, at the price by which the payees had reckoned.
    pub(crate) net_cash: I256,
    /// By how much payees have reckoned with more gas than was used.
    overestimated: U256,
    /// The variance of the net cash, in square wei.
    variance: U256,
    pub(crate) payments: usize,
    pub(crate) redeemed: usize,
}

impl Books {
    /// Adds the variance of what a draw brings, which follows from the payees' prizes: E[X^2] - E[X]^2.
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

    /// Adds a redemption: what it paid, and what its gas cost.
    pub(crate) fn add_redemption(&mut self, payout: u128, cost: u128, reckoned: Amount) {
        let saved = reckoned.get().checked_sub(cost);
        self.overestimated += U256::from(saved.expect("payees reckon with no less"));
        self.net_cash += I256::from_raw(U256::from(payout)) - I256::from_raw(U256::from(cost));
        self.redeemed += 1;
    }

    /// The law of the payees' books: the sum of values is the net cash, within three standard errors.
    pub(crate) fn assert_values_are_the_net_cash(&self) {
        let difference = I256::from_raw(self.values) - self.net_cash;
        // Rounded down, so the test is the stricter by it.
        let standard_error = self.variance.root(2);
        let bound = standard_error * U256::from(3);
        assert!(
            difference.unsigned_abs() <= bound,
            "the difference is {difference}, three standard errors are {bound}"
        );
        assert!(
            bound < self.values,
            "{} redemptions say too little: the bound is {bound}, the values are {}",
            self.redeemed,
            self.values
        );
        // Payees reckon with the longest stream. That is not what the bound is for.
        assert!(self.overestimated < standard_error / U256::from(4));
    }
}

/// The memory of this process that is not on disk, in kB; `None` where the system does not say.
pub(crate) fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Memory is flat: what came later has taken no more than an eighth of what was there early, and 8 MiB.
pub(crate) fn assert_flat(early: u64, late: u64) {
    let bound = early + early / 8 + 8 * 1024;
    assert!(
        late <= bound,
        "{late} kB in the end, {early} kB after a tenth of the rounds"
    );
}
