//! 32 providers of which 4 are good.

use super::*;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};

const PROVIDERS: u8 = 32;
const GOOD: [u8; 4] = [3, 11, 17, 30];

#[test]
fn grows_fourfold_up_to_seven_eighths_and_an_8th_of_the_rest() {
    let mut random = ChaCha8Rng::seed_from_u64(0x5eed);
    let mut composer = TestComposer::new();
    let mut expected = SIZE / 8;
    for number in 0..12 {
        next(&mut composer, PROVIDERS, number, 1 << 20);
        let mut used = 0;
        let mut left: Vec<u8> = GOOD.into();
        while !left.is_empty() {
            let position = random.next_u64() as usize % left.len();
            let max = 1 + u128::from(random.next_u64()) % (SIZE / 16);
            match composer.quote(&[left[position]], 1, max, 0) {
                Ok(quote) => {
                    composer.record(&quote).unwrap();
                    used += quote.amount();
                }
                Err(_) => drop(left.swap_remove(position)),
            }
        }
        // Rounding costs less than a unit per provider.
        let off = used.abs_diff(expected);
        assert!(
            off <= u128::from(PROVIDERS),
            "deposit {number}: {used} used, {expected} expected"
        );
        let by_use = (4 * expected).min(SIZE / 8 * 7);
        expected = by_use + (SIZE - by_use) / 8;
        composer = restarted(&composer);
    }
    assert_eq!(expected, SIZE / 64 * 57);
}

#[test]
fn returns_unused_providers_to_their_prior_share() {
    let mut composer = TestComposer::new();
    for number in 0..4 {
        next(&mut composer, PROVIDERS, number, 0);
        for provider in GOOD {
            let all = composer.credit(&[provider], 0).new_remain;
            pay(&mut composer, provider, all);
        }
    }
    for number in 4..40 {
        next(&mut composer, PROVIDERS, number, 0);
    }
    for provider in 0..PROVIDERS {
        let share = composer.credit(&[provider], 0).new_total;
        assert!(share.abs_diff(SIZE / 32) <= 1, "{provider}: {share}");
    }
}

/// Returns the payments to each provider, over `deposits` deposits, of a client that buys each unit of service where
/// it costs least, fees included.
fn bought(deposits: u8, fee: u128, price: impl Fn(u8) -> u128) -> Vec<u128> {
    let mut composer = TestComposer::new();
    let mut paid = vec![0; PROVIDERS.into()];
    next(&mut composer, PROVIDERS, 0, fee);
    for number in 1..deposits {
        while composer.due(0).is_none() {
            let quotes = (0..PROVIDERS).filter_map(|provider| {
                let price = price(provider);
                composer.quote(&[provider], price, price, 0).ok()
            });
            let cheapest = quotes.min_by_key(Quote::cost).unwrap();
            composer.record(&cheapest).unwrap();
            paid[usize::from(cheapest.provider()[0])] += cheapest.amount();
        }
        assert_eq!(composer.due(0), Some(Due::Charged));
        next(&mut composer, PROVIDERS, number, fee);
    }
    paid
}

#[test]
fn avoids_providers_above_the_price_bound_of_the_fee() {
    // A fee of 1/100 of the deposit: the bound is 1 + 2 * 16 / 100 = 1.32.
    let unit = SIZE / 1_024;
    let price = |good, provider: u8| match GOOD.contains(&provider) {
        true => unit,
        false => unit * good / 100,
    };
    let paid = bought(3, SIZE / 100, |provider| price(133, provider));
    for provider in 0..PROVIDERS {
        let used = paid[usize::from(provider)] > 0;
        assert_eq!(used, GOOD.contains(&provider), "{provider}: {paid:?}");
    }
    // Counter-check: slightly more expensive providers are used, to share the fee.
    let paid = bought(3, SIZE / 100, |provider| price(101, provider));
    assert!(
        (0..PROVIDERS).any(|provider| !GOOD.contains(&provider) && paid[usize::from(provider)] > 0)
    );
}
