mod events;
mod params;
mod repairs;
mod server;
mod service;

use super::*;
use crate::{balance::*, pool::*, store::Failing};
use serde_json::{Value, json};
use std::{num::NonZeroU64, sync::Arc};

pub(super) type Id = [u8; 2];
pub(super) type Store = Arc<Failing>;
pub(super) type Market = Operator<Id, Store>;

pub(super) const SECOND: u64 = 1_000_000_000;
pub(super) const MILLION: i64 = 1_000_000;

pub(super) fn open(store: &Store) -> Market {
    try_open(store).unwrap()
}

pub(super) fn try_open(store: &Store) -> Result<Market, OperatorError> {
    let tracker =
        BalanceTracker::open(Arc::clone(store), b"market:", BalanceSettings::default(), 0);
    let positive = |n| NonZeroU64::new(n).unwrap();
    let settings = ClientPoolSettings {
        pool: PoolSettings {
            min_capacity: positive(100),
            active_bias_ns: 1,
            step_divisor: positive(10),
            fine_step_divisor: positive(100),
        },
        grace_period_ns: SECOND,
        connected_bias_ns: 0,
    };
    let clients = ClientPool::new(tracker.unwrap(), settings);
    let mut operator = Operator::open(clients, Arc::clone(store), b"market:")?;
    limit(&mut operator, 1_000, 0);
    operator.take_events();
    Ok(operator)
}

/// Announces ten slots and `capacity`.
pub(super) fn limit(operator: &mut Market, capacity: u64, now: u64) {
    let limits = Limits {
        count: 10,
        capacity,
    };
    operator.set_limits(limits, now);
}

/// Connects client 1 with 5,000,000 tokens, and client 2 without tokens.
pub(super) fn two_clients(operator: &mut Market) {
    for n in 1..=2 {
        operator.connect(&[n, n], b"home", 0).unwrap();
    }
    operator.add_balance(&[1, 1], 5 * MILLION, 0).unwrap();
    operator.poll(0).unwrap();
    operator.take_events();
}

pub(super) fn set(value: Value) -> Params {
    value.as_object().unwrap().clone()
}

pub(super) fn error_text<T: std::fmt::Debug>(result: Result<T, OperatorError>) -> String {
    result.unwrap_err().to_string()
}
