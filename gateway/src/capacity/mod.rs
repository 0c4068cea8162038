//! Capacity: which of the forwarded requests are served now, which wait, and which are told to come back.
//!
//! Every request that goes to the upstream takes a [`Ticket`], paid or free, and gives it back at its end with what it has
//! really cost. [`cheque_market::admission`] decides; this room has its clock, its waiting tasks and its lock.
//!
//! The file of offers says how much there is, and what requests cost. Without `[capacity]` there is no limit.
//!
//! ```toml
//! [capacity]
//! total = 100_000                          # cost units per second
//! burst = 50_000                           # at once, after idle time; without it as much as total
//! account = { rate = 20_000, burst = 40_000 }
//! free = { min_percent = 1, max_percent = 10, rate = 100, burst = 500 }
//!
//! [[capacity.tier]]                        # for accounts that have paid so much in ten minutes
//! paid = { usdc = 5_000_000 }
//! rate = 50_000
//!
//! [[route]]
//! path = "/rpc"
//! price = { usdc = 10 }
//! cost = { call = 5, per_kib = 2, per_ms = 1, max = 200, rpc = { eth_getLogs = 50 } }
//! ```
//!
//! # Money
//!
//! A paid request takes its ticket after its price is reserved, durably, and before it is forwarded. So nobody is forwarded
//! without a payment, and only requests that are covered stand in the queue: requests without money cannot fill it. Nobody
//! loses money by waiting: a request that is not served within two seconds is settled as not forwarded, which releases the
//! reservation, and its payment is valid for the same request again. A crash releases it at the end of its lease, which is
//! longer than the wait. What is refused at once anyway, by a full queue or by the account's own rate, is refused before the
//! reservation by [`Capacity::room`], so that a crowd costs no writes.
//!
//! # Weights
//!
//! An account weighs what it was charged in the last ten minutes, and the price of the request itself. A balance does not
//! count, neither do attempts that were not served. [`CapacityTerms`](crate::offers::CapacityTerms) compares tokens.

mod enter;
mod shell;
mod ticket;

#[cfg(test)]
mod tests;

pub use cheque_market::admission::Refusal;
pub use shell::Capacity;
pub use ticket::{Metered, Ticket};
