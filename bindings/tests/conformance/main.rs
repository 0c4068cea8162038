//! Compares this crate with the compiled contract: its ABI and bytecode, and its behaviour in an EVM.

mod abi;
mod artifacts;
mod bytecode;
mod chain;
mod eip712;
mod signed;
