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
//! Module [`store`] keeps records; [`node`], [`bank`] and [`tx`] talk to Ethereum; [`payer`] and [`payee`] do the work; `service`
//! runs it for months.

#[cfg(feature = "client")]
pub mod bank;
#[cfg(feature = "client")]
pub mod node;
#[cfg(feature = "client")]
pub mod payee;
#[cfg(feature = "client")]
pub mod payer;
mod protocol;
#[cfg(any(feature = "access", feature = "service"))]
pub mod service;
pub mod store;
#[cfg(feature = "client")]
mod sys;
#[cfg(feature = "client")]
pub mod tx;

pub use cheque_bindings::{Outcome, PackError, Redemption, SeedSource, UnpackError};
pub use protocol::account::{Account, AccountError, ChequeContext, WriteError};
pub use protocol::allowance::MasterSalt;
pub use protocol::allowance::proof::{AllowanceProof, MAX_DEPTH, ProofError, Sibling};
pub use protocol::allowance::tree::{AllowanceTree, MAX_PAYEES, TreeError};
pub use protocol::amount::Amount;
pub use protocol::chain_profile::{ChainProfile, PROFILES, UnsupportedChain};
pub use protocol::cheque::{SignedCheque, StreamTermsError};
pub use protocol::draw::{
    HISTORY_WINDOW, HeaderError, Payout, Seed, payout, roll, seed_from_header,
};
pub use protocol::proof::{Opening, Proof, WireError};
pub use protocol::receive::judge::{PositionKey, Received, receive_payment};
pub use protocol::receive::policy::{Policy, TokenLimits, View, redeem_gas};
pub use protocol::receive::position::{Position, PositionError};
pub use protocol::receive::rejection::Rejection;
pub use protocol::redemption_check::{
    BankSnapshot, simulate_packed_redemption, simulate_redemption,
};
pub use protocol::revert::{Revert, outcome_text};
pub use protocol::signature::{PublicKey, Signature, SignatureError, SigningKey, recover};
pub use protocol::stream::{MAX_STEPS, Stream, StreamLengthError, hash_chain};
pub use protocol::terms::{
    Bank, Cheque, Deposit, DepositId, Fund, Purse, TermsError, Withdraw, check_terms,
};

/// The README's example is compiled with the documentation's.
#[cfg(all(doctest, feature = "client", feature = "redb"))]
#[doc = include_str!("../../README.md")]
struct Readme;
