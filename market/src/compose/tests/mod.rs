mod charging;
mod dividing;
mod life;
mod simulation;

use super::*;
use std::num::{NonZeroU64, NonZeroU128};

pub(super) type Id = [u8; 1];
pub(super) type TestComposer = Composer<Id>;

pub(super) const SIZE: u128 = 1 << 40;
/// End of every deposit in these tests.
pub(super) const END: u64 = 100_000;

pub(super) fn size() -> NonZeroU128 {
    NonZeroU128::new(SIZE).unwrap()
}

/// Composes for providers 0 to `count`, all of prior weight 1, and opens the deposit `number`.
pub(super) fn next(composer: &mut TestComposer, count: u8, number: u8, fee: u128) -> Changes<Id> {
    let ids = (0..count).map(|n| [n]);
    let round = composer
        .compose(size(), NonZeroU64::MIN, ids, |_| 1, 0)
        .unwrap()
        .round;
    composer.opened(round, [number; 32], fee, END).unwrap()
}

pub(super) fn pay(composer: &mut TestComposer, provider: u8, amount: u128) -> Quote<Id> {
    let quote = composer.quote(&[provider], amount, amount, 0).unwrap();
    composer.record(&quote).unwrap();
    quote
}

/// Returns the composer after a restart.
pub(super) fn restarted(composer: &TestComposer) -> TestComposer {
    Composer::from_bytes(&composer.to_bytes()).unwrap()
}
