//! The defaults of a policy, and its check when a payee starts.

use super::*;
use crate::protocol::{
    chain_profile::KnownToken,
    now::Freshness,
    receive::policy::{PolicyError, redeem_gas},
};

fn policy(chain: u64) -> Policy {
    let bank = Bank::new(chain, Address::repeat_byte(0xba));
    let profile = ChainProfile::of(chain).unwrap();
    Policy::new(Address::repeat_byte(0x11), bank, profile)
}

#[test]
fn has_the_defaults_of_the_specification() {
    let policy = policy(1);
    assert_eq!((policy.cutoff, policy.max_horizon), (30, 604_800));
    assert_eq!((policy.min_window, policy.finality), (21_600, 1_536));
    assert_eq!(
        policy.freshness,
        Some(Freshness {
            max_ahead: 10,
            max_head_age: 60,
            max_round_age: 60
        })
    );
    assert_eq!(
        (policy.max_unsettled_costs, policy.min_payout_per_cost),
        (50, 10)
    );
    assert_eq!(policy.max_steps, 1_024);
    let coin = TokenLimits {
        max_deposit: None,
        max_exposure: Amount::new(1_000_000_000_000_000_000),
    };
    assert_eq!(policy.tokens.get(&Address::ZERO), Some(&coin));
    assert_eq!(policy.tokens.len(), 1);
}

#[test]
fn limits_a_known_token_to_a_thousand_dollars() {
    let exposure = |decimals| {
        let token = KnownToken {
            address: Address::repeat_byte(1),
            symbol: "USD",
            decimals,
            authorization: true,
        };
        TokenLimits::from(&token)
    };
    assert_eq!(
        exposure(6),
        TokenLimits::exposure(Amount::new(1_000_000_000))
    );
    assert_eq!(exposure(0).max_exposure, Amount::new(1_000));
    let largest = 10_u128.pow(38);
    assert_eq!(exposure(35).max_exposure, Amount::new(largest));
    assert_eq!(exposure(36).max_exposure, Amount::MAX);
    assert_eq!(exposure(255).max_exposure, Amount::MAX);
}

#[test]
fn needs_a_cutoff_longer_than_a_slow_clock_and_a_round() {
    let mut policy = policy(1);
    // 10 s ahead, a round every 3 s, 10 s into the store.
    policy.cutoff = 23;
    assert_eq!(policy.check(2_400, 3), Ok(()));
    policy.cutoff = 22;
    let short = |cutoff, max_ahead, period, min| {
        Err(PolicyError::CutoffTooShort {
            cutoff,
            max_ahead,
            period,
            min,
        })
    };
    assert_eq!(policy.check(2_400, 3), short(22, 10, 3, 23));
    assert_eq!(policy.check(2_400, 2), Ok(()));
    policy.cutoff = 30;
    assert_eq!(policy.check(2_400, 10), Ok(()));
    assert_eq!(policy.check(2_400, 11), short(30, 10, 11, 31));
    policy.freshness = Some(Freshness {
        max_ahead: u64::MAX,
        ..Freshness::DEFAULT
    });
    assert_eq!(policy.check(2_400, 3), short(30, u64::MAX, 3, u64::MAX));
}

#[test]
fn needs_a_lead_as_long_as_finality() {
    let policy = policy(8453);
    assert_eq!(policy.check(2_400, 3), Ok(()));
    assert_eq!(
        policy.check(2_399, 3),
        Err(PolicyError::LeadTooShort {
            min_lead: 2_399,
            finality: 2_400
        })
    );
}

#[test]
fn accepts_any_cutoff_and_lead_without_freshness() {
    let mut policy = policy(31_337);
    assert_eq!(policy.check(1, 1), Ok(()));
    policy.cutoff = 0;
    policy.finality = u64::MAX;
    assert_eq!(policy.check(1, u64::MAX), Ok(()));
}

#[test]
fn listed_chains_pass_the_check_with_the_pinned_bank() {
    for profile in crate::protocol::chain_profile::PROFILES {
        let checked = policy(profile.chain_id).check(cheque_bindings::MIN_LEAD, 3);
        assert_eq!(checked, Ok(()), "{}", profile.name);
    }
}

#[test]
fn counts_gas_for_each_level_and_step() {
    let base = redeem_gas(0, 0);
    assert_eq!(redeem_gas(40, 0), base + 40_000);
    assert_eq!(redeem_gas(0, 4_096), base + 4_096 * 58);
    assert_eq!(redeem_gas(7, 1_024), base + 7_000 + 59_392);
}
