//! Division of a deposit.

use ruint::aliases::U256;

/// One provider's claim on a deposit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    /// Future credit, in token units.
    pub(super) future: u128,
    /// Prior weight.
    pub(super) prior: u64,
}

/// Outcome of a division.
#[derive(Debug)]
pub(super) struct Shares {
    /// One amount for each claim, in the same order, in token units. Their sum is exactly the deposit.
    pub(super) amounts: Vec<u128>,
    /// True if all future credit is served.
    pub(super) all_served: bool,
}

/// Divides `size` token units: up to 7/8 (rounded down) by future credit, the rest by prior weight. `None` if all
/// priors are 0, because the rest has no recipient.
pub(super) fn divide(size: u128, claims: &[Claim]) -> Option<Shares> {
    let by_use = size - size.div_ceil(8);
    let futures: U256 = claims.iter().map(|claim| U256::from(claim.future)).sum();
    let priors: U256 = claims.iter().map(|claim| U256::from(claim.prior)).sum();
    if priors.is_zero() {
        return None;
    }
    let all_served = futures <= U256::from(by_use);
    let used = |future: u128| -> u128 {
        if all_served {
            return future;
        }
        // Below 2^128: no future exceeds their sum.
        (U256::from(future) * U256::from(by_use) / futures).saturating_to()
    };
    let mut amounts: Vec<u128> = claims.iter().map(|claim| used(claim.future)).collect();

    let rest = U256::from(size - amounts.iter().sum::<u128>());
    let (mut weight, mut given) = (U256::ZERO, U256::ZERO);
    for (amount, claim) in amounts.iter_mut().zip(claims) {
        weight += U256::from(claim.prior);
        let up_to_here = rest * weight / priors;
        *amount += (up_to_here - given).saturating_to::<u128>();
        given = up_to_here;
    }
    Some(Shares {
        amounts,
        all_served,
    })
}
