//! The `ChequeBank` contract as Rust types: no network, no keys, no clock.
//!
//! Everything that is sent to a bank, read from it, hashed or signed for it is derived from one file,
//! `contracts/src/interfaces/IChequeBank.sol`, at compile time: structs with their EIP-712 hashes
//! ([`SolStruct`](alloy_sol_types::SolStruct)), calls, events and errors. Signed messages also need the bank's
//! [`domain`].
//!
//! The types say what is well-formed, not what is true: decoding a [`Deposit`] checks none of its terms.
//!
//! Feature `rpc` (off by default) adds `IChequeBank::new(address, provider)`, an `alloy-contract` instance with one
//! method per function. Nothing else in this crate can reach a network.

mod domain;
mod interface;

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
