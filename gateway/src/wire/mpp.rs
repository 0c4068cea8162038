//! The messages of MPP, the HTTP authentication scheme "Payment".

use crate::{
    ledger::{Currency, MaxPrice, Payment},
    wire::encoding::{FormError, address, amount, canonical, from_url, json, proofs, to_url},
};
use cheque::Address;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::Sha256;
use std::{fmt, fmt::Write};
use subtle::ConstantTimeEq;

/// How a request is priced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Intent {
    /// One price for each request.
    Charge,
    /// A price that depends on the answer.
    Session,
}

/// The field `request` of a challenge: the offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MppRequest {
    /// The most that the request costs, in decimal units of the token.
    pub amount: String,
    /// The token; the native coin is the zero address.
    pub currency: String,
    /// The payee.
    pub recipient: String,
    /// The unit of a variable price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit_type: Option<String>,
    /// The chain's id, and the payee's terms.
    pub method_details: Map<String, Value>,
}

/// A challenge: a value of the header `WWW-Authenticate`. `Display` writes the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// What a credential repeats.
    pub echo: ChallengeEcho,
    /// The header in which the credential goes, if it is not `Authorization`.
    pub header: Option<String>,
}

/// The parts of a challenge that a credential repeats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengeEcho {
    /// The hash by which the server knows its challenge.
    pub id: String,
    /// The server's name.
    pub realm: String,
    /// The method of payment; ours is `cheque`.
    pub method: String,
    /// `charge` or `session`.
    pub intent: String,
    /// The offer, as JSON in base64url.
    pub request: String,
    /// The end of the challenge's life, by RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// The digest of the body; never set by us.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The server's own data; never set by us.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opaque: Option<String>,
}

/// A credential: the value of `Authorization` after the word `Payment`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// The accepted challenge.
    pub challenge: ChallengeEcho,
    /// The payer, `did:pkh:eip155:<chain>:<address>`. Not needed: the proofs name their signer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What the method sends; for ours `{"proofs": [..]}`.
    pub payload: Value,
}

/// A receipt: the header `Payment-Receipt`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MppReceipt {
    /// The method of payment.
    pub method: String,
    /// The intent of the challenge.
    pub intent: String,
    /// `success`.
    pub status: String,
    /// The time, by RFC 3339.
    pub timestamp: String,
    /// Deposit and total of the payment.
    pub reference: String,
    /// The id of the challenge; empty for a stream that was paid in another protocol.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub challenge_id: String,
    /// The deposit.
    pub channel_id: String,
    /// The total of the payment, in decimal units of the token.
    pub accepted_cumulative: String,
    /// The total less the balance.
    pub spent: String,
    /// The price that was charged.
    pub charged: String,
    /// The account's balance.
    pub balance: String,
    /// The chain's id.
    pub chain_id: u64,
}

#[derive(Serialize, Deserialize)]
struct Proofs {
    proofs: Vec<String>,
}

impl Intent {
    /// Returns the name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::Session => "session",
        }
    }
}

impl MppRequest {
    /// Encodes the offer: canonical JSON in base64url.
    pub fn encode(&self) -> String {
        to_url(&canonical(self))
    }

    /// Decodes an offer.
    ///
    /// # Errors
    ///
    /// [`FormError`] names the fault.
    pub fn decode(text: &str) -> Result<Self, FormError> {
        from_url(text)
    }
}

impl ChallengeEcho {
    /// Computes the id by a key of the server: HMAC-SHA256 of the fields, divided by `|`, absent ones empty.
    pub fn compute_id(&self, key: &[u8; 32]) -> String {
        let parts: [&str; 7] = [
            &self.realm,
            &self.method,
            &self.intent,
            &self.request,
            self.expires.as_deref().unwrap_or_default(),
            self.digest.as_deref().unwrap_or_default(),
            self.opaque.as_deref().unwrap_or_default(),
        ];
        // A key of any length is good for HMAC.
        match Hmac::<Sha256>::new_from_slice(key) {
            Ok(mut hmac) => {
                hmac.update(parts.join("|").as_bytes());
                to_url(&hmac.finalize().into_bytes())
            }
            Err(_) => String::new(),
        }
    }

    /// True if the server has made the challenge.
    pub fn is_own(&self, key: &[u8; 32]) -> bool {
        let own = self.compute_id(key);
        self.id.as_bytes().ct_eq(own.as_bytes()).into()
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let echo = &self.echo;
        write!(
            f,
            "Payment id=\"{}\", realm=\"{}\"",
            echo.id,
            Quoted(&echo.realm)
        )?;
        write!(
            f,
            ", method=\"{}\", intent=\"{}\"",
            echo.method, echo.intent
        )?;
        write!(f, ", request=\"{}\"", echo.request)?;
        let rest = [
            ("expires", &echo.expires),
            ("digest", &echo.digest),
            ("opaque", &echo.opaque),
            ("header", &self.header),
        ];
        for (name, value) in rest {
            if let Some(value) = value {
                write!(f, ", {name}=\"{}\"", Quoted(value))?;
            }
        }
        Ok(())
    }
}

