//! A payment of the scheme `exact` by EIP-3009.

use crate::{
    ledger::{AuthorizationId, Authorized, Fingerprint},
    wire::{FormError, PaymentPayload, Requirements},
};
use alloy_primitives::B256;
use cheque::{Address, Amount};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The longest time for which an authorization may be valid, in seconds: the gateway keeps the record of its use as long. Offers
/// ask for 300.
const MAX_VALID: u64 = 3_600;

/// A payment by `exact` for one of the gateway's offers. The facilitator has not verified it yet.
#[derive(Clone, Debug, PartialEq)]
pub struct ExactPayment {
    /// The request and its authorization.
    pub(crate) paid: Authorized,
    /// The payment as the client has sent it.
    pub(crate) payload: Value,
    /// The gateway's offer.
    pub(crate) requirements: Requirements,
    /// The owner of the money.
    pub(crate) payer: Address,
    pub(crate) nonce: B256,
    pub(crate) amount: Amount,
}

/// The reason why a payment is for none of the gateway's offers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExactFault {
    #[error("the payment is malformed: {0}")]
    Form(#[from] FormError),
    #[error("the payment is for another offer, or at another price; accept the present offer")]
    Offer,
    #[error(
        "the authorization is not that of the accepted offer; sign one over its amount to its payTo"
    )]
    Authorization,
    #[error("the authorization has expired, or is valid for more than an hour; sign a new one")]
    Validity,
}

impl ExactFault {
    /// The name that x402 clients read.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Form(_) => "invalid_payload",
            Self::Offer => "invalid_payment_requirements",
            Self::Authorization => "invalid_exact_evm_payload_authorization_value",
            Self::Validity => "invalid_exact_evm_payload_authorization_valid_before",
        }
    }
}

/// The payload by EIP-3009. Numbers are decimal text.
#[derive(Deserialize)]
struct Signed {
    authorization: Authorization,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authorization {
    from: Address,
    to: Address,
    value: String,
    valid_before: String,
    nonce: B256,
}

impl ExactPayment {
    /// Reads a payment for one of `offers`. `text` is the payment in JSON.
    pub(crate) fn read(
        payload: Value,
        offers: Vec<Requirements>,
        fingerprint: Fingerprint,
        now: u64,
    ) -> Result<Self, ExactFault> {
        let json = |error: serde_json::Error| FormError::Json(error.to_string());
        let parsed: PaymentPayload = serde_json::from_value(payload.clone()).map_err(json)?;
        if parsed.x402_version != 2 {
            return Err(FormError::Field("x402Version").into());
        }
        let accepted = &parsed.accepted;
        let is_accepted = |offer: &Requirements| {
            let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
            (accepted.network == offer.network && accepted.amount == offer.amount)
                && same(&accepted.asset, &offer.asset)
                && same(&accepted.pay_to, &offer.pay_to)
        };
        let mut offers = offers.into_iter();
        let requirements = offers.find(is_accepted).ok_or(ExactFault::Offer)?;
        let Signed { authorization } =
            serde_json::from_value(parsed.payload.clone()).map_err(json)?;
        let offered: Address = requirements.pay_to.parse().map_err(|_| ExactFault::Offer)?;
        let token: Address = requirements.asset.parse().map_err(|_| ExactFault::Offer)?;
        if authorization.to != offered || authorization.value != requirements.amount {
            return Err(ExactFault::Authorization);
        }
        let valid_before: u64 = authorization
            .valid_before
            .parse()
            .map_err(|_| ExactFault::Validity)?;
        if valid_before <= now || valid_before > now.saturating_add(MAX_VALID) {
            return Err(ExactFault::Validity);
        }
        let chain_id = requirements.network.strip_prefix("eip155:");
        let chain_id = chain_id.and_then(|id| id.parse().ok());
        let amount = requirements.amount.parse().map(Amount::new);
        let (from, nonce) = (authorization.from, authorization.nonce);
        let id = AuthorizationId::of(chain_id.ok_or(ExactFault::Offer)?, token, from, nonce);
        Ok(Self {
            paid: Authorized {
                id,
                fingerprint,
                payload: hash_of(&parsed.payload),
                valid_before,
            },
            payload,
            payer: from,
            nonce,
            amount: amount.map_err(|_| ExactFault::Offer)?,
            requirements,
        })
    }

    /// The payment's name, for the upstream and for logs.
    pub(crate) fn name(&self) -> String {
        format!("{}:{}", self.payer.to_checksum(None), self.nonce)
    }
}

/// The hash of the authorization with its signature. Keys of objects are sorted, so their order does not count.
fn hash_of(payload: &Value) -> B256 {
    let mut sorted = payload.clone();
    sorted.sort_all_objects();
    B256::from_slice(&Sha256::digest(sorted.to_string()))
}
