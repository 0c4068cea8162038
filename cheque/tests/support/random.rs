//! Random values from a fixed seed.

use alloy_primitives::{Address, B256};
use cheque::{MasterSalt, SigningKey};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub(crate) type TestRng = ChaCha8Rng;

pub(crate) fn rng(seed: u64) -> TestRng {
    TestRng::seed_from_u64(seed)
}

pub(crate) fn word(rng: &mut TestRng) -> B256 {
    B256::from(rng.random::<[u8; 32]>())
}

pub(crate) fn account(rng: &mut TestRng) -> Address {
    Address::from(rng.random::<[u8; 20]>())
}

pub(crate) fn key(rng: &mut TestRng) -> SigningKey {
    // Only a fraction of 2^-128 of all words is no key.
    SigningKey::from_bytes(&word(rng).0).expect("a random word as a key")
}

pub(crate) fn salt(rng: &mut TestRng) -> MasterSalt {
    MasterSalt::from_bytes(word(rng).0)
}

pub(crate) fn pick<'a, T>(from: &'a [T], rng: &mut TestRng) -> &'a T {
    &from[rng.random_range(0..from.len())]
}

/// Number of a test's cases: `default`, or the environment variable `CHEQUE_TEST_CASES`.
pub(crate) fn cases(default: usize) -> usize {
    std::env::var("CHEQUE_TEST_CASES").map_or(default, |text| {
        text.parse()
            .expect("CHEQUE_TEST_CASES is the number of cases")
    })
}
