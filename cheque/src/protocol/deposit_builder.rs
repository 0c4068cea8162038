//! The builder of a deposit's terms.

use crate::protocol::{
    allowance::tree::AllowanceTree,
    amount::Amount,
    draw::HISTORY_WINDOW,
    terms::{TermsError, check_terms},
};
use alloy_primitives::Address;
use cheque_bindings::Deposit;

/// Builds the terms of a deposit from the payer's choices and the tree of its allowances.
///
/// The payer must choose a draw block. Defaults: native coin, lane 1, no smallest payout, and a redemption window of
/// [`HISTORY_WINDOW`] blocks. Amount and root come from the tree.
///
/// Does not know the chain, so does not check the lead to the draw block, its grid, or the payer's money and free
/// lanes.
///
/// ```
/// use cheque::{Address, AllowanceTree, Amount, DepositBuilder, MasterSalt};
///
/// let (payer, signer, payee) = (Address::repeat_byte(1), Address::repeat_byte(2), Address::repeat_byte(0xa1));
/// let salt = MasterSalt::from_bytes([9; 32]); // from a random number generator
/// let tree = AllowanceTree::build([(payee, Amount::new(1_000_000))], &salt)?;
/// let deposit = DepositBuilder::new(payer, signer)
///     .draw_block(21_000_000)
///     .min_payout(Amount::new(500_000))
///     .build(&tree)?;
/// assert_eq!(deposit.amount, 1_000_000);
/// assert_eq!(deposit.lastRedeemBlock, 21_008_191);
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
    draw_block: Option<u64>,
    redeem_window: u64,
}

impl DepositBuilder {
    /// Starts the terms of a deposit whose money `payer` owns, with cheques signed by the key of `signer`.
    pub const fn new(payer: Address, signer: Address) -> Self {
        Self {
            payer,
            signer,
            token: Address::ZERO,
            lane: 1,
            min_payout: Amount::ZERO,
            draw_block: None,
            redeem_window: HISTORY_WINDOW,
        }
    }

    /// Sets the block whose seed decides.
    pub const fn draw_block(self, block: u64) -> Self {
        Self {
            draw_block: Some(block),
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

    /// Sets the number of blocks after the draw block in which a win can be redeemed. Beyond [`HISTORY_WINDOW`] blocks
    /// a redemption needs a recorded seed.
    pub const fn redeem_window(self, blocks: u64) -> Self {
        Self {
            redeem_window: blocks,
            ..self
        }
    }

    /// Builds the terms for the payees and allowances of `tree`.
    ///
    /// # Errors
    ///
    /// [`TermsError::NoDrawBlock`] without a draw block; otherwise the first broken term, as of [`check_terms`].
    pub fn build(self, tree: &AllowanceTree) -> Result<Deposit, TermsError> {
        let draw_block = self.draw_block.ok_or(TermsError::NoDrawBlock)?;
        let deposit = Deposit {
            payer: self.payer,
            signer: self.signer,
            token: self.token,
            lane: self.lane,
            amount: tree.total().get(),
            minPayout: self.min_payout.get(),
            drawBlock: draw_block,
            // At the largest block number the window is empty, which is an error.
            lastRedeemBlock: draw_block.saturating_add(self.redeem_window),
            root: tree.root(),
        };
        check_terms(&deposit)?;
        Ok(deposit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::allowance::MasterSalt;

    const PAYER: Address = Address::repeat_byte(1);
    const SIGNER: Address = Address::repeat_byte(2);

    fn tree() -> AllowanceTree {
        let allowances = [(3, 70), (4, 30)]
            .map(|(payee, units)| (Address::repeat_byte(payee), Amount::new(units)));
        AllowanceTree::build(allowances, &MasterSalt::from_bytes([9; 32])).unwrap()
    }

    fn builder() -> DepositBuilder {
        DepositBuilder::new(PAYER, SIGNER).draw_block(1_000)
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
            drawBlock: 1_000,
            lastRedeemBlock: 1_000 + 8_191,
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
            .draw_block(5);
        let deposit = built.build(&tree()).unwrap();
        assert_eq!((deposit.token, deposit.lane), (token, u64::MAX));
        assert_eq!((deposit.minPayout, deposit.amount), (100, 100));
        assert_eq!((deposit.drawBlock, deposit.lastRedeemBlock), (5, 6));
    }

    #[test]
    fn rejects_terms_without_a_draw_block() {
        let unset = DepositBuilder::new(PAYER, SIGNER).build(&tree());
        assert_eq!(unset, Err(TermsError::NoDrawBlock));
    }

    #[test]
    fn rejects_terms_that_no_bank_opens() {
        let error = |builder: DepositBuilder| builder.build(&tree()).unwrap_err();
        assert_eq!(error(builder().lane(0)), TermsError::ZeroLane);
        let unsigned = DepositBuilder::new(PAYER, Address::ZERO).draw_block(1_000);
        assert_eq!(error(unsigned), TermsError::ZeroSigner);
        let too_high = TermsError::MinPayoutTooHigh {
            min_payout: Amount::new(101),
            amount: Amount::new(100),
        };
        assert_eq!(error(builder().min_payout(Amount::new(101))), too_high);
    }

    #[test]
    fn rejects_empty_windows_at_both_ends() {
        let empty = |block| TermsError::RedeemWindowEmpty {
            draw_block: block,
            last_redeem_block: block,
        };
        let none = builder().redeem_window(0).build(&tree());
        assert_eq!(none, Err(empty(1_000)));
        let last = builder().draw_block(u64::MAX).build(&tree());
        assert_eq!(last, Err(empty(u64::MAX)));
        let last_but_one = builder().draw_block(u64::MAX - 1).build(&tree());
        assert_eq!(last_but_one.unwrap().lastRedeemBlock, u64::MAX);
    }
}
