//! Balances of service tokens, charges to them, and priorities.
//!
//! A client has a *positive* balance of tokens under its id. Connection, capacity and requests are charged to this
//! balance at [`ServicePrices`]; time without capacity is free. An uncovered rest accrues to a *negative* balance under the client's network
//! address, so that free service is rationed even to clients that return under another name. Both expire, each at its
//! own rate.
//!
//! A client's [`Priority`] is its tokens divided by its capacity or, without tokens, minus its debt.
//!
//! The [`BalanceTracker`] has no clock or thread. The host passes the time in nanoseconds, which must not go back,
//! calls [`BalanceTracker::poll`] at [`BalanceTracker::next_event`] or later, and acts on the returned
//! [`BalanceEvent`]s.
//!
//! # Durability
//!
//! The changes of an operation are stored when the operation returns. Charges to connected clients accrue in memory
//! and are stored every five minutes, on disconnection and by [`BalanceTracker::save`]: a killed process loses the
//! last minutes of charges, and never a payment. Every write includes the offsets of its moment in the same
//! transaction, and offsets are loaded first: a balance is never read at an offset older than the balance.

pub(crate) mod client_balance;
mod crossing;
pub(crate) mod decimal;
pub(crate) mod error;
pub(crate) mod expiration;
pub(crate) mod listing;
pub(crate) mod notice;
pub(crate) mod operation;
pub(crate) mod price;
pub(crate) mod priority;
pub(crate) mod queries;
pub(crate) mod records;
pub(crate) mod schedule;
pub(crate) mod staging;
pub(crate) mod tally;
#[cfg(test)]
mod tests;
pub(crate) mod tracker;
pub(crate) mod types;
pub(crate) mod undo;
pub(crate) mod upkeep;

pub use decimal::{Price, PriceError};
pub use error::{
    ChangeBalanceError, ConnectError, DisconnectError, LoadBalanceError, NotConnected,
};
pub use operation::BalanceOperation;
pub use price::{PriceFactors, ServicePrices};
pub use priority::Priority;
pub use tracker::BalanceTracker;
pub use types::{Added, BalanceEvent, BalanceSettings, Balances, Charged, Forecast, Notice};
