//! The client's name for a request: the header `Idempotency-Key`, or the extension `payment-identifier` of x402.

use crate::{
    ledger::IdempotencyKey,
    wire::{encoding::FormError, x402::PaymentPayload},
};
use http::{HeaderMap, HeaderName};
use serde_json::{Value, json};
use std::ops::RangeInclusive;

/// The header.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The extension.
pub const PAYMENT_IDENTIFIER: &str = "payment-identifier";

/// The longest key in the header, in bytes.
const MAX_KEY: usize = 255;

/// The shortest and the longest identifier of x402, in bytes.
const IDENTIFIER: RangeInclusive<usize> = 16..=128;

/// Returns the extension in offers: a client may name its request, and need not.
pub(super) fn offered() -> (String, Value) {
    let extension = json!({
        "info": { "required": false },
        "schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "required": { "type": "boolean" },
                "id": {
                    "type": "string",
                    "minLength": IDENTIFIER.start(),
                    "maxLength": IDENTIFIER.end(),
                    "pattern": "^[a-zA-Z0-9_-]+$",
                },
            },
            "required": ["required"],
        },
    });
    (PAYMENT_IDENTIFIER.to_owned(), extension)
}

/// Reads the header; quotes around the key do not count.
pub(super) fn of_header(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, FormError> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let wrong = || FormError::Field("Idempotency-Key");
    if values.next().is_some() {
        return Err(wrong());
    }
    let text = value.to_str().map_err(|_| wrong())?.trim();
    let bare = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    let text = bare.unwrap_or(text);
    if text.is_empty() || text.len() > MAX_KEY || text.contains('"') {
        return Err(wrong());
    }
    Ok(Some(IdempotencyKey::of(text)))
}

/// Reads the extension of a payment.
pub(super) fn of_payment(payload: &PaymentPayload) -> Result<Option<IdempotencyKey>, FormError> {
    let extension = payload.extensions.get(PAYMENT_IDENTIFIER);
    let id = match extension.and_then(|extension| extension.pointer("/info/id")) {
        None => return Ok(None),
        Some(id) => id,
    };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_one = |id: &str| IDENTIFIER.contains(&id.len()) && id.bytes().all(allowed);
    let id = id.as_str().filter(|id| is_one(id));
    let id = id.ok_or(FormError::Field("extensions.payment-identifier.info.id"))?;
    Ok(Some(IdempotencyKey::of(id)))
}
