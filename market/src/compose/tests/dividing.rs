use super::super::share::{Claim, divide};
use proptest::prelude::*;

fn amounts(size: u128, claims: &[(u128, u64)]) -> (Vec<u128>, bool) {
    let claim = |&(future, prior): &(u128, u64)| Claim { future, prior };
    let claims: Vec<Claim> = claims.iter().map(claim).collect();
    let shares = divide(size, &claims).unwrap();
    (shares.amounts, shares.all_served)
}

#[test]
fn serves_credit_up_to_seven_eighths_in_full() {
    let shared = amounts(800, &[(300, 0), (400, 0), (0, 1), (0, 3)]);
    assert_eq!(shared, (vec![300, 400, 25, 75], true));
}

#[test]
fn scales_more_credit_down_to_seven_eighths() {
    let shared = amounts(800, &[(3_000, 1), (11_000, 1)]);
    assert_eq!(shared, (vec![150 + 50, 550 + 50], false));
}

#[test]
fn rounds_seven_eighths_and_their_shares_down() {
    // 9 units: 7 by use, 2 by prior weight; of the 7, two providers get 3 each, and the remaining unit joins the 2.
    assert_eq!(amounts(9, &[(50, 1), (50, 0)]), (vec![6, 3], false));
}

#[test]
fn divides_largest_amounts_exactly() {
    let (shared, _) = amounts(u128::MAX, &[(u128::MAX, u64::MAX); 3]);
    assert_eq!(shared.iter().sum::<u128>(), u128::MAX);
}

#[test]
fn divides_nothing_without_priors() {
    let claim = Claim {
        future: 5,
        prior: 0,
    };
    assert!(divide(100, &[claim]).is_none());
    assert!(divide(100, &[]).is_none());
}

fn claims() -> impl Strategy<Value = Vec<(u128, u64)>> {
    let future = (any::<u128>(), 0u32..129)
        .prop_map(|(future, shift)| future.checked_shr(shift).unwrap_or(0));
    let prior =
        (any::<u64>(), 0u32..65).prop_map(|(prior, shift)| prior.checked_shr(shift).unwrap_or(0));
    prop::collection::vec((future, prior), 1..40)
        .prop_filter("a prior", |claims| claims.iter().any(|claim| claim.1 > 0))
}

proptest! {
    #[test]
    fn divides_exactly_with_an_eighth_by_prior_weight(
        bits: u128, shift in 0u32..128, claims in claims(),
    ) {
        let size = (bits >> shift).max(1);
        let (shared, all_served) = amounts(size, &claims);
        prop_assert_eq!(shared.iter().try_fold(0u128, |sum, one| sum.checked_add(*one)), Some(size));

        let priors: u128 = claims.iter().map(|claim| u128::from(claim.1)).sum();
        let eighth = size.div_ceil(8);
        for ((future, prior), amount) in claims.iter().zip(shared) {
            // In parts, so that the product fits.
            let weight = u128::from(*prior);
            let min = eighth / priors * weight;
            prop_assert!(amount >= min, "{amount} is below the share by prior weight, {min}");
            prop_assert!(!all_served || amount >= *future);
        }
    }
}
