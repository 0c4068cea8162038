mod charges;
mod events;
mod listing;
mod notices;
mod operations;
mod properties;
mod restarts;

use super::*;
use crate::{
    store::{Batch, Failing, Memory, Store},
    value::ExpirationRate,
};
use std::{num::NonZeroU64, sync::Arc};

pub(super) type Id = [u8; 32];
pub(super) type Tracker = BalanceTracker<Id, Arc<Memory>>;

pub(super) const SECOND: u64 = 1_000_000_000;
pub(super) const HOUR: u64 = 3_600 * SECOND;
pub(super) const PREFIX: &[u8] = b"market:";
pub(super) const HOME: &[u8] = b"127.0.0.1";

pub(super) fn id(n: u8) -> Id {
    [n; 32]
}

/// Returns prices of one token per nanosecond, of either sign.
pub(super) fn one_per_ns() -> ServicePrices {
    let factors = PriceFactors {
        time: SECOND.into(),
        ..PriceFactors::default()
    };
    ServicePrices {
        positive: factors,
        negative: factors,
    }
}

pub(super) fn half_lives(positive_ns: u64, negative_ns: u64) -> BalanceSettings {
    let rate =
        |ns| NonZeroU64::new(ns).map_or(ExpirationRate::NEVER, ExpirationRate::from_half_life);
    BalanceSettings {
        positive_rate: rate(positive_ns),
        negative_rate: rate(negative_ns),
        ..BalanceSettings::default()
    }
}

pub(super) fn open(store: &Arc<Memory>, settings: BalanceSettings, now: u64) -> Tracker {
    BalanceTracker::open(Arc::clone(store), PREFIX, settings, now).unwrap()
}

/// Connects a client, at a capacity of 1 for the prices of time to count.
pub(super) fn connect<S: Store>(
    tracker: &mut BalanceTracker<Id, S>,
    n: u8,
    address: &[u8],
    now: u64,
) {
    tracker.connect(id(n), address, now).unwrap();
    tracker.set_capacity(&id(n), 1, now).unwrap();
}

/// Returns a tracker with client 1 connected from home at time 0.
pub(super) fn connected(prices: ServicePrices) -> Tracker {
    let mut tracker = open(&Arc::default(), BalanceSettings::default(), 0);
    tracker.set_default_prices(prices);
    connect(&mut tracker, 1, HOME, 0);
    tracker
}

pub(super) fn set(tracker: &mut Tracker, n: u8, positive: u64, negative: u64, now: u64) {
    let set = tracker.operation(&id(n), Some(HOME), now, |balance| {
        balance.set(Balances { positive, negative })
    });
    set.unwrap();
}

pub(super) fn balances(tracker: &Tracker, n: u8, now: u64) -> (u64, u64) {
    let Balances { positive, negative } = tracker.balances(&id(n), now).unwrap();
    (positive, negative)
}

/// Returns the balances of a client, connected or not.
pub(super) fn stored_balances(tracker: &mut Tracker, n: u8, now: u64) -> (u64, u64) {
    let found = tracker.operation(&id(n), Some(HOME), now, |balance| {
        Ok::<_, LoadBalanceError>(balance.balances())
    });
    let Balances { positive, negative } = found.unwrap();
    (positive, negative)
}
