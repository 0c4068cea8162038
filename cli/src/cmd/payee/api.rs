//! What a payee answers over HTTP.

use alloy::primitives::Address;
use axum::{
    Json, Router,
    extract::{State, rejection::JsonRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use cheque::{
    DepositId, Proof, Rejection,
    payee::{Accepted, PayeeService, ReceiveError},
    store::{StoreError, StoredError},
};
use serde::Deserialize;
use serde_json::json;

use crate::{holding::Holding, service::Refusal};

/// The paths of a payee.
pub(super) fn router(service: PayeeService) -> Router {
    Router::new()
        .route("/payments", post(pay))
        .route("/deposits", get(deposits))
        .with_state(service)
}

/// What `POST /payments` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payment {
    /// The proof's text.
    proof: String,
    /// Whom the caller has authenticated as the sender.
    from: Option<Address>,
}

/// The payment is on disk before it is answered.
async fn pay(
    State(service): State<PayeeService>,
    body: Result<Json<Payment>, JsonRejection>,
) -> Response {
    let payment = match body {
        Ok(Json(payment)) => payment,
        Err(error) => {
            return Refusal::new(error.status(), "bad_request", error.body_text()).into_response();
        }
    };
    let proof: Proof = match payment.proof.parse() {
        Ok(proof) => proof,
        Err(error) => {
            let text = format!("this is no proof of payment: {error}");
            return Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "malformed", text)
                .into_response();
        }
    };
    match service.receive_payment(payment.from, &proof).await {
        Ok(accepted) => Json(answer(&accepted)).into_response(),
        Err(ReceiveError::Rejected(rejection)) => refused(proof.deposit_id(), &rejection),
        Err(error) => {
            tracing::warn!(event = "payment_not_judged", reason = %error);
            // What the node or the store says is the operator's business.
            let (code, text) = match &error {
                ReceiveError::Stored(StoredError::Store(StoreError::Unknown { .. })) => (
                    "unknown",
                    "nobody knows whether the payment was recorded; show it again: it counts once, and is a replay if it was",
                ),
                _ => (
                    "unavailable",
                    "the payment could not be judged, and nothing was recorded; try again",
                ),
            };
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, code, text).into_response()
        }
    }
}

fn answer(accepted: &Accepted) -> serde_json::Value {
    json!({
        "deposit": accepted.deposit,
        "credit_to": accepted.credit_to,
        "token": accepted.position.deposit().token,
        "value": accepted.value,
        "total": accepted.total,
        "credited": accepted.position.credited(),
    })
}

/// A rejection by its name. A payer whose proof is stale is told the newest one, from which it can go on.
fn refused(deposit: DepositId, rejection: &Rejection) -> Response {
    let mut body = json!({ "error": rejection.to_string(), "code": rejection.code() });
    if let Rejection::Stale { newest, shown, .. } = rejection {
        let mut proofs = vec![Proof::Cheque(deposit, **newest).to_string()];
        if let (k @ 1.., x) = *shown {
            proofs.push(Proof::Step { deposit, k, x }.to_string());
        }
        body["newest"] = json!(proofs);
    }
    (status(rejection), Json(body)).into_response()
}

/// 402: good as it is, but does not pay (yet, any more, or enough). 409: counted before, or a newer one was. 422: never
/// good here. 503: nobody knows, because the view of the chain is old.
const fn status(rejection: &Rejection) -> StatusCode {
    match rejection {
        Rejection::Stale { .. } | Rejection::Replay | Rejection::AnchorReused => {
            StatusCode::CONFLICT
        }
        Rejection::StaleView { .. } => StatusCode::SERVICE_UNAVAILABLE,
        Rejection::UnknownDeposit(_)
        | Rejection::NotConfirmed(_)
        | Rejection::PastCutoff { .. }
        | Rejection::SeedMayBePublic { .. }
        | Rejection::HorizonTooLong { .. }
        | Rejection::WindowTooShort { .. }
        | Rejection::DepositTooLarge { .. }
        | Rejection::ExposureTooLarge { .. }
        | Rejection::TokenWithoutRate(_)
        | Rejection::PayoutTooSmall { .. }
        | Rejection::OverAllowance { .. }
        | Rejection::NothingSpent
        | Rejection::NoStream(_)
        | Rejection::StreamTooLong { .. } => StatusCode::PAYMENT_REQUIRED,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

async fn deposits(State(service): State<PayeeService>) -> Response {
    let status = match service.status().await {
        Ok(status) => status,
        Err(error) => {
            tracing::warn!(event = "deposits_not_listed", reason = %error);
            let text = "the ledger cannot be read; try again";
            return Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", text)
                .into_response();
        }
    };
    let deposits: Vec<_> = status
        .into_iter()
        .map(|status| Holding::new(status).json())
        .collect();
    Json(json!({
        "payee": service.payee().policy().payee,
        "head": service.health().head,
        "deposits": deposits,
    }))
    .into_response()
}
