//! Admission of requests that are paid in money: who is served now, who waits, and who is refused.
//!
//! A provider has a capacity in cost units per second. [`Admission`] gives it away; it has no clock, queue of tasks or
//! network, and takes the time as an argument.
//!
//! - An account has a bucket of cost units, refilled at the rate of its [`Tier`] up to the tier's burst.
//! - Requests that find no capacity wait in a bounded queue, for two seconds at most. The queue is weighted fair: an
//!   account's share is proportional to its payments of the last ten minutes, which count less with age. Within an
//!   account the first request comes first. The price of a request counts as paid for its own place. A balance gives no
//!   share: idle money would stand in front for ever.
//! - Clients that do not pay are known by their network [`Prefix`]. All together have 1 % to 10 % of the capacity: the
//!   upper bound while no paid request waits, the lower bound always.
//!
//! A request takes the most that it can use, and gives back at its end what it has not used. A refused request takes
//! nothing from any bucket, and the refusal says when to come back.
//!
//! The used units of the requests that are admitted in any time never exceed that time at full capacity and one burst.

mod account;
mod bucket;
mod free;
mod grant;
mod leaving;
mod paid;
mod queue;
mod settings;
#[cfg(test)]
mod tests;

pub use free::Prefix;
pub use grant::{FreeGrant, Grant};
pub use paid::{Admission, Decision, Outcome, Ticket};
pub use settings::{
    AdmissionSettings, Demand, FreeSettings, QueueSettings, Refusal, SettingsError, Tier,
};
