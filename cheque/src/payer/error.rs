//! Errors of a payer.

use crate::{
    bank::{error::BankError, rates::RateFault, seeds::SeedError},
    payer::names::PayeeName,
    protocol::{
        account::WriteError,
        allowance::tree::TreeError,
        amount::Amount,
        beacon::ScheduleError,
        now::ClockError,
        terms::{DepositId, TermsError},
    },
    store::async_store::StoredError,
    tx::{error::OutboxError, error::TxError},
};
use alloy_primitives::Address;

/// Why an operation of a payer failed. Nothing has changed unless the variant says so.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PayerError {
    /// The node, or an answer from the chain.
    #[error(transparent)]
    Bank(#[from] BankError),
    /// A transaction.
    #[error(transparent)]
    Tx(#[from] TxError),
    /// The store.
    #[error(transparent)]
    Stored(#[from] StoredError),
    /// A transaction stored before it is sent.
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
    /// The operating system's random number generator failed.
    #[error("the operating system's random number generator failed: {0}")]
    NoRandomness(#[from] getrandom::Error),
    /// No wallet is configured.
    #[error("no wallet to send a transaction with; configure one")]
    NoWallet,
    /// No signing key is configured.
    #[error("no key to sign cheques with; configure the signer's key")]
    NoKey,
    /// The key is not that of the deposit's signer.
    #[error("the deposit's signer is {signer}, but the key belongs to {key}; use the signer's key")]
    WrongKey {
        /// The deposit's signer.
        signer: Address,
        /// Address of the configured key.
        key: Address,
    },
    /// The wallet is not that of the deposit's payer.
    #[error(
        "the deposit's payer is {payer}, but the wallet belongs to {wallet}; use the payer's wallet"
    )]
    WrongWallet {
        /// The deposit's payer.
        payer: Address,
        /// Address of the configured wallet.
        wallet: Address,
    },
    /// The store has no such deposit.
    #[error("the store has no deposit {0} of this bank; check the id, the store and the bank")]
    UnknownDeposit(DepositId),
    /// The store has the deposit, but not its allowance list.
    #[error("the store lacks the allowance list of deposit {0}; restore it from a backup")]
    NoList(DepositId),
    /// The deposit has no allowance for the payee.
    #[error("deposit {deposit} has no allowance for payee {payee}")]
    UnknownPayee {
        /// The deposit.
        deposit: DepositId,
        /// The payee.
        payee: Address,
    },
    /// The deposit's allowance list gives the name to no payee.
    #[error("deposit {deposit} has no payee named `{name}`; write the address, or check the list")]
    UnknownName {
        /// The deposit.
        deposit: DepositId,
        /// The name.
        name: PayeeName,
    },
    /// The deposit's allowance list gives the name to several payees.
    #[error(
        "deposit {deposit} has several payees named `{name}`, such as {} and {}; write the address",
        payees[0],
        payees[1]
    )]
    DoubledName {
        /// The deposit.
        deposit: DepositId,
        /// The name.
        name: PayeeName,
        /// Two of these payees.
        payees: [Address; 2],
    },
    /// The store has a deposit with the same id.
    #[error("the store already has deposit {0}; change its terms or its salt")]
    Exists(DepositId),
    /// The deposit is open already, so its opening is not sent.
    #[error("deposit {0} is open already; there is nothing to send")]
    IsOpen(DepositId),
    /// The three clocks do not agree, or the beacon is silent. No cheque is written then: after the draw, a payee knows
    /// the roll and can ask for exactly the total that wins.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// The rounds of the beacon.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// The draw time is not that of a round. The error names the rounds around it.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The draw time leaves no time to pay.
    #[error("draw time {draw_time} leaves no time to pay; choose {earliest} or later")]
    DrawTooSoon {
        /// The requested draw time, in seconds since 1970.
        draw_time: u64,
        /// The time of the first round that leaves time to pay.
        earliest: u64,
    },
    /// A time is above 2^64 - 1.
    #[error("a time is above 2^64 - 1; choose an earlier draw or a shorter window")]
    TimeOutOfRange,
    /// The draw is more than a year ahead, or redeeming may take more than a year: most likely milliseconds for seconds.
    #[error(
        "the draw at {draw_time} would be redeemed until {redeem_until}, both in seconds since 1970; a draw is at most a \
         year ahead, and redeeming takes at most a year more"
    )]
    TooFarAhead {
        /// The draw time, in seconds since 1970.
        draw_time: u64,
        /// The last time to redeem, in seconds since 1970.
        redeem_until: u64,
    },
    /// No lane of the payer is free.
    #[error("all lanes of the payer are taken; wait until a deposit is closed")]
    NoFreeLane,
    /// The payer would write cheques after a draw could be public.
    #[error("a cutoff of {cutoff} s is too short; it takes at least {min} s")]
    CutoffTooShort {
        /// The requested cutoff, in seconds.
        cutoff: u64,
        /// The shortest cutoff, in seconds.
        min: u64,
    },
    /// The purse holds another deposit, or a stored deposit is about to use it.
    #[error("lane {lane} holds deposit {deposit}, or is reserved for it; choose another lane")]
    LaneBusy {
        /// The purse's number.
        lane: u64,
        /// The deposit in it.
        deposit: DepositId,
    },
    /// The payer's purse and balance hold too little for the deposit.
    #[error(
        "{missing} units of token {token} are missing in the payer's purse and balance; fund the balance first"
    )]
    NotFunded {
        /// The token (zero: the native coin).
        token: Address,
        /// The missing amount, in token units.
        missing: Amount,
    },
    /// The default smallest payout needs the price of a redemption in this token.
    #[error("token {0} has no rate against the native coin; set one, or set the smallest payout")]
    NoRate(Address),
    /// The rate that the default smallest payout needs cannot be used.
    #[error("token {0} has no rate now: {1}; or set the smallest payout")]
    RateFault(Address, #[source] RateFault),
    /// The deposit is not active in the payer's last snapshot of the chain.
    #[error("deposit {0} is not active; wait until it is confirmed, or pay from another deposit")]
    NotActive(DepositId),
    /// The payee's remaining allowance in the deposit is less than the payment.
    #[error(
        "deposit {deposit} has {left} units left for the payee, and the payment needs {needed}; pay less, or from another deposit"
    )]
    NotCoveredByDeposit {
        /// The deposit.
        deposit: DepositId,
        /// The payee's remaining allowance, in token units.
        left: Amount,
        /// The payment, in token units.
        needed: Amount,
    },
    /// The name belongs to another payment.
    #[error(
        "the name belongs to a payment of {amount} units to {payee}; choose a new name for each payment"
    )]
    NameReused {
        /// The payee of the earlier payment.
        payee: Address,
        /// Its amount, in token units.
        amount: Amount,
    },
    /// No active deposit lists the payee.
    #[error(
        "no active deposit has an allowance for payee {payee}; add the payee to the list of the next round, or open a deposit for it"
    )]
    NotListed {
        /// The payee.
        payee: Address,
    },
    /// An application record differs from its expected value.
    #[error("an application record has changed since it was read; read it again and retry")]
    AppConflict,
    /// The active deposits together do not cover the payment.
    #[error(
        "the active deposits have {available} units left for payee {payee}, and the payment needs {needed}; pay less, or open another deposit"
    )]
    NotCovered {
        /// The payee.
        payee: Address,
        /// The payee's remaining allowance in all active deposits, in token units.
        available: Amount,
        /// The payment, in token units.
        needed: Amount,
    },
}
