//! The payment of a request, in whichever protocol.

use crate::{
    ledger::{IdempotencyKey, Payment},
    wire::{
        CHEQUE, MAX, PAYMENT_AUTHORIZATION, PAYMENT_SIGNATURE,
        encoding::{FormError, from_standard},
        key,
        mpp::{ChallengeEcho, Credential, after_scheme},
        native,
        x402::PaymentPayload,
    },
};
use cheque::Address;
use http::{HeaderMap, HeaderName, header::AUTHORIZATION};
use serde_json::Value;

/// A payment, and the protocol in which to answer it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paying {
    /// The payment.
    pub payment: Payment,
    /// Its protocol.
    pub protocol: Protocol,
    /// The client's name for the request.
    pub key: Option<IdempotencyKey>,
}

/// The protocol of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// x402 version 2.
    X402,
    /// MPP, with the challenge that the credential answers.
    Mpp(Box<ChallengeEcho>),
    /// The short header.
    Native,
}

/// The reason why a request has no payment that can be judged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShownError {
    /// The request has several payments, and an answer can be for one of them only.
    #[error("the request has several payments; send one")]
    Several,
    /// The payment is of another scheme, such as `exact`, which this crate does not judge.
    #[error("the payment is of another scheme or method than cheque")]
    Foreign,
    /// The payment of x402 is not in its form.
    #[error("the payment of x402 is malformed: {0}")]
    X402(#[source] FormError),
    /// The credential of MPP is not in its form.
    #[error("the credential of MPP is malformed: {0}")]
    Mpp(#[source] FormError),
    /// The header `Cheque` is not in its form.
    #[error("the header Cheque is malformed: {0}")]
    Native(#[source] FormError),
    /// The client's name for the request is not in its form, or the request has two.
    #[error(
        "the request's name is malformed: {0}; send one Idempotency-Key, or one payment-identifier"
    )]
    Key(#[source] FormError),
    /// The credential answers a challenge that this server has not made.
    #[error("the credential answers a challenge of another server; answer a new one")]
    InvalidChallenge,
    /// The credential answers a challenge whose life has ended.
    #[error("the challenge has expired; answer a new one")]
    Expired,
}

impl ShownError {
    /// Returns a stable name for programs, in snake case.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Several => "several_payments",
            Self::Foreign => "foreign_payment",
            Self::X402(_) | Self::Mpp(_) | Self::Native(_) => "malformed_payment",
            Self::Key(_) => "malformed_key",
            Self::InvalidChallenge => "invalid_challenge",
            Self::Expired => "challenge_expired",
        }
    }
}

/// Reads the payment of a request to `payee`; `None`: the request has none. `secret` is the key of the server's challenges,
/// `now` in seconds since 1970.
pub(super) fn payment(
    headers: &HeaderMap,
    payee: Address,
    secret: &[u8; 32],
    now: u64,
) -> Result<Option<Paying>, ShownError> {
    let x402 = texts(headers, PAYMENT_SIGNATURE).map_err(ShownError::X402)?;
    let mpp = credentials(headers)?;
    let short = texts(headers, CHEQUE).map_err(ShownError::Native)?;
    let key = key::of_header(headers).map_err(ShownError::Key)?;
    // The short header may have several lines, which count as one.
    match (x402.as_slice(), mpp.as_slice(), short.as_slice()) {
        ([], [], []) => Ok(None),
        ([text], [], []) => Ok(Some(of_x402(text, payee, key)?)),
        ([], [text], []) => {
            let (payment, challenge) = of_mpp(text, payee, secret, now)?;
            Ok(Some(Paying {
                payment,
                protocol: Protocol::Mpp(Box::new(challenge)),
                key,
            }))
        }
        ([], [], cheques) => {
            let max = texts(headers, MAX).map_err(ShownError::Native)?;
            if max.len() > 1 {
                return Err(ShownError::Several);
            }
            let payment = native::payment(cheques, max.first().copied());
            Ok(Some(Paying {
                payment: payment.map_err(ShownError::Native)?,
                protocol: Protocol::Native,
                key,
            }))
        }
        _ => Err(ShownError::Several),
    }
}

/// Returns the payment of x402 in JSON if it is of the scheme `exact`. For requests without another payment.
pub(crate) fn of_scheme_exact(headers: &HeaderMap) -> Option<Value> {
    let texts = texts(headers, PAYMENT_SIGNATURE).ok()?;
    let payload: Value = from_standard(texts.first()?).ok()?;
    let scheme = payload.pointer("/accepted/scheme")?.as_str()?;
    (scheme == "exact").then_some(payload)
}

fn of_x402(
    text: &str,
    payee: Address,
    of_header: Option<IdempotencyKey>,
) -> Result<Paying, ShownError> {
    let payload = PaymentPayload::decode(text).map_err(ShownError::X402)?;
    let payment = payload.payment(payee).map_err(ShownError::X402)?;
    let payment = payment.ok_or(ShownError::Foreign)?;
    let own = key::of_payment(&payload).map_err(ShownError::X402)?;
    if own.is_some() && of_header.is_some() && own != of_header {
        return Err(ShownError::Key(FormError::Field("Idempotency-Key")));
    }
    Ok(Paying {
        payment,
        protocol: Protocol::X402,
        key: own.or(of_header),
    })
}

fn of_mpp(
    text: &str,
    payee: Address,
    secret: &[u8; 32],
    now: u64,
) -> Result<(Payment, ChallengeEcho), ShownError> {
    let credential = Credential::decode(text).map_err(ShownError::Mpp)?;
    // A challenge of another method may be another server's part of this host.
    let payment = credential.payment(payee).map_err(ShownError::Mpp)?;
    let payment = payment.ok_or(ShownError::Foreign)?;
    let challenge = credential.challenge;
    if !challenge.is_own(secret) {
        return Err(ShownError::InvalidChallenge);
    }
    let expires = challenge.expires.as_deref().map(humantime::parse_rfc3339);
    let is_live = expires.is_some_and(|end| {
        let end = end
            .ok()
            .and_then(|end| end.duration_since(std::time::UNIX_EPOCH).ok());
        end.is_some_and(|end| now < end.as_secs())
    });
    if !is_live {
        return Err(ShownError::Expired);
    }
    Ok((payment, challenge))
}

/// The credentials of MPP. `Authorization` may hold an API key of another scheme, which is not ours to read.
fn credentials(headers: &HeaderMap) -> Result<Vec<&str>, ShownError> {
    let mut found = texts(headers, PAYMENT_AUTHORIZATION).map_err(ShownError::Mpp)?;
    for value in headers.get_all(AUTHORIZATION) {
        if let Ok(text) = value.to_str()
            && after_scheme(text).is_some()
        {
            found.push(text);
        }
    }
    Ok(found)
}

fn texts(headers: &HeaderMap, name: HeaderName) -> Result<Vec<&str>, FormError> {
    let values = headers.get_all(name).iter();
    let texts = values.map(|value| value.to_str().map_err(|_| FormError::Value));
    texts.collect()
}
