//! Proves that what this crate says about the contract is what the contract's sources compile to, and what the compiled
//! code does when an EVM runs it.

mod abi;
mod artifacts;
mod bytecode;
mod chain;
mod eip712;
mod signed;
