#![doc = include_str!("../README.md")]

mod math;
pub mod value;
