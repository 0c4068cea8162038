//! What can go wrong for a payer.

use crate::{
    bank::error::BankError,
    protocol::{
        account::WriteError,
        allowance::tree::TreeError,
        amount::Amount,
        terms::{DepositId, TermsError},
    },
    store::async_store::StoredError,
    tx::{error::OutboxError, error::TxError},
};
use alloy_primitives::Address;

/// Why a payer's wish was not done. Unless it says otherwise nothing has changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PayerError {
    /// The chain, or the way to it.
    #[error(transparent)]
    Bank(#[from] BankError),
    /// A transaction.
    #[error(transparent)]
    Tx(#[from] TxError),
    /// The store.
    #[error(transparent)]
    Stored(#[from] StoredError),
    /// A transaction that is sent once.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The list of payees.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The terms of the deposit.
    #[error(transparent)]
    Terms(#[from] TermsError),
    /// The payment.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The operating system gives no randomness.
    #[error("the operating system gives no randomness: {0}")]
    NoRandomness(#[from] getrandom::Error),
    /// The payer has no wallet to send transactions with.
    #[error("sending a transaction takes a wallet, and this payer has none")]
    NoWallet,
    /// The payer has no key to write cheques with.
    #[error("writing a cheque takes the signer's key, and this payer has none")]
    NoKey,
    /// The key is not the deposit's signer's.
    #[error("the deposit's signer is {signer}, the key is {key}'s")]
    WrongKey {
        /// Who signs the deposit's cheques.
        signer: Address,
        /// Whose key this is.
        key: Address,
    },
    /// The wallet is not the deposit's payer's.
    #[error("the deposit's payer is {payer}, the wallet is {wallet}'s")]
    WrongWallet {
        /// Whose deposit it is.
        payer: Address,
        /// Whose wallet this is.
        wallet: Address,
    },
    /// The store has no such deposit.
    #[error("the store has no deposit {0} of this bank")]
    UnknownDeposit(DepositId),
    /// The store has the deposit, but not its list of payees.
    #[error("the store lacks the allowance list of deposit {0}")]
    NoList(DepositId),
    /// The deposit has no allowance for the payee.
    #[error("deposit {deposit} has no allowance for payee {payee}")]
    UnknownPayee {
        /// The deposit.
        deposit: DepositId,
        /// The payee.
        payee: Address,
    },
    /// Such a deposit is in the store already.
    #[error("the store has deposit {0} already")]
    Exists(DepositId),
    /// The deposit is open, and there is nothing left to do.
    #[error("deposit {0} is open already")]
    IsOpen(DepositId),
    /// The node is behind, or the clock is wrong. A cheque that is written after its draw can be made to win.
    #[error(
        "the newest block is of time {head_time}, the clock says {now}; they may differ by {limit} s"
    )]
    StaleView {
        /// Time of the newest block, seconds since 1970.
        head_time: u64,
        /// Time of the clock, seconds since 1970.
        now: u64,
        /// The largest difference, in seconds.
        limit: u64,
    },
    /// The draw would come before anybody could be paid.
    #[error(
        "the draw block {draw_block} is too soon: the earliest that leaves time to pay is {earliest}"
    )]
    DrawTooSoon {
        /// The draw block asked for.
        draw_block: u64,
        /// The earliest one, before rounding to the chain's grid.
        earliest: u64,
    },
    /// A block number beyond 2^64.
    #[error("the block numbers asked for are too large")]
    BlockOutOfRange,
    /// The purse is not free.
    #[error("lane {lane} holds or is about to hold deposit {deposit}")]
    LaneBusy {
        /// The purse's number.
        lane: u64,
        /// The deposit in it.
        deposit: DepositId,
    },
    /// The bank does not have the money yet.
    #[error(
        "{missing} units of token {token} are missing in the payer's purse and balance: fund the balance first"
    )]
    NotFunded {
        /// The token (zero: the native coin).
        token: Address,
        /// How much is missing, in token units.
        missing: Amount,
    },
    /// The smallest payout depends on what redeeming costs, which is unknown in this token.
    #[error("token {0} has no rate against the native coin: set one, or name the smallest payout")]
    NoRate(Address),
    /// A deposit is not active, as of the last look at the chain.
    #[error("deposit {0} is not active: wait until it is confirmed, or pay from another one")]
    NotActive(DepositId),
    /// What is left of the payee's allowance in a deposit is less than what is to be paid from it.
    #[error("deposit {deposit} has {left} left for the payee, {needed} are needed from it")]
    NotCoveredByDeposit {
        /// The deposit.
        deposit: DepositId,
        /// What it has left for the payee, in token units.
        left: Amount,
        /// What was to be paid from it.
        needed: Amount,
    },
    /// A record of the application does not hold what was expected.
    #[error("a record of the application was changed meanwhile: read it again")]
    AppConflict,
    /// No active deposit, or not enough of them, covers the payment.
    #[error("the active deposits have {available} left for payee {payee}, {needed} are needed")]
    NotCovered {
        /// The payee.
        payee: Address,
        /// What the active deposits have left for it, in token units.
        available: Amount,
        /// What was to be paid.
        needed: Amount,
    },
}
