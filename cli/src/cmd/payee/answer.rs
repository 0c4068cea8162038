//! The answers to `POST /payments`.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use cheque::{Position, Proof, Rejection, payee::Accepted};
use serde_json::{Value, json};

/// The answer to an accepted payment.
pub(super) fn accepted(accepted: &Accepted) -> Value {
    json!({
        "deposit": accepted.deposit,
        "credit_to": accepted.credit_to,
        "token": accepted.position.deposit().token,
        "value": accepted.value,
        "total": accepted.total,
        "credited": accepted.position.credited(),
    })
}

/// Answers a rejection with its code.
///
/// A caller that shows a counted payment again has perhaps lost the first answer, so it learns what was credited: the value of the
/// payment if no other came since, and in any case the totals of the deposit. The rejection tells that the proof bears the
/// signer's signature. A stale proof is also answered with the newest proofs, from which the payer can continue.
pub(super) fn rejected(
    proof: &Proof,
    rejection: &Rejection,
    position: Option<&Position>,
) -> Response {
    let mut body = json!({
        "error": rejection.to_string(),
        "code": rejection.code(),
        "class": rejection.class().name(),
    });
    let deposit = proof.deposit_id();
    if let (Rejection::Replay | Rejection::Stale { .. }, Some(position)) = (rejection, position) {
        body["deposit"] = json!(deposit);
        body["credit_to"] = json!(position.deposit().signer);
        body["token"] = json!(position.deposit().token);
        if position.is_newest(proof) {
            body["value"] = json!(position.last_value());
        }
        body["total"] = json!(position.total());
        body["credited"] = json!(position.credited());
    }
    if let Rejection::Stale { newest, shown, .. } = rejection {
        let mut proofs = vec![Proof::Cheque(deposit, **newest).to_string()];
        if let (k @ 1.., x) = *shown {
            proofs.push(Proof::Step { deposit, k, x }.to_string());
        }
        body["newest"] = json!(proofs);
    }
    let status = StatusCode::from_u16(rejection.http_status());
    let status = status.unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
    (status, Json(body)).into_response()
}
