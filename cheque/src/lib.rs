//! Probabilistic payments on Ethereum: one deposit, many payees, one draw. The core opens no socket or file, reads no
//! clock and draws no random numbers: all of these are arguments, and what comes back is what to store or send.
//!
//! A payer locks one deposit for many payees, and gives each an allowance. It pays them off-chain with signed, cumulative
//! cheques. The randomness of a future block selects one payee, which redeems its newest cheque; chance times payout is
//! what it was paid. `SPEC.md` in the repository is the protocol.
//!
//! ```
//! use cheque::*;
//! use alloy_primitives::{Address, B256};
//!
//! // The payer: one deposit for two payees.
//! let key = SigningKey::from_bytes(&[7; 32])?; // from a key store
//! let (alice, bob) = (Address::repeat_byte(0xa1), Address::repeat_byte(0xb0));
//! let allowances = [(alice, Amount::new(3_000_000)), (bob, Amount::new(1_000_000))];
//! let tree = AllowanceTree::build(allowances, &MasterSalt::from_bytes([9; 32]))?; // from a random number generator
//! let bank = Bank::new(1, Address::repeat_byte(0xba));
//! let deposit = Deposit {
//!     payer: Address::repeat_byte(1), signer: key.address(), token: Address::ZERO, lane: 1,
//!     amount: tree.total().get(), minPayout: 500_000, drawBlock: 21_000_000,
//!     lastRedeemBlock: 21_000_000 + HISTORY_WINDOW, root: tree.root(),
//! };
//! let id = bank.deposit_id(&deposit);
//!
//! // It pays Alice: first the new account to disk, then the proof to Alice.
//! let context = ChequeContext { key: &key, bank: &bank, deposit: id, payee: alice };
//! let account = Account::new(Amount::new(3_000_000)).write_cheque(Amount::new(20_000), &context)?;
//! let proof = Proof::Opening(Box::new(Opening {
//!     bank, deposit, payee: alice, allowance: tree.proof(alice).unwrap(), cheque: *account.newest().unwrap(),
//! }));
//!
//! // Alice: what is it worth to her, given what she sees of the chain?
//! let policy = Policy::new(alice, bank, ChainProfile::of(1)?);
//! let view = View {
//!     head: 20_999_000, head_time: 1_700_000_000, now: 1_700_000_003, purse: Purse::Open(id).word(),
//!     redeem_cost: Some(Amount::new(1_000)), exposure: Amount::ZERO,
//! };
//! let received = receive_payment(None, &proof.to_string().parse()?, None, &view, &policy)?;
//! assert_eq!(received.value(), Amount::new(19_960)); // 20,000 less the cost of redeeming, which one win in 25 pays
//! // She stores received.meta() and credits received.value() in one transaction, then serves.
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Modules [`store`] and [`chain`] put durable records and an Ethereum node around the core; `service` runs it all for months.

mod allowance;
#[cfg(feature = "chain")]
pub mod chain;
mod cheque;
mod deposit;
mod draw;
mod evaluate;
mod hash;
mod money;
mod payee;
mod payer;
mod profile;
#[cfg(feature = "service")]
pub mod service;
mod signature;
pub mod store;
mod stream;
mod wire;

pub use allowance::{
    AllowanceProof, AllowanceTree, MAX_DEPTH, MAX_PAYEES, MasterSalt, ProofError, Sibling,
    TreeError,
};
pub use cheque::{SignedCheque, StreamTermsError};
pub use cheque_bindings::{Outcome, PackError, Redemption, SeedSource, UnpackError};
pub use deposit::{
    Bank, Cheque, Deposit, DepositId, Fund, Purse, TermsError, Withdraw, check_terms,
};
pub use draw::{HISTORY_WINDOW, HeaderError, Payout, Seed, payout, roll, seed_from_header};
pub use evaluate::{BankSnapshot, simulate_packed_redemption, simulate_redemption};
pub use money::Amount;
pub use payee::{
    Policy, Position, PositionError, PositionKey, Received, Rejection, TokenLimits, View,
    receive_payment, redeem_gas,
};
pub use payer::{Account, AccountError, ChequeContext, WriteError};
pub use profile::{ChainProfile, PROFILES, UnsupportedChain};
pub use signature::{PublicKey, Signature, SignatureError, SigningKey, recover};
pub use stream::{MAX_STEPS, Stream, StreamLengthError, hash_chain};
pub use wire::{Opening, Proof, WireError};

/// The README's example is compiled with the documentation's.
#[cfg(all(doctest, feature = "chain", feature = "redb"))]
#[doc = include_str!("../../README.md")]
struct Readme;
