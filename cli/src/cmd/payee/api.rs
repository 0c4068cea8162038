//! The payee's HTTP API.

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

use crate::{holding::Holding, service::error::HttpError};

/// The paths of a payee.
pub(super) fn router(service: PayeeService) -> Router {
    Router::new()
        .route("/payments", post(pay))
        .route("/deposits", get(deposits))
        .with_state(service)
}

/// The body of `POST /payments`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payment {
    proof: String,
    /// The sender, authenticated by the caller.
    from: Option<Address>,
}

/// Receives a payment, which is on disk before the answer.
async fn pay(
    State(service): State<PayeeService>,
    body: Result<Json<Payment>, JsonRejection>,
) -> Response {
    let payment = match body {
        Ok(Json(payment)) => payment,
        Err(error) => {
            return HttpError::new(error.status(), "bad_request", error.body_text())
                .into_response();
        }
    };
    let proof: Proof = match payment.proof.parse() {
        Ok(proof) => proof,
        Err(error) => {
            let text = format!("the text is not a proof of payment: {error}");
            return HttpError::new(StatusCode::UNPROCESSABLE_ENTITY, "malformed", text)
                .into_response();
        }
    };
    match service.receive_payment(payment.from, &proof).await {
        Ok(accepted) => Json(answer(&accepted)).into_response(),
        Err(ReceiveError::Rejected(rejection)) => rejected(proof.deposit_id(), &rejection),
        Err(error) => {
            tracing::warn!(event = "payment_not_judged", reason = %error);
            // Errors of node and store go to the operator's log, not to the payer.
            let (code, text) = match &error {
                ReceiveError::Stored(StoredError::Store(StoreError::Unknown { .. })) => (
                    "result_unknown",
                    "the payment may be recorded; send it again: it counts at most once",
                ),
                ReceiveError::Busy => (
                    "busy",
                    "too many payments of new deposits are being checked; send this one again later",
                ),
                _ => (
                    "unavailable",
                    "the payment is not checked and not recorded; send it again",
                ),
            };
            HttpError::new(StatusCode::SERVICE_UNAVAILABLE, code, text).into_response()
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

/// Answers a rejection with its code. A stale proof is answered with the newest proofs, from which the payer can
/// continue.
fn rejected(deposit: DepositId, rejection: &Rejection) -> Response {
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

async fn deposits(State(service): State<PayeeService>) -> Response {
    let status = match service.status().await {
        Ok(status) => status,
        Err(error) => {
            tracing::warn!(event = "store_read_failed", reason = %error);
            let text = "the store cannot be read; try again";
            return HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", text)
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
