//! The body of a request: one JSON object, read within a time, with errors in plain words.

use std::time::Duration;

use alloy::primitives::Address;
use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
};
use cheque::Amount;
use serde::de::DeserializeOwned;
use serde_json::{Value, error::Category};
use tokio::time::timeout;

use super::error::HttpError;
use crate::allowances::parse_address;

/// The time to read a body.
const READ: Duration = Duration::from_secs(10);

/// The largest whole number that all programs write exactly in JSON: 2^53 - 1.
const MAX_EXACT: u64 = (1 << 53) - 1;

/// A JSON object. Arrays and other values are no request, unknown and repeated fields are errors.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = HttpError;

    async fn from_request(request: Request, state: &S) -> Result<Self, HttpError> {
        if !is_json(request.headers()) {
            return Err(bad_request(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "the body is not declared as JSON; send the header `content-type: application/json`",
            ));
        }
        let read = timeout(READ, Bytes::from_request(request, state));
        let bytes = read.await.map_err(|_| {
            bad_request(
                StatusCode::REQUEST_TIMEOUT,
                "the body is incomplete after 10 s; send it again",
            )
        })?;
        let bytes = bytes.map_err(|error| match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => bad_request(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the body is longer than 64 KiB",
            ),
            status => bad_request(status, "the body ended early; send it again"),
        })?;
        parse(&bytes).map(Self)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let given = headers.get(CONTENT_TYPE);
    let given = given.and_then(|value| value.to_str().ok());
    let media = given.and_then(|value| value.split(';').next());
    media.is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json"))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, HttpError> {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    if first.is_some_and(|first| *first != b'{') && serde_json::from_slice::<Value>(bytes).is_ok() {
        return Err(bad_field("the body is not a JSON object"));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        match error.classify() {
            Category::Data => {
                let text = error.to_string();
                let place = format!(" at line {line} column {column}");
                bad_field(text.strip_suffix(&place).unwrap_or(&text))
            }
            _ => bad_request(
                StatusCode::BAD_REQUEST,
                format!("the body is not JSON; see line {line}, column {column}"),
            ),
        }
    })
}

/// A field that the request must have.
pub(crate) fn required(name: &str, value: Option<Value>) -> Result<Value, HttpError> {
    value.ok_or_else(|| bad_field(format!("the field `{name}` is missing")))
}

/// Reads a text.
pub(crate) fn text(name: &str, value: Value) -> Result<String, HttpError> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(bad_field(format!(
            "`{name}` is not a text; write it in quotes"
        ))),
    }
}

/// Reads a switch.
pub(crate) fn switch(name: &str, value: Option<Value>) -> Result<bool, HttpError> {
    match value {
        None => Ok(false),
        Some(Value::Bool(on)) => Ok(on),
        Some(_) => Err(bad_field(format!("`{name}` is neither true nor false"))),
    }
}

/// Reads an address, with its checksum if it is in mixed case.
pub(crate) fn address(name: &str, value: Value) -> Result<Address, HttpError> {
    let text = text(name, value)?;
    parse_address(&text).map_err(|error| bad_field(format!("`{name}`: {error}")))
}

/// Reads an amount in token units: decimal digits in a text, or a whole number up to 2^53 - 1.
pub(crate) fn amount(name: &str, value: Value) -> Result<Amount, HttpError> {
    let units = match &value {
        Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.parse().ok().map(Amount::new)
        }
        Value::Number(number) => match number.as_u64() {
            Some(units) if units <= MAX_EXACT => Some(Amount::new(units.into())),
            Some(_) => {
                return Err(bad_field(format!(
                    "`{name}` is a number above 2^53 - 1, which many programs round; write it in quotes"
                )));
            }
            None => None,
        },
        _ => None,
    };
    units.ok_or_else(|| {
        bad_field(format!(
            "`{name}` is {value}, not a number of token units; write digits in quotes, such as \"20000\""
        ))
    })
}

/// The refusal of a request that cannot be read.
pub(crate) fn bad_request(status: StatusCode, text: impl Into<String>) -> HttpError {
    HttpError::new(status, "bad_request", text)
}

fn bad_field(text: impl Into<String>) -> HttpError {
    bad_request(StatusCode::UNPROCESSABLE_ENTITY, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Payment {
        amount: Option<Value>,
    }

    fn said(bytes: &str) -> String {
        format!("{:?}", parse::<Payment>(bytes.as_bytes()).unwrap_err())
    }

    #[test]
    fn takes_objects_only_and_no_repeated_or_unknown_field() {
        let payment: Payment = parse(br#" {"amount":"1"}"#).unwrap();
        assert_eq!(payment.amount, Some(json!("1")));
        for (body, text) in [
            (r#"["1"]"#, "not a JSON object"),
            ("null", "not a JSON object"),
            ("7", "not a JSON object"),
            ("", "line 1, column 0"),
            ("{", "line 1, column 1"),
            (r#"{"amount":"1"} x"#, "line 1, column 16"),
            (r#"{"amount":"1","amount":"2"}"#, "duplicate field `amount`"),
            (r#"{"price":"1"}"#, "unknown field `price`"),
        ] {
            let said = said(body);
            assert!(said.contains(text), "{body}: {said}");
            assert!(said.contains("bad_request"), "{body}: {said}");
        }
    }

    #[test]
    fn reads_amounts_without_loss() {
        let read = |value| amount("amount", value).ok().map(Amount::get);
        assert_eq!(
            read(json!("340282366920938463463374607431768211455")),
            Some(u128::MAX)
        );
        assert_eq!(read(json!(20_000)), Some(20_000));
        assert_eq!(read(json!(MAX_EXACT)), Some(u128::from(MAX_EXACT)));
        for bad in [
            json!(MAX_EXACT + 1),
            json!(1.5),
            json!(-1),
            json!("1e18"),
            json!("-1"),
            json!("+1"),
            json!(""),
            json!("340282366920938463463374607431768211456"),
            json!(null),
            json!(["1"]),
        ] {
            assert_eq!(read(bad.clone()), None, "{bad}");
        }
    }

    #[test]
    fn checks_checksums_as_the_command_line_does() {
        let read = |text: &str| address("payee", json!(text)).is_ok();
        assert!(read("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"));
        assert!(read("0x70997970c51812dc3a010c7d01b50e0d17dc79c8"));
        assert!(!read("0x70997970C51812dc3A010C7d01b50e0d17dc79c8"));
        assert!(!read("0x12"));
    }

    #[test]
    fn wants_json_in_the_header() {
        let declared = |text: &'static str| {
            let header = axum::http::HeaderValue::from_static(text);
            is_json(&[(CONTENT_TYPE, header)].into_iter().collect())
        };
        assert!(declared("application/json"));
        assert!(declared("Application/JSON; charset=utf-8"));
        assert!(!declared("application/x-www-form-urlencoded"));
        assert!(!is_json(&HeaderMap::new()));
    }
}
