//! The client of the beacon: rounds over drand's public HTTP API, from several relays.
//!
//! A relay is never trusted: every signature is verified here, so a relay can only delay. One good relay is enough.
//! [`BeaconClient::newest`] tells the newest round, the third clock of *now*; [`BeaconClient::round`] fetches a round,
//! and [`BeaconClient::wait`] waits for its second.
//!
//! ```no_run
//! # async fn example() -> Result<(), cheque::beacon::BeaconError> {
//! use cheque::beacon::BeaconClient;
//! use std::time::Duration;
//!
//! let client = BeaconClient::quicknet()?;
//! let round = client.beacon().round_at(1_692_806_364)?;
//! let drawn = client.wait(round, Duration::from_secs(60)).await?;
//! println!("seed {}", drawn.seed().0); // what `curl .../public/1000` calls randomness
//! # Ok(())
//! # }
//! ```

mod client;
mod error;
mod flight;
mod health;
#[cfg(feature = "local-beacon")]
mod local;
mod poll;
mod public;
mod relay;
mod wait;

pub use client::{BeaconClient, BeaconLimits};
pub use error::{BeaconError, RelayError};
pub use health::RelayState;
#[cfg(feature = "local-beacon")]
pub use local::LocalRelay;
pub use public::QUICKNET_RELAYS;
