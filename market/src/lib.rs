#![doc = include_str!("../README.md")]

pub mod balance;
pub mod id;
mod math;
pub mod nodes;
pub mod pool;
pub mod select;
pub mod store;
pub mod tokens;
pub mod value;
