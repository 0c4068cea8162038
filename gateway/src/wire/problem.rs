//! The body of a refusal: problem details of RFC 9457.

use crate::{
    ledger::{LedgerFault, Refusal},
    wire::shown::ShownError,
};
use cheque::Amount;
use http::StatusCode;
use serde::{Deserialize, Serialize};

/// The body of a refusal. Plain data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The kind of problem, as MPP names it.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status of the answer.
    pub status: u16,
    /// What is wrong, and what to do.
    pub detail: String,
    /// The stable name for programs.
    pub code: String,
    /// The account's balance, in decimal units of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balance: Option<Amount>,
}

/// A status, a problem of MPP, and the seconds after which to try again.
pub(super) struct Verdict {
    pub(super) status: StatusCode,
    pub(super) kind: &'static str,
    pub(super) retry_after: Option<u64>,
}

const fn verdict(status: StatusCode, kind: &'static str) -> Verdict {
    Verdict {
        status,
        kind,
        retry_after: None,
    }
}

/// The verdict about a refusal of the ledger. A client signs a new payment after a 402, and shows the same one again after any
/// other status with a time to wait.
pub(super) const fn of_refusal(refusal: &Refusal) -> Verdict {
    const PAY: StatusCode = StatusCode::PAYMENT_REQUIRED;
    match refusal {
        Refusal::ProofCount { .. }
        | Refusal::RepeatedProof
        | Refusal::NoCheque
        | Refusal::SeveralAccounts => verdict(StatusCode::BAD_REQUEST, "malformed-credential"),
        Refusal::InProgress { retry_after } => Verdict {
            status: StatusCode::CONFLICT,
            kind: "verification-failed",
            retry_after: Some(*retry_after),
        },
        Refusal::Full { retry_after } => Verdict {
            status: StatusCode::TOO_MANY_REQUESTS,
            kind: "verification-failed",
            retry_after: Some(*retry_after),
        },
        Refusal::KeyConflict | Refusal::KeyUsed => {
            verdict(StatusCode::CONFLICT, "verification-failed")
        }
        Refusal::Insufficient { .. } | Refusal::PriceAboveMax { .. } | Refusal::InDebt { .. } => {
            verdict(PAY, "payment-insufficient")
        }
        Refusal::WrongCurrency
        | Refusal::NotPriced
        | Refusal::Used
        | Refusal::Rejected { .. }
        | Refusal::Stale(_) => verdict(PAY, "verification-failed"),
    }
}

/// The verdict about a payment that cannot be read. MPP answers each such payment with a new challenge.
pub(super) const fn of_shown(error: &ShownError) -> Verdict {
    match error {
        ShownError::Mpp(_) => verdict(StatusCode::PAYMENT_REQUIRED, "malformed-credential"),
        ShownError::InvalidChallenge => verdict(StatusCode::PAYMENT_REQUIRED, "invalid-challenge"),
        ShownError::Expired => verdict(StatusCode::PAYMENT_REQUIRED, "payment-expired"),
        ShownError::Foreign => verdict(StatusCode::PAYMENT_REQUIRED, "verification-failed"),
        ShownError::Several | ShownError::X402(_) | ShownError::Native(_) | ShownError::Key(_) => {
            verdict(StatusCode::BAD_REQUEST, "malformed-credential")
        }
    }
}

/// The verdict about a fault of the ledger: not 402, because the client must show the same payment again.
pub(super) const fn of_fault(_: &LedgerFault) -> Verdict {
    Verdict {
        status: StatusCode::SERVICE_UNAVAILABLE,
        kind: "verification-failed",
        retry_after: Some(1),
    }
}

impl Problem {
    pub(super) fn new(verdict: &Verdict, code: &str, detail: String) -> Self {
        Self {
            kind: format!("https://paymentauth.org/problems/{}", verdict.kind),
            status: verdict.status.as_u16(),
            detail,
            code: code.to_owned(),
            balance: None,
        }
    }
}

/// The balance that a refusal tells.
pub(super) const fn balance(refusal: &Refusal) -> Option<Amount> {
    match refusal {
        Refusal::Rejected { balance, .. } => *balance,
        Refusal::Insufficient { balance, .. } => Some(*balance),
        Refusal::Stale(state) => Some(state.balance),
        _ => None,
    }
}
