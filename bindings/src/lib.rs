//! The `ChequeBank` contract as Rust types: no network, no keys, no clock.
//!
//! All types are derived at compile time from one file, `contracts/src/interfaces/IChequeBank.sol`: structs with their
//! EIP-712 hashes
//! ([`SolStruct`](alloy_sol_types::SolStruct)), calls, events and errors. Signed messages also need the bank's
//! [`domain`].
//!
//! The crate also has the contract's creation [`BYTECODE`] and the addresses that follow: a bank with the same settings
//! has the same address on every chain ([`create2_address`]).
//!
//! Redemptions are sent packed: [`Redemption::pack`].
//!
//! Decoding checks the form only: a decoded [`Deposit`] may have impossible terms.
//!
//! Feature `rpc` (off by default) adds `IChequeBank::new(address, provider)`, an `alloy-contract` instance with one
//! method per function. Nothing else in this crate can reach a network.

mod bytecode;
mod deployments;
mod domain;
mod interface;
mod redemption;

pub use bytecode::{
    BYTECODE, CREATE2_DEPLOYER, CREATE2_SALT, create2_address, create2_input, creation_code,
};
pub use deployments::{
    DEFAULT_MIN_LEAD, Deployment, LOCAL_CHAIN, LOCAL_MIN_LEAD, VERIFIED, default_deployment,
    verified_deployment,
};
pub use domain::{NAME, VERSION, domain};
pub use interface::IChequeBank;
#[doc(inline)]
pub use interface::IChequeBank::{
    Authorization, Cheque, Consent, Deposit, Fund, Open, Outcome, Redemption, SeedSource, Withdraw,
};
#[doc(inline)]
pub use interface::IChequeBank::{
    Funded, Opened, Reclaimed, Redeemed, SeedRecorded, Skipped, Withdrawn,
};
#[doc(inline)]
pub use interface::IChequeBank::{IChequeBankCalls, IChequeBankErrors, IChequeBankEvents};
pub use redemption::{PackError, UnpackError};
