//! What the ledger is asked, and what it answers.

use crate::ledger::{
    account::{AccountKey, Currency},
    payment::{Fingerprint, IdempotencyKey, PaymentId},
};
use alloy_primitives::{B128, B256};
use cheque::{Amount, DepositId, Rejection, SignedCheque};

/// The largest number of seconds after which a client is told to ask for an answer in progress.
pub(super) const MAX_RETRY: u64 = 5;

/// A request for an answer of the upstream, as the ledger sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The request's identity.
    pub fingerprint: Fingerprint,
    /// The present price in each currency that buys the request.
    pub prices: Vec<(Currency, Price)>,
    /// The client's name for the request. Another payment under the same name buys nothing more.
    pub key: Option<IdempotencyKey>,
    /// The host's clock, seconds since 1970.
    pub now: u64,
}

/// The part of a request's price that is reserved before the request is forwarded, in token units. Plain data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// The account has to cover this.
    pub least: Amount,
    /// This is reserved if the account covers it, and the request accepts it.
    pub most: Amount,
}

impl From<Amount> for Price {
    fn from(price: Amount) -> Self {
        Self {
            least: price,
            most: price,
        }
    }
}

/// The capacity that a host has for an account's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// The request can be served.
    Free,
    /// The request cannot be served now.
    Full {
        /// The time after which to try again, in seconds.
        retry_after: u64,
    },
}

/// The ledger's answer to a request with a payment.
#[derive(Debug)]
#[must_use = "an admission is to be settled"]
pub enum Admitted {
    /// The price is reserved, durably: forward the request, then settle.
    Forward(Admission),
    /// The payment has bought this answer before: send it again.
    Again(StoredAnswer),
    /// No answer.
    Refused(Refusal),
}

/// A request whose price is reserved.
///
/// Settle it when the upstream's outcome is known, whatever becomes of the client's connection. Without a settlement the
/// reservation is released when its lease ends, and the seller has served for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    pub(super) account: AccountKey,
    pub(super) holder: PaymentId,
    pub(super) worker: B128,
    pub(super) attempt: u64,
    pub(super) reserved: Amount,
    pub(super) balance: Amount,
    pub(super) limit: Amount,
    pub(super) credited: Amount,
    pub(super) lease_until: u64,
}

impl Admission {
    /// Returns the account that pays.
    pub const fn account(&self) -> &AccountKey {
        &self.account
    }

    /// Returns the first id of the payment, which receipts name.
    pub const fn payment(&self) -> &PaymentId {
        &self.holder
    }

    /// Returns the reserved money, in token units: the most that the request costs, unless it is extended.
    pub const fn reserved(&self) -> Amount {
        self.reserved
    }

    /// Returns the most that the request accepts to pay, in token units.
    pub const fn limit(&self) -> Amount {
        self.limit
    }

    /// Returns all payments of the account up to the admission, in token units.
    pub const fn credited(&self) -> Amount {
        self.credited
    }

    /// Returns the rest of the account's balance, in token units.
    pub const fn balance(&self) -> Amount {
        self.balance
    }

    /// Returns the second from which anybody may release the reservation; renew it before.
    pub const fn lease_until(&self) -> u64 {
        self.lease_until
    }
}

/// An answer that was paid for, kept for a client that lost it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAnswer {
    /// The bytes that the host gave to the settlement.
    pub answer: Vec<u8>,
    /// The receipt of the first time, with the balance of now.
    pub receipt: Receipt,
}

/// The end of a request. Plain data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The account that paid.
    pub account: AccountKey,
    /// The first id of the payment.
    pub payment: PaymentId,
    /// The price that was charged, in token units; zero for a released request.
    pub charged: Amount,
    /// The account's balance, in token units.
    pub balance: Amount,
    /// True if nothing was charged. The payment is valid for the same request again, unless its deposit has too many unused
    /// ones.
    pub released: bool,
}

