//! The draw: from the seed of a round to the winning payee (SPEC sections 6 and 8).
//!
//! ```text
//! roll = floor((keccak256(seed ‖ depositId) >> 128) * amount / 2^128)
//! full = floor(spent * amount / allowance)
//! full >= minPayout:  payout = full,      range = allowance
//! else:               payout = minPayout, range = floor(spent * amount / minPayout)
//! a cheque wins  <=>  start <= roll < start + range
//! ```

use crate::protocol::{amount::Amount, hash::keccak, terms::DepositId};
use alloy_primitives::{B256, U256};
use cheque_bindings::Deposit;

/// The randomness of a draw: sha256 of the beacon's compressed signature (SPEC section 6). Does not know its round: the
/// caller must get it from a verified round, or from the bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seed(pub B256);

/// Computes the point in `[0, amount)` that the seed selects, rounded down. The chances of any two points differ by at
/// most 2^-128.
///
/// Formula: floor((keccak256(seed ‖ depositId) >> 128) * amount / 2^128), SPEC section 6.
pub fn roll(seed: Seed, deposit: DepositId, amount: Amount) -> Amount {
    let hash = keccak([seed.0.as_slice(), deposit.0.as_slice()]);
    let high = U256::from_be_bytes(hash.0) >> 128;
    // Both factors are below 2^128, and the quotient is below `amount`.
    let point: U256 = (high * amount.to_u256()) >> 128;
    Amount::new(point.to())
}

/// The payout of a winning cheque and the width of its winning range. Plain data, exhaustive by design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payout {
    /// The amount that a win pays, in token units. At most the deposit's amount.
    pub amount: Amount,
    /// The width of the winning range, in token units; the chance is range / deposit's amount. At most the allowance.
    pub range: Amount,
}

/// Computes the payout of a cheque over `spent` of `allowance`, in token units (SPEC section 8).
///
/// `None` if `spent` is zero or above the allowance, or if the allowance or the smallest payout exceeds the deposit's
/// amount. Does not check that the deposit grants the allowance: see
/// [`AllowanceProof::start`](crate::AllowanceProof::start).
///
/// Chance times payout is `spent`. Payout and range round down by less than one unit each, in the payer's favour.
/// Neither falls as `spent` grows.
pub fn payout(spent: Amount, allowance: Amount, deposit: &Deposit) -> Option<Payout> {
    let amount = Amount::new(deposit.amount);
    let min_payout = Amount::new(deposit.minPayout);
    if spent.is_zero() || spent > allowance || allowance > amount || min_payout > amount {
        return None;
    }
    let full = spent.mul_div_floor(amount, allowance)?;
    Some(if full >= min_payout {
        Payout {
            amount: full,
            range: allowance,
        }
    } else {
        Payout {
            amount: min_payout,
            range: spent.mul_div_floor(amount, min_payout)?,
        }
    })
}

impl Payout {
    /// True if `roll` lies in the range from `start`: start <= roll < start + range.
    pub fn wins(&self, start: Amount, roll: Amount) -> bool {
        roll.checked_sub(start)
            .is_some_and(|offset| offset < self.range)
    }

    /// Computes the expected value of a cheque net of `cost`, the cost to redeem a win: floor(range / amount * max(0,
    /// payout - cost)), SPEC section 13.3. All in token units; `amount` is the deposit's.
    pub fn expected_value(&self, amount: Amount, cost: Amount) -> Amount {
        let net = self.amount.saturating_sub(cost);
        // range <= amount, so the value is at most `net`. A deposit of zero pays nothing.
        self.range.mul_div_floor(net, amount).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
