//! What every store must do, run against all of them, and what each adds.

#![cfg(all(feature = "redb", unix))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod backup;
mod conformance;
#[path = "../common/disk.rs"]
mod disk;
mod faults;
mod file;
#[cfg(feature = "postgres")]
mod host;
mod kills;
#[cfg(feature = "postgres")]
mod looking;
mod metas;
#[cfg(feature = "postgres")]
#[path = "../postgres/mod.rs"]
mod postgres;
#[path = "../common/repeat.rs"]
mod repeat;
mod secrets;
#[cfg(feature = "postgres")]
mod shared;
#[cfg(feature = "postgres")]
mod silence;
mod tasks;