/// A reason not to serve a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The payment has no proof, or too many.
    #[error("a payment has 1 to {max} proofs, this one has {found}; send fewer")]
    ProofCount {
        /// The number of proofs.
        found: usize,
        /// The largest number.
        max: usize,
    },
    /// Two proofs of the payment are the same.
    #[error("the payment shows one proof twice; send each once")]
    RepeatedProof,
    /// The payment has stream steps only.
    #[error("a stream step adds money and buys no request; send a cheque")]
    NoCheque,
    /// The proofs are of two signers or two currencies.
    #[error("the proofs belong to several accounts; send those of one signer and one currency")]
    SeveralAccounts,
    /// The request accepts a price in another currency than that of its proofs.
    #[error(
        "the payment is in another currency than the accepted offer; pay in the offer's currency"
    )]
    WrongCurrency,
    /// The request is not sold in this currency.
    #[error("the request has no price in the currency of the payment; choose another offer")]
    NotPriced,
    /// The price is above the most that the request accepts.
    #[error("the price is {price}, and the request accepts {max}; accept the new price")]
    PriceAboveMax {
        /// The present price, in token units.
        price: Amount,
        /// The most that the request accepts, in token units.
        max: Amount,
    },
    /// The payment has bought an answer, or is bound to another request.
    #[error("the payment has been used, or belongs to another request; write a new cheque")]
    Used,
    /// The payment pays for the same request, which is in progress.
    #[error("the request is in progress; send it again in {retry_after} s")]
    InProgress {
        /// The time after which to try again, in seconds.
        retry_after: u64,
    },
    /// The key names another request of the account. The payment is credited, and valid for this request under another key.
    #[error("the idempotency key belongs to another request; send this one under a new key")]
    KeyConflict,
    /// The key names a request that was answered, and the answer is not kept. The payment is credited.
    #[error(
        "the request of this idempotency key was answered, and the answer is not kept; buy it again under a new key"
    )]
    KeyUsed,
    /// The payee rejects a proof. Other proofs of the payment are credited.
    #[error("proof {index} of the payment: {rejection}")]
    Rejected {
        /// The position of the proof.
        index: usize,
        /// The payee's reason.
        rejection: Box<Rejection>,
        /// The account's balance, in token units, if the payment belongs to one.
        balance: Option<Amount>,
    },
    /// The account does not cover the price.
    #[error(
        "the price is {price}, and the balance is {balance}; pay the difference with a new cheque"
    )]
    Insufficient {
        /// The price, in token units.
        price: Amount,
        /// The balance with this payment, in token units.
        balance: Amount,
    },
    /// The account has spent money of a deposit that was never opened.
    #[error("the account owes {debt} of a deposit that is gone from the chain; pay that first")]
    InDebt {
        /// The debt, in token units.
        debt: Amount,
    },
    /// A proof is older than the newest one, and the account does not cover the price: the payer has lost records.
    #[error(
        "the payment is older than the newest one, and does not cover the price; resume from the newest cheque"
    )]
    Stale(Box<ChequeState>),
    /// The host has no capacity for the request. The payment is valid for the same request again.
    #[error("no capacity for the request now; send it again in {retry_after} s")]
    Full {
        /// The time after which to try again, in seconds.
        retry_after: u64,
    },
}

/// The newest payment of a deposit, for a payer that has lost records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChequeState {
    /// The deposit.
    pub deposit: DepositId,
    /// The deposit's token and chain.
    pub currency: Currency,
    /// The newest cheque. Buys nothing from now on.
    pub newest: SignedCheque,
    /// The number of steps shown of its stream, and the x that shows them (zero for none).
    pub shown: (u32, B256),
    /// The account's balance, in token units.
    pub balance: Amount,
}

impl Refusal {
    /// Returns a stable name for programs, in snake case: that of SPEC section 13.2 for the payee's rejections.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ProofCount { .. } => "proof_count",
            Self::RepeatedProof => "repeated_proof",
            Self::NoCheque => "no_cheque",
            Self::SeveralAccounts => "several_accounts",
            Self::WrongCurrency => "wrong_currency",
            Self::NotPriced => "not_priced",
            Self::PriceAboveMax { .. } => "price_above_max",
            Self::Used => "used",
            Self::InProgress { .. } => "in_progress",
            Self::KeyConflict => "key_conflict",
            Self::KeyUsed => "key_used",
            Self::Rejected { rejection, .. } => rejection.code(),
            Self::Insufficient { .. } => "insufficient",
            Self::InDebt { .. } => "in_debt",
            Self::Stale(_) => "stale",
            Self::Full { .. } => "full",
        }
    }
}

/// The host's rules for the end of a request. Plain data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// True if an answer 4xx costs as much as another answer.
    pub charge_4xx: bool,
    /// True if the request has a body.
    pub has_body: bool,
}

/// The upstream's outcome, as far as it decides about money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The upstream answered to the end.
    Answered {
        /// The status of the answer.
        status: u16,
        /// The price of the answer in token units as the upstream or the meter says; `None`: the reserved price.
        cost: Option<Amount>,
    },
    /// The upstream refused the connection, or failed before the first byte of an answer.
    Failed,
    /// The upstream did not answer in time.
    TimedOut,
    /// The answer broke off after its first byte.
    Broken {
        /// The price of what was delivered, in token units; `None`: the reserved price.
        cost: Option<Amount>,
    },
    /// The host did not forward the request, for instance because its queue was full.
    NotForwarded,
}
