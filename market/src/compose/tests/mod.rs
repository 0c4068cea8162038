mod charging;
mod dividing;
mod life;
mod simulation;

use super::*;
use std::num::{NonZeroU64, NonZeroU128};

pub(super) type Id = [u8; 1];
pub(super) type Nodes = Composer<Id>;

pub(super) const SIZE: u128 = 1 << 40;
/// Of every deposit in these tests.
pub(super) const END: u64 = 1_000;

pub(super) fn size() -> NonZeroU128 {
    NonZeroU128::new(SIZE).unwrap()
}

/// Composes for nodes 0 to `count`, all of prior weight 1, and opens the deposit `number`.
pub(super) fn next(composer: &mut Nodes, count: u8, number: u8, fee: u128) -> Changes<Id> {
    let ids = (0..count).map(|n| [n]);
    let round = composer
        .compose(size(), NonZeroU64::MIN, ids, |_| 1, 0)
        .unwrap()
        .round;
    composer.opened(round, [number; 32], fee, END).unwrap()
}

pub(super) fn pay(composer: &mut Nodes, node: u8, amount: u128) -> Quote<Id> {
    let quote = composer.quote(&[node], amount, amount, 0).unwrap();
    composer.record(&quote).unwrap();
    quote
}

/// What a restart makes of a composer.
pub(super) fn restarted(composer: &Nodes) -> Nodes {
    Composer::from_bytes(&composer.to_bytes()).unwrap()
}