/// A text with its quotes and backslashes escaped.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            if matches!(character, '"' | '\\') {
                f.write_char('\\')?;
            }
            f.write_char(character)?;
        }
        Ok(())
    }
}

impl Challenge {
    /// Parses the value of a header `WWW-Authenticate` with one challenge of this scheme. Ignores parameters that it does not
    /// know.
    ///
    /// # Errors
    ///
    /// [`FormError`] names the fault.
    pub fn parse(text: &str) -> Result<Self, FormError> {
        let rest = after_scheme(text).ok_or(FormError::Challenge("the scheme is not Payment"))?;
        let mut params = Map::new();
        let mut rest = rest.trim_start();
        while !rest.is_empty() {
            let (name, value, left) = param(rest)?;
            if params.insert(name, Value::String(value)).is_some() {
                return Err(FormError::Challenge("a parameter is there twice"));
            }
            rest = left;
        }
        let header = params
            .remove("header")
            .and_then(|header| header.as_str().map(str::to_owned));
        let echo = serde_json::from_value(Value::Object(params))
            .map_err(|_| FormError::Challenge("a parameter is missing"))?;
        Ok(Self { echo, header })
    }
}

/// Reads `name="value"` and the comma behind it.
fn param(text: &str) -> Result<(String, String, &str), FormError> {
    let (name, rest) = text
        .split_once('=')
        .ok_or(FormError::Challenge("a parameter has no value"))?;
    let rest = rest
        .strip_prefix('"')
        .ok_or(FormError::Challenge("a value has no quotes"))?;
    let (mut value, mut characters) = (String::new(), rest.char_indices());
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            '"' => {
                let rest = rest[at + 1..].trim_start();
                let rest = match rest.strip_prefix(',') {
                    Some(rest) => rest.trim_start(),
                    None if rest.is_empty() => rest,
                    None => return Err(FormError::Challenge("no comma divides the parameters")),
                };
                return Ok((name.trim().to_ascii_lowercase(), value, rest));
            }
            character => value.push(character),
        }
    }
    Err(FormError::Challenge("a value does not end"))
}

/// Returns what follows the word `Payment`, in any case; `None` for another scheme.
pub(super) fn after_scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("payment").then(|| rest.trim())
}

impl Credential {
    /// Encodes the value of the header, with the scheme's name.
    pub fn encode(&self) -> String {
        format!("Payment {}", to_url(&json(self)))
    }

    /// Decodes the value of the header, with the scheme's name.
    ///
    /// # Errors
    ///
    /// [`FormError`] names the fault.
    pub fn decode(text: &str) -> Result<Self, FormError> {
        from_url(after_scheme(text).ok_or(FormError::Challenge("the scheme is not Payment"))?)
    }

    /// Reads a payment of our method to `payee`. `None`: the payment is of another method. Does not check the challenge's id.
    ///
    /// # Errors
    ///
    /// [`FormError`] names the fault.
    pub fn payment(&self, payee: Address) -> Result<Option<Payment>, FormError> {
        if self.challenge.method != "cheque" {
            return Ok(None);
        }
        let request = MppRequest::decode(&self.challenge.request)?;
        if address(&request.recipient, "request.recipient")? != payee {
            return Err(FormError::Field("request.recipient"));
        }
        let chain_id = request
            .method_details
            .get("chainId")
            .and_then(Value::as_u64);
        let currency = Currency {
            chain_id: chain_id.ok_or(FormError::Field("request.methodDetails.chainId"))?,
            token: address(&request.currency, "request.currency")?,
        };
        let sent: Proofs = serde_json::from_value(self.payload.clone())
            .map_err(|_| FormError::Field("payload.proofs"))?;
        Ok(Some(Payment {
            proofs: proofs(&sent.proofs)?,
            max: Some(MaxPrice {
                currency: Some(currency),
                amount: amount(&request.amount, "request.amount")?,
            }),
        }))
    }
}

impl MppReceipt {
    /// Encodes the header.
    pub fn encode(&self) -> String {
        to_url(&json(self))
    }

    /// Decodes the header.
    ///
    /// # Errors
    ///
    /// [`FormError`] names the fault.
    pub fn decode(text: &str) -> Result<Self, FormError> {
        from_url(text)
    }
}
