//! Balances of service tokens, what they are spent on, and the priority they give.
//!
//! A client has a *positive* balance of tokens, kept by its id. Connection, capacity and requests are charged to it at
//! [`Prices`]. What it does not cover accrues to a *negative* balance, kept by network address, so that free service is
//! rationed to whoever comes back under another name. Both expire, each at its own rate.
//!
//! A client's [`Priority`] is its tokens divided by its capacity or, without tokens, minus its debt.
//!
//! The [`BalanceTracker`] has no clock or thread. The host passes the time in nanoseconds, which must not go back, calls
//! [`BalanceTracker::poll`] at [`BalanceTracker::next_event`] or later, and acts on the [`BalanceEvent`]s it returns.
//!
//! # What survives
//!
//! What an operation changed is stored when it returns. What connected clients use is charged in memory and stored every
//! five minutes, when they disconnect and by [`BalanceTracker::save`]: a process that is killed forgets to charge for
//! the last minutes, never what was paid in. Every write stores the offsets of its moment with it, in the same
//! transaction, and they are loaded before anything else: a balance is never read with an offset that is older than
//! itself.

mod node;
mod notice;
mod operation;
mod price;
mod priority;
mod records;
#[cfg(test)]
mod tests;
mod tracker;
mod upkeep;

pub use node::Estimate;
pub use notice::{Charged, Notice};
pub use operation::{Added, BalanceOperation, Balances, ChangeBalanceError};
pub use price::{PriceFactors, Prices};
pub use priority::Priority;
pub use records::LoadBalanceError;
pub use tracker::{
    BalanceEvent, BalanceSettings, BalanceTracker, ConnectError, DisconnectError, NotConnected,
};
