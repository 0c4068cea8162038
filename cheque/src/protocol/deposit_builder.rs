//! The builder of a deposit's terms.

use crate::protocol::{
    allowance::tree::AllowanceTree,
    amount::Amount,
    terms::{TermsError, check_terms},
};
use alloy_primitives::Address;
use cheque_bindings::Deposit;

/// Builds the terms of a deposit from the payer's choices and the tree of its allowances.
///
/// The payer must choose a draw time. Defaults: native coin, lane 1, no smallest payout, and a redemption window of
/// [`REDEEM_WINDOW`]. Amount and root come from the tree.
///
/// Does not know the bank and its chain, so does not check the lead to the draw time, the beacon's schedule, a leaf for
/// the bank itself ([`AllowanceTree::check_bank`]), or the payer's money and free lanes.
///
/// ```
/// use cheque::{Address, AllowanceTree, Amount, DepositBuilder, MasterSalt};
///
/// let (payer, signer, payee) = (Address::repeat_byte(1), Address::repeat_byte(2), Address::repeat_byte(0xa1));
/// let salt = MasterSalt::from_bytes([9; 32]); // from a random number generator
/// let tree = AllowanceTree::build([(payee, Amount::new(1_000_000))], &salt)?;
/// let deposit = DepositBuilder::new(payer, signer)
///     .draw_time(1_800_000_000)
///     .min_payout(Amount::new(500_000))
///     .build(&tree)?;
/// assert_eq!(deposit.amount, 1_000_000);
/// assert_eq!(deposit.redeemUntil, 1_800_086_400);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "call `build` to get the terms"]
pub struct DepositBuilder {
    payer: Address,
    signer: Address,
    token: Address,
    lane: u64,
    min_payout: Amount,
    draw_time: Option<u64>,
    redeem_window: u64,
}

/// The time after the draw in which a win can be redeemed by default, in seconds.
pub const REDEEM_WINDOW: u64 = 86_400;

impl DepositBuilder {
    /// Starts the terms of a deposit whose money `payer` owns, with cheques signed by the key of `signer`.
    pub const fn new(payer: Address, signer: Address) -> Self {
        Self {
            payer,
            signer,
            token: Address::ZERO,
            lane: 1,
            min_payout: Amount::ZERO,
            draw_time: None,
            redeem_window: REDEEM_WINDOW,
        }
    }

    /// Sets the time of the draw, in seconds since 1970: that of a round of the bank's beacon.
    pub const fn draw_time(self, time: u64) -> Self {
        Self {
            draw_time: Some(time),
            ..self
        }
    }

    /// Sets the smallest payout of a win, in token units. A payee rejects payments whose payout is small against the
    /// cost of redeeming; 50 times the cost is a good choice.
    pub const fn min_payout(self, min_payout: Amount) -> Self {
        Self { min_payout, ..self }
    }

    /// Sets the token; zero is the native coin. All amounts are in its smallest unit.
    pub const fn token(self, token: Address) -> Self {
        Self { token, ..self }
    }

    /// Sets the lane of the purse that holds the deposit, at least 1. Deposits in different lanes can be open at the
    /// same time.
    pub const fn lane(self, lane: u64) -> Self {
        Self { lane, ..self }
    }

    /// Sets the time after the draw in which a win can be redeemed, in seconds. Payees refuse a window that is shorter
    /// than the chain's operator can keep a transaction out.
    pub const fn redeem_window(self, seconds: u64) -> Self {
        Self {
            redeem_window: seconds,
            ..self
        }
    }

    /// Builds the terms for the payees and allowances of `tree`.
    ///
    /// # Errors
    ///
    /// [`TermsError::NoDrawTime`] without a draw time; otherwise the first broken term, as of [`check_terms`].
    pub fn build(self, tree: &AllowanceTree) -> Result<Deposit, TermsError> {
        let draw_time = self.draw_time.ok_or(TermsError::NoDrawTime)?;
        let deposit = Deposit {
            payer: self.payer,
            signer: self.signer,
            token: self.token,
            lane: self.lane,
            amount: tree.total().get(),
            minPayout: self.min_payout.get(),
            drawTime: draw_time,
            // At the end of time the window is empty, which is an error.
            redeemUntil: draw_time.saturating_add(self.redeem_window),
            root: tree.root(),
        };
        check_terms(&deposit)?;
        Ok(deposit)
    }
}

/// The time before the draw in which a payer writes no cheque by default, in seconds: a payee's cutoff and the way to
/// the payee.
pub const PAYER_CUTOFF: u64 = 45;

