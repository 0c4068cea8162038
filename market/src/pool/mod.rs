//! Who is served when capacity is short.
//!
//! A [`PriorityPool`] shares a limited capacity, and a limited number of places, among connected clients. A client is
//! inactive or has at least the minimum capacity. When there is too little, the client of the lowest
//! [`Priority`](crate::balance::Priority) at its capacity gives way first: step by step down to the minimum, then
//! altogether. So the priorities of all who have more than the minimum come out nearly equal, and their capacities
//! proportional to their tokens.
//!
//! A [`CapacityCurve`] says beforehand how much of it which priority would get.
//!
//! A [`ClientPool`] joins the pool with a [`BalanceTracker`](crate::balance::BalanceTracker): clients without tokens keep
//! to the minimum, and those of them for whom there is no room are to be disconnected after a while.

mod clients;
mod curve;
mod priority_pool;
mod tentative;
#[cfg(test)]
mod tests;

pub use clients::{ClientPool, ClientPoolSettings, PoolEvent, SetCapacityError};
pub use curve::CapacityCurve;
pub use priority_pool::{
    CapacityChange, Granted, Limits, NotInPool, PoolSettings, Priorities, PriorityPool,
};
