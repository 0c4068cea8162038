//! How a deposit is divided.

use ruint::aliases::U256;

/// What one node brings into the division.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    /// Future credit, in token units.
    pub(super) future: u128,
    /// Prior weight.
    pub(super) prior: u64,
}

/// The outcome of a division.
#[derive(Debug)]
pub(super) struct Shares {
    /// One for each claim, in their order, in token units. Their sum is exactly the deposit.
    pub(super) amounts: Vec<u128>,
    /// Whether all future credit was served.
    pub(super) all_served: bool,
}

/// Divides `size` token units: up to 7/8 (rounded down) by future credit, the rest by prior weight. `None` where all
/// priors are 0: nobody could be given the rest.
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
