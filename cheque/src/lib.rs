//! Probabilistic payments on Ethereum: one deposit, micropayments to many payees, one draw, one redemption.
//!
//! The protocol at the root of this crate has no IO: no socket, file, clock or random number generator.
//! Chain view, time and random numbers are arguments; results are values to store or send.
//!
//! A payer locks a deposit for many payees, with an allowance for each. The payer pays off-chain, by signed, cumulative
//! cheques that work like lottery tickets. The randomness of a public beacon selects a payee, which redeems its newest
//! cheque. Chance times payout is the sum paid. `SPEC.md` in the repository defines the protocol.
//!
//! ```
//! use cheque::*;
//!
//! // The payer: one deposit for two payees, drawn in a day. Amounts are in wei.
//! let key = SigningKey::from_bytes(&[7; 32])?; // from a key store
//! let (payer, alice, bob) = (Address::repeat_byte(1), Address::repeat_byte(0xa1), Address::repeat_byte(0xb0));
//! let allowances = [(alice, Amount::new(3_000_000)), (bob, Amount::new(1_000_000))];
//! let tree = AllowanceTree::build(allowances, &MasterSalt::from_bytes([9; 32]))?; // from a random number generator
//! let terms = DepositBuilder::new(payer, key.address()).draw_time(1_800_086_400).min_payout(Amount::new(500_000));
//! let deposit = terms.build(&tree)?;
//! let bank = Bank::new(1, Address::repeat_byte(0xba));
//! let id = bank.deposit_id(&deposit);
//!
//! // The payer pays Alice 20,000 wei: first the new account to disk, then the proof to Alice.
//! let context = ChequeContext { key: &key, bank: &bank, deposit: id, payee: alice };
//! let account = Account::new(Amount::new(3_000_000)).write_cheque(Amount::new(20_000), &context)?;
//! let (cheque, allowance) = (*account.newest().unwrap(), tree.proof(alice).unwrap());
//! let proof = Proof::Opening(Box::new(Opening { bank, deposit, payee: alice, allowance, cheque })).to_string();
//!
//! // Alice, elsewhere: the value of this payment, given her policy and her view of the chain.
//! let policy = Policy::new(alice, bank, ChainProfile::of(1)?);
//! let view = View {
//!     now: Now { clock: 1_800_000_003, head_time: 1_800_000_000, round_time: Some(1_800_000_001) },
//!     final_time: Some(1_799_999_000), purse: Purse::Open(id).word(), settled: true,
//!     redeem_cost: Some(Amount::new(1_000)), exposure: Amount::ZERO, unsettled: Amount::ZERO,
//! };
//! let received = receive_payment(None, &proof.parse()?, None, &view, &policy)?;
//! assert_eq!(received.value(), Amount::new(19_960)); // 20,000 less the cost of redeeming, paid by one win in 25
//! // She stores received.position() and credits received.value() in one transaction, then serves.
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Module [`store`] keeps records; [`beacon`] fetches the rounds of the randomness beacon; [`node`], [`bank`] and [`tx`]
//! talk to Ethereum; [`payer`] and [`payee`] combine them; `service` runs both for months.

#[cfg(feature = "client")]
pub mod bank;
#[cfg(feature = "beacon")]
pub mod beacon;
#[cfg(feature = "beacon")]
mod http_client;
#[cfg(feature = "client")]
pub mod node;
#[cfg(feature = "client")]
pub mod payee;
#[cfg(feature = "client")]
pub mod payer;
mod protocol;
#[cfg(any(feature = "access", feature = "http-server", feature = "service"))]
pub mod service;
#[cfg(feature = "client")]
mod single_flight;
pub mod store;
#[cfg(any(feature = "beacon", feature = "client"))]
mod sys;
#[cfg(feature = "client")]
pub mod tx;

// Shared test helpers name the crate as its users do.
#[cfg(test)]
extern crate self as cheque;

/// The types of the API that come from the crate `alloy-primitives`.
pub use alloy_primitives::{Address, B128, B256, Bytes, FixedBytes, U256};
pub use cheque_bindings::{
    BeaconParameters, MIN_LEAD, Outcome, PackError, Redemption, UnpackError,
};
pub use protocol::account::encoding::AccountError;
pub use protocol::account::{Account, ChequeContext, WriteError};
pub use protocol::allowance::MasterSalt;
pub use protocol::allowance::proof::{AllowanceProof, MAX_DEPTH, ProofError, Sibling};
pub use protocol::allowance::tree::{AllowanceTree, MAX_PAYEES, TreeError};
pub use protocol::amount::{Amount, ParseAmountError, format_tokens};
pub use protocol::beacon::local::LocalBeacon;
pub use protocol::beacon::point::PointError;
pub use protocol::beacon::round::{BeaconRound, SeedProof};
pub use protocol::beacon::{
    Beacon, InvalidBeacon, InvalidRound, QUICKNET_CHAIN_HASH, ScheduleError,
};
pub use protocol::chain_profile::{ChainProfile, FeeModel, KnownToken, PROFILES, UnlistedChain};
pub use protocol::cheque::{SignedCheque, StreamTermsError};
pub use protocol::deposit_builder::{DepositBuilder, PAYER_CUTOFF, REDEEM_WINDOW, draw_time_from};
pub use protocol::draw::{Payout, Seed, payout, roll};
pub use protocol::now::{ClockError, Freshness, Now};
pub use protocol::proof::{Opening, Proof, WireError};
pub use protocol::receive::judge::{PositionKey, Received, receive_payment};
pub use protocol::receive::policy::{
    MAX_HORIZON, PAYEE_CUTOFF, Policy, PolicyError, TokenLimits, View, redeem_gas,
};
pub use protocol::receive::position::{Position, PositionError};
pub use protocol::receive::rejection::{Rejection, RejectionClass};
pub use protocol::redemption_check::{
    BankSnapshot, simulate_packed_redemption, simulate_redemption,
};
pub use protocol::revert::{Revert, outcome_text};
pub use protocol::signature::{PublicKey, Signature, SignatureError, SigningKey, recover};
pub use protocol::stream::{MAX_STEPS, Stream, StreamLengthError, hash_chain};
pub use protocol::terms::{
    Bank, Cheque, Deposit, DepositId, Fund, Purse, TermsError, Withdraw, check_terms,
};

/// Compiles the example of the README.
#[cfg(all(doctest, feature = "client", feature = "redb"))]
#[doc = include_str!("../../README.md")]
struct Readme;

/// Compiles the example of the guide to the library.
#[cfg(all(doctest, feature = "client", feature = "redb"))]
#[doc = include_str!("../../docs/library.md")]
struct LibraryGuide;
