//! `POST /cheques`: the request, and the refusals.

use alloy::primitives::Address;
use axum::http::{HeaderMap, StatusCode};
use cheque::{
    Amount,
    bank::{BankError, HeadCheckError},
    payer::{PayerError, PaymentName},
};
use serde::Deserialize;
use serde_json::Value;

use crate::service::{
    body::{address, amount, bad_request, required, switch, text},
    error::HttpError,
};

/// The header with the payment's name, if the body has none.
const NAME_HEADER: &str = "idempotency-key";

/// The body of `POST /cheques`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PaymentBody {
    payee: Option<Value>,
    amount: Option<Value>,
    /// In seconds.
    #[serde(default)]
    payee_cutoff: u64,
    id: Option<Value>,
    preview: Option<Value>,
}

/// A request for a payment.
#[derive(Debug)]
pub(super) struct PaymentRequest {
    pub(super) payee: Address,
    /// In token units.
    pub(super) amount: Amount,
    /// The payee takes no payment in so many seconds before a draw. Zero: the usual.
    pub(super) payee_cutoff: u64,
    /// The caller's name of the payment.
    pub(super) name: Option<PaymentName>,
    /// True if nothing is to be paid.
    pub(super) preview: bool,
}

impl PaymentRequest {
    pub(super) fn read(headers: &HeaderMap, body: PaymentBody) -> Result<Self, HttpError> {
        let id = body.id.map(|id| text("id", id)).transpose()?;
        Ok(Self {
            payee: address("payee", required("payee", body.payee)?)?,
            amount: amount("amount", required("amount", body.amount)?)?,
            payee_cutoff: body.payee_cutoff,
            name: name(headers, id.as_deref())?,
            preview: switch("preview", body.preview)?,
        })
    }
}

/// The name of the header or the body. Both may name the payment if they agree.
fn name(headers: &HeaderMap, id: Option<&str>) -> Result<Option<PaymentName>, HttpError> {
    let bad = |text: String| bad_request(StatusCode::UNPROCESSABLE_ENTITY, text);
    let mut given = headers.get_all(NAME_HEADER).iter();
    let header = match (given.next(), given.next()) {
        (None, _) => None,
        (Some(header), None) => Some(header.to_str().map_err(|_| {
            bad("the header Idempotency-Key has other characters than visible ASCII".to_owned())
        })?),
        (Some(_), Some(_)) => {
            return Err(bad(
                "the header Idempotency-Key occurs twice; send it once".to_owned()
            ));
        }
    };
    // A string of structured fields is in quotes.
    let unquoted = |text: &str| {
        let inner = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'));
        inner.unwrap_or(text).to_owned()
    };
    let header = header.map(unquoted);
    let name = match (header.as_deref(), id) {
        (Some(header), Some(id)) if header != id => {
            return Err(bad(
                "the header Idempotency-Key and the field `id` differ; send one of them".to_owned(),
            ));
        }
        (header, id) => header.or(id),
    };
    let name = name.map(str::parse);
    name.transpose()
        .map_err(|error: cheque::payer::PaymentNameError| bad(error.to_string()))
}

/// The answer to a payment that was not made, or may not have been.
pub(super) fn payment_error(payee: Address, error: &PayerError) -> HttpError {
    let (status, code, text) = match error {
        PayerError::NotCovered { .. } => (StatusCode::CONFLICT, "not_covered", error.to_string()),
        PayerError::NotListed { .. } => (StatusCode::CONFLICT, "not_listed", error.to_string()),
        PayerError::NameReused { .. } => (StatusCode::CONFLICT, "id_reused", error.to_string()),
        PayerError::Write(_) => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad_amount",
            error.to_string(),
        ),
        PayerError::Clock(clock) => (
            StatusCode::SERVICE_UNAVAILABLE,
            clock.code(),
            error.to_string(),
        ),
        PayerError::Bank(BankError::Head(
            HeadCheckError::Ahead { .. } | HeadCheckError::Behind { .. },
        )) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "stale_view",
            error.to_string(),
        ),
        PayerError::Bank(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "the chain cannot be read and nothing was paid; try again".to_owned(),
        ),
        _ => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "result_unknown",
            format!(
                "the payment may be made; send it again with the same id, or check /payees/{payee} before you try again"
            ),
        ),
    };
    HttpError::new(status, code, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn read(headers: &[&'static str], id: Option<&str>) -> Option<Option<PaymentName>> {
        let pairs = headers.iter().map(|text| {
            let name = axum::http::HeaderName::from_static(NAME_HEADER);
            (name, HeaderValue::from_static(text))
        });
        name(&pairs.collect(), id).ok()
    }

    #[test]
    fn takes_the_name_of_a_payment_from_header_or_body() {
        let expected = Some("a-1".parse().ok());
        assert_eq!(read(&["a-1"], None), expected);
        assert_eq!(read(&["\"a-1\""], None), expected);
        assert_eq!(read(&[], Some("a-1")), expected);
        assert_eq!(read(&["a-1"], Some("a-1")), expected);
        assert_eq!(read(&[], None), Some(None));
        assert_eq!(read(&["a-1"], Some("a-2")), None);
        assert_eq!(read(&["a-1", "a-1"], None), None);
        assert_eq!(read(&[""], None), None);
        assert_eq!(read(&[], Some("")), None);
        assert_eq!(read(&[], Some("a b")), None);
    }
}
