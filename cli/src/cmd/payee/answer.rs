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
    let mut body = json!({ "error": rejection.to_string(), "code": rejection.code() });
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
    (status(rejection), Json(body)).into_response()
}

/// The status of a rejection. 402: valid, but does not pay (not yet, too late, or too little). 409: counted before, or
/// older than a counted proof. 422: never valid here. 503: not checked, because clocks, node
/// or beacon are behind, or the chain does not finalize.
const fn status(rejection: &Rejection) -> StatusCode {
    match rejection {
        Rejection::Stale { .. } | Rejection::Replay | Rejection::AnchorReused => {
            StatusCode::CONFLICT
        }
        Rejection::Clock(_) | Rejection::ChainNotFinal { .. } => StatusCode::SERVICE_UNAVAILABLE,
        Rejection::UnknownDeposit(_)
        | Rejection::NotConfirmed(_)
        | Rejection::PastCutoff { .. }
        | Rejection::HorizonTooLong { .. }
        | Rejection::WindowTooShort { .. }
        | Rejection::DepositTooLarge { .. }
        | Rejection::ExposureTooLarge { .. }
        | Rejection::UnsettledTooLarge { .. }
        | Rejection::TokenWithoutRate(_)
        | Rejection::PayoutTooSmall { .. }
        | Rejection::OverAllowance { .. }
        | Rejection::NothingSpent
        | Rejection::NoStream(_)
        | Rejection::StreamTooLong { .. } => StatusCode::PAYMENT_REQUIRED,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}
