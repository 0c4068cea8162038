//! Probabilistic payments on Ethereum: one deposit, many payees, one draw.

mod allowance;
mod cheque;
mod deposit;
mod draw;
mod evaluate;
mod hash;
mod money;
mod payee;
mod payer;
mod profile;
mod signature;
mod stream;
mod wire;

pub use allowance::{
    AllowanceProof, AllowanceTree, MAX_DEPTH, MAX_PAYEES, MasterSalt, ProofError, Sibling,
    TreeError,
};
pub use cheque::{SignedCheque, StreamTermsError};
pub use cheque_bindings::{Outcome, Redemption, SeedSource};
pub use deposit::{
    Bank, Cheque, Deposit, DepositId, Fund, Purse, TermsError, Withdraw, check_terms,
};
pub use draw::{HISTORY_WINDOW, HeaderError, Prize, Seed, prize, roll, seed_from_header};
pub use evaluate::{BankState, evaluate};
pub use money::Amount;
pub use payee::{
    Meta, MetaError, MetaKey, Policy, Received, Rejection, TokenLimits, View, receive_payment,
    redeem_gas,
};
pub use payer::{Account, AccountError, ChequeContext, WriteError};
pub use profile::{ChainProfile, PROFILES, UnsupportedChain};
pub use signature::{PublicKey, Signature, SignatureError, SigningKey, recover};
pub use stream::{MAX_STEPS, Stream, StreamLengthError, hashed};
pub use wire::{Opening, Proof, WireError};
