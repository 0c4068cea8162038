//! Base64 and JSON of headers.

use base64::{
    Engine,
    engine::{
        DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig,
        general_purpose::{STANDARD, URL_SAFE_NO_PAD},
    },
};
use cheque::{Address, Amount, Proof};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// The longest header value that is decoded, in bytes. The largest opening needs 5.5 kB in MPP; a payment has up to 8 proofs.
const MAX_VALUE: usize = 48 << 10;

/// The decoder of x402 clients takes the standard alphabet, with or without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The reason why a header is not in its form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormError {
    /// The value is too long, or not printable.
    #[error("the header is longer than {MAX_VALUE} bytes, or has characters beyond ASCII")]
    Value,
    /// The value is not base64 of the right alphabet.
    #[error("the header is not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// The value is not JSON of the right form.
    #[error("the header is not the JSON of its form: {0}")]
    Json(String),
    /// A field of the value is wrong.
    #[error("the field {0} is missing or not in its form")]
    Field(&'static str),
    /// A proof is not in its form.
    #[error("a proof is not in its form: {0}")]
    Proof(#[from] cheque::WireError),
    /// An authentication header is not in its form.
    #[error("the challenge is not in its form: {0}")]
    Challenge(&'static str),
}

/// Encodes JSON in standard base64 with padding, as x402 wants it.
pub(super) fn to_standard(value: &impl Serialize) -> String {
    STANDARD.encode(json(value))
}

/// Encodes text that is JSON already.
pub(crate) fn to_header(json: &str) -> String {
    STANDARD.encode(json)
}

/// Decodes JSON in standard base64.
pub(super) fn from_standard<T: DeserializeOwned>(text: &str) -> Result<T, FormError> {
    check_length(text)?;
    parse(&LENIENT.decode(text)?)
}

/// Encodes bytes in base64url without padding, as MPP wants it.
pub(super) fn to_url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Decodes JSON in base64url without padding.
pub(super) fn from_url<T: DeserializeOwned>(text: &str) -> Result<T, FormError> {
    check_length(text)?;
    parse(&URL_SAFE_NO_PAD.decode(text)?)
}

fn check_length(text: &str) -> Result<(), FormError> {
    (text.len() <= MAX_VALUE)
        .then_some(())
        .ok_or(FormError::Value)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FormError> {
    serde_json::from_slice(bytes).map_err(|error| FormError::Json(error.to_string()))
}

/// Writes JSON. Our structs have text keys only, so that this never fails.
pub(super) fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// Writes JSON in the canonical form of RFC 8785: keys sorted, no spaces. For values with ASCII keys and whole numbers below
/// 2^53, which is all that we write.
pub(super) fn canonical(value: &impl Serialize) -> Vec<u8> {
    let mut value = serde_json::to_value(value).unwrap_or_default();
    sort(&mut value);
    json(&value)
}

fn sort(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<_> = std::mem::take(fields).into_iter().collect();
            sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
            for (key, mut field) in sorted {
                sort(&mut field);
                fields.insert(key, field);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(sort),
        _ => {}
    }
}

/// Parses an amount: decimal digits without a sign or leading zeros.
pub(super) fn amount(text: &str, field: &'static str) -> Result<Amount, FormError> {
    let is_plain =
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let units = text.parse().ok().filter(|_| is_plain);
    units.map(Amount::new).ok_or(FormError::Field(field))
}

/// Parses an address of 20 bytes in hexadecimal, of any case.
pub(super) fn address(text: &str, field: &'static str) -> Result<Address, FormError> {
    let hex = text.strip_prefix("0x").ok_or(FormError::Field(field))?;
    hex.parse().map_err(|_| FormError::Field(field))
}

/// Parses a chain's name in CAIP-2, `eip155:` and the chain's id.
pub(super) fn network(text: &str) -> Result<u64, FormError> {
    let id = text
        .strip_prefix("eip155:")
        .ok_or(FormError::Field("network"))?;
    let chain_id = amount(id, "network")?.get();
    u64::try_from(chain_id).map_err(|_| FormError::Field("network"))
}

/// Parses the proofs of a payment.
pub(super) fn proofs(texts: &[String]) -> Result<Vec<Proof>, FormError> {
    let parsed: Result<_, _> = texts.iter().map(|text| text.parse::<Proof>()).collect();
    Ok(parsed?)
}
