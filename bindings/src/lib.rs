//! The `ChequeBank` contract as Rust types: no network, no keys, no clock.
//!
//! All types are derived at compile time from the files in `contracts/src/interfaces`: structs with their EIP-712 hashes
//! ([`SolStruct`](alloy_sol_types::SolStruct)), calls, events and errors. `IChequeBank` is what every bank has,
//! `IDrandBank` what a bank with a drand beacon has besides. Signed messages also need the bank's [`domain`].
//!
//! The crate also has the creation [`BYTECODE`] of a `DrandBank` and the addresses that follow: a bank with the same
//! settings has the same address on every chain ([`create2_address`]).
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
    BeaconParameters, Deployment, LOCAL_CHAIN, MIN_LEAD, PINNED_BANK, PINNED_INIT_CODE_HASH,
    QUICKNET, VERIFIED, default_deployment, verified_deployment,
};
pub use domain::{NAME, VERSION, domain};
#[doc(inline)]
pub use interface::IChequeBank::{
    Authorization, Cheque, Consent, Deposit, Fund, Open, Outcome, Redemption, Withdraw,
};
#[doc(inline)]
pub use interface::IChequeBank::{
    Funded, NonceConsumed, Opened, Reclaimed, Redeemed, SeedRecorded, Skipped, Withdrawn,
};
#[doc(inline)]
pub use interface::IChequeBank::{IChequeBankCalls, IChequeBankErrors, IChequeBankEvents};
#[doc(inline)]
pub use interface::IDrandBank::{IDrandBankCalls, IDrandBankErrors};
pub use interface::{IChequeBank, IDrandBank};
pub use redemption::{PackError, UnpackError};
