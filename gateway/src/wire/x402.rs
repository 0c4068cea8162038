//! The messages of x402 version 2 over HTTP.

use crate::{
    ledger::{Currency, MaxPrice, Payment},
    wire::encoding::{FormError, address, amount, from_standard, network, proofs, to_standard},
};
use cheque::Address;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The offers of a request that is to be paid: the header `PAYMENT-REQUIRED`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentRequired {
    /// The version: 2.
    pub x402_version: u64,
    /// The reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The request's resource.
    pub resource: Resource,
    /// The offers, at least one.
    pub accepts: Vec<Requirements>,
    /// Extensions by name.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extensions: Map<String, Value>,
}

/// A resource. Plain data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// The URL of the request.
    pub url: String,
    /// What the resource is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// An offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Requirements {
    /// The scheme; ours is `cheque`.
    pub scheme: String,
    /// The chain, in CAIP-2.
    pub network: String,
    /// The price in decimal units of the token.
    pub amount: String,
    /// The token; the native coin is the zero address.
    pub asset: String,
    /// The payee.
    pub pay_to: String,
    /// The time that a client may take to pay, in seconds.
    pub max_timeout_seconds: u64,
    /// What the scheme needs.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

/// A payment: the header `PAYMENT-SIGNATURE`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentPayload {
    /// The version: 2.
    pub x402_version: u64,
    /// The offer that the client accepts.
    pub accepted: Requirements,
    /// What the scheme sends; for ours `{"proofs": [..]}`.
    pub payload: Value,
    /// Extensions by name.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extensions: Map<String, Value>,
}

/// A receipt: the header `PAYMENT-RESPONSE`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettleResponse {
    /// True for a payment that counts.
    pub success: bool,
    /// The hash of a transaction; empty, because no transaction is sent.
    pub transaction: String,
    /// The chain, in CAIP-2.
    pub network: String,
    /// The owner of the account that paid.
    pub payer: String,
    /// The price that was charged, in decimal units of the token.
    pub amount: String,
    /// Deposit, total, charged, balance and payment, as text.
    pub extra: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct Proofs {
    proofs: Vec<String>,
}

impl PaymentRequired {
    /// Encodes the header.
    pub fn encode(&self) -> String {
        to_standard(self)
    }

    /// Decodes the header.
    ///
    /// # Errors
    ///
    /// [`FormError`] names the fault.
    pub fn decode(text: &str) -> Result<Self, FormError> {
        from_standard(text)
    }
}

impl PaymentPayload {
    /// Encodes the header.
    pub fn encode(&self) -> String {
        to_standard(self)
    }

    /// Decodes the header.
    ///
    /// # Errors
    ///
    /// [`FormError`] names the fault.
    pub fn decode(text: &str) -> Result<Self, FormError> {
        from_standard(text)
    }

    /// Reads a payment of our scheme to `payee`. `None`: the payment is of another scheme.
    ///
    /// Of the accepted offer, scheme, chain, token and payee must be ours, and its amount is the most that the client pays. All
    /// else moves between two requests, and does not matter.
    ///
    /// # Errors
    ///
    /// [`FormError`] names the fault.
    pub fn payment(&self, payee: Address) -> Result<Option<Payment>, FormError> {
        if self.x402_version != 2 {
            return Err(FormError::Field("x402Version"));
        }
        let accepted = &self.accepted;
        if accepted.scheme != "cheque" {
            return Ok(None);
        }
        if address(&accepted.pay_to, "accepted.payTo")? != payee {
            return Err(FormError::Field("accepted.payTo"));
        }
        let sent: Proofs = serde_json::from_value(self.payload.clone())
            .map_err(|_| FormError::Field("payload.proofs"))?;
        let currency = Currency {
            chain_id: network(&accepted.network)?,
            token: address(&accepted.asset, "accepted.asset")?,
        };
        Ok(Some(Payment {
            proofs: proofs(&sent.proofs)?,
            max: Some(MaxPrice {
                currency: Some(currency),
                amount: amount(&accepted.amount, "accepted.amount")?,
            }),
        }))
    }
}

impl SettleResponse {
    /// Encodes the header.
    pub fn encode(&self) -> String {
        to_standard(self)
    }

    /// Decodes the header.
    ///
    /// # Errors
    ///
    /// [`FormError`] names the fault.
    pub fn decode(text: &str) -> Result<Self, FormError> {
        from_standard(text)
    }
}