/// Chooses the draw time of a deposit: the first time at or after `earliest` on the payer's grid and the beacon's
/// schedule. `grid` and `period` are seconds; `genesis` is the time of the beacon's first round.
///
/// The grid counts if its times are on the schedule; otherwise the next round is taken. `None` for a grid or period of
/// zero, and at the end of time.
///
/// ```
/// use cheque::draw_time_from;
///
/// // quicknet, and draws at whole five minutes
/// assert_eq!(draw_time_from(1_800_000_001, 300, 1_692_803_367, 3), Some(1_800_000_300));
/// // a local beacon with a round every second
/// assert_eq!(draw_time_from(1_800_000_001, 1, 1_799_999_999, 1), Some(1_800_000_001));
/// ```
pub fn draw_time_from(earliest: u64, grid: u64, genesis: u64, period: u64) -> Option<u64> {
    let earliest = earliest.max(genesis);
    let on_schedule = genesis.checked_rem(period)? == 0 && grid.checked_rem(period)? == 0;
    if on_schedule {
        return earliest.checked_next_multiple_of(grid);
    }
    let rounds = (earliest - genesis).div_ceil(period);
    rounds.checked_mul(period)?.checked_add(genesis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::allowance::MasterSalt;
    use proptest::prelude::*;

    const PAYER: Address = Address::repeat_byte(1);
    const SIGNER: Address = Address::repeat_byte(2);

    fn tree() -> AllowanceTree {
        let allowances = [(3, 70), (4, 30)]
            .map(|(payee, units)| (Address::repeat_byte(payee), Amount::new(units)));
        AllowanceTree::build(allowances, &MasterSalt::from_bytes([9; 32])).unwrap()
    }

    fn builder() -> DepositBuilder {
        DepositBuilder::new(PAYER, SIGNER).draw_time(1_000)
    }

    #[test]
    fn fills_in_defaults_and_the_trees_amount_and_root() {
        let deposit = builder().build(&tree()).unwrap();
        let expected = Deposit {
            payer: PAYER,
            signer: SIGNER,
            token: Address::ZERO,
            lane: 1,
            amount: 100,
            minPayout: 0,
            drawTime: 1_000,
            redeemUntil: 1_000 + 86_400,
            root: tree().root(),
        };
        assert_eq!(deposit, expected);
    }

    #[test]
    fn takes_every_choice() {
        let token = Address::repeat_byte(7);
        let built = builder()
            .token(token)
            .lane(u64::MAX)
            .min_payout(Amount::new(100))
            .redeem_window(1)
            .draw_time(5);
        let deposit = built.build(&tree()).unwrap();
        assert_eq!((deposit.token, deposit.lane), (token, u64::MAX));
        assert_eq!((deposit.minPayout, deposit.amount), (100, 100));
        assert_eq!((deposit.drawTime, deposit.redeemUntil), (5, 6));
    }

    #[test]
    fn rejects_terms_without_a_draw_time() {
        let unset = DepositBuilder::new(PAYER, SIGNER).build(&tree());
        assert_eq!(unset, Err(TermsError::NoDrawTime));
    }

    #[test]
    fn rejects_terms_that_no_bank_opens() {
        let error = |builder: DepositBuilder| builder.build(&tree()).unwrap_err();
        assert_eq!(error(builder().lane(0)), TermsError::ZeroLane);
        let unsigned = DepositBuilder::new(PAYER, Address::ZERO).draw_time(1_000);
        assert_eq!(error(unsigned), TermsError::ZeroSigner);
        let too_high = TermsError::MinPayoutTooHigh {
            min_payout: Amount::new(101),
            amount: Amount::new(100),
        };
        assert_eq!(error(builder().min_payout(Amount::new(101))), too_high);
    }

    #[test]
    fn rejects_empty_windows_at_both_ends() {
        let empty = |time| TermsError::RedeemWindowEmpty {
            draw_time: time,
            redeem_until: time,
        };
        let none = builder().redeem_window(0).build(&tree());
        assert_eq!(none, Err(empty(1_000)));
        let last = builder().draw_time(u64::MAX).build(&tree());
        assert_eq!(last, Err(empty(u64::MAX)));
        let last_but_one = builder().draw_time(u64::MAX - 1).build(&tree());
        assert_eq!(last_but_one.unwrap().redeemUntil, u64::MAX);
    }

    /// Genesis and period of quicknet.
    const QUICKNET: (u64, u64) = (1_692_803_367, 3);

    fn on_quicknet(earliest: u64, grid: u64) -> Option<u64> {
        draw_time_from(earliest, grid, QUICKNET.0, QUICKNET.1)
    }

    #[test]
    fn chooses_the_next_time_of_the_grid_to_the_second() {
        let time = 1_800_000_000;
        assert_eq!(on_quicknet(time - 1, 300), Some(time));
        assert_eq!(on_quicknet(time, 300), Some(time));
        assert_eq!(on_quicknet(time + 1, 300), Some(time + 300));
    }

    #[test]
    fn chooses_the_next_round_where_the_grid_is_off_schedule() {
        // A grid of 100 s, whose times are not all divisible by 3.
        assert_eq!(on_quicknet(1_800_000_001, 100), Some(1_800_000_003));
        // A beacon of odd seconds.
        for (earliest, round) in [
            (1_000, 1_001),
            (1_001, 1_001),
            (1_002, 1_011),
            (1_011, 1_011),
        ] {
            assert_eq!(draw_time_from(earliest, 300, 1_001, 10), Some(round));
        }
    }

    #[test]
    fn chooses_no_time_before_the_first_round() {
        assert_eq!(on_quicknet(0, 300), Some(1_692_803_400));
        assert_eq!(draw_time_from(0, 300, 1_001, 10), Some(1_001));
    }

    #[test]
    fn chooses_no_time_without_grid_or_period_or_after_the_end() {
        assert_eq!(draw_time_from(1_000, 300, 900, 0), None);
        assert_eq!(draw_time_from(1_000, 0, 900, 3), None);
        assert_eq!(on_quicknet(u64::MAX, 300), None);
        assert_eq!(draw_time_from(u64::MAX, 300, 1, u64::MAX), None);
        assert_eq!(draw_time_from(u64::MAX, 1, 1, 1), Some(u64::MAX));
    }

    proptest! {
        #[test]
        fn chooses_the_first_round_on_the_grid(
            earliest in 0_u64..1 << 40, grid in 1_u64..1_000, genesis in 1_u64..1 << 36, period in 1_u64..100
        ) {
            let time = draw_time_from(earliest, grid, genesis, period).unwrap();
            prop_assert!(time >= earliest && time >= genesis);
            prop_assert_eq!((time - genesis) % period, 0);
            let on_grid = grid.is_multiple_of(period) && genesis.is_multiple_of(period);
            let step = if on_grid { grid } else { period };
            prop_assert!(time - earliest.max(genesis) < step);
            prop_assert!(!on_grid || time.is_multiple_of(grid));
        }
    }
}
