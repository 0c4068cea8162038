//! Capacity by priority.
//!
//! A [`PriorityPool`] shares a limited capacity, and a limited number of slots, among connected clients. A client is
//! inactive or has at least the minimum capacity. If capacity is short, the client of the lowest
//! [`Priority`](crate::balance::Priority) at its capacity yields first: step by step down to the minimum, then all of
//! it. So clients above the minimum end with nearly equal priorities, and with capacities in proportion to their
//! tokens.
//!
//! Clients are kept in order of their ranks while these change with time, so the work of a payment, a request or a
//! connection grows with the logarithm of the number of clients, and with the number of clients that yield.
//!
//! A [`CapacityCurve`] predicts the capacity for a priority.
//!
//! A [`ClientPool`] joins the pool with a [`BalanceTracker`](crate::balance::BalanceTracker): a client without tokens
//! gets at most the minimum capacity and, if there is no room, is to be disconnected after a grace period.
//!
//! ```
//! use cheque_market::{balance::*, pool::*, store::Memory};
//! use std::num::NonZeroU64;
//!
//! const SECOND: u64 = 1_000_000_000;
//!
//! // Ten tokens a second, and five more for each million of capacity.
//! let prices = PriceFactors { time: 10.into(), capacity: 5.into(), request: Price::ZERO };
//! let balances = BalanceSettings {
//!     prices: ServicePrices { positive: prices, negative: prices },
//!     ..BalanceSettings::default()
//! };
//! let tracker = BalanceTracker::<[u8; 32], _>::open(Memory::new(), b"market:", balances, 0)?;
//! let number = |n| NonZeroU64::new(n).ok_or("zero");
//! let mut clients = ClientPool::new(tracker, ClientPoolSettings {
//!     pool: PoolSettings {
//!         min_capacity: number(1_000_000)?,
//!         active_bias_ns: SECOND,
//!         step_divisor: number(10)?,
//!         fine_step_divisor: number(100)?,
//!     },
//!     grace_period_ns: 10 * SECOND,
//!     connected_bias_ns: 60 * SECOND,
//! });
//! clients.set_limits(Limits { count: 100, capacity: 10_000_000 }, 0);
//!
//! let (one, other) = ([1; 32], [2; 32]);
//! assert_eq!(clients.connect(one, b"192.0.2.1", 0)?, 1_000_000);
//! clients.tracker_mut().add_balance(&one, 80_000, 0)?;
//! assert_eq!(clients.set_capacity(&one, 9_500_000, 0, 0)?, 9_500_000);
//! // A second client fits only if the first yields, which needs tokens.
//! assert_eq!(clients.connect(other, b"192.0.2.2", 0)?, 0);
//! clients.tracker_mut().add_balance(&other, 40_000, SECOND)?;
//! clients.poll(SECOND)?;
//! assert_eq!(clients.pool().capacity(&other), Some(1_000_000));
//! assert_eq!(clients.pool().capacity(&one), Some(8_550_000));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub(crate) mod clients;
pub(crate) mod curve;
mod grace;
pub(crate) mod plan;
pub(crate) mod priority_pool;
mod ranking;
pub(crate) mod set_capacity;
pub(crate) mod state;
pub(crate) mod tentative;
#[cfg(test)]
mod tests;
pub(crate) mod types;

pub use clients::{ClientPool, ClientPoolSettings, PoolEvent};
pub use curve::CapacityCurve;
pub use plan::CapacityPlan;
pub use priority_pool::PriorityPool;
pub use set_capacity::SetCapacityError;
pub use types::{CapacityChange, Granted, Limits, NotInPool, PoolSettings, Priorities};
