#![doc = include_str!("../README.md")]

pub mod admission;
pub mod balance;
pub mod compose;
pub mod hall;
pub mod id;
mod math;
pub mod payment;
pub mod peers;
pub mod pool;
#[cfg(feature = "rpc")]
pub mod rpc;
pub mod select;
pub mod store;
pub mod tokens;
pub mod value;
