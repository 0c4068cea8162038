//! The payee's HTTP API.

use axum::{
    Json, Router,
    extract::{RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use cheque::{
    Proof,
    payee::{HoldingChange, HoldingQuery, HoldingState, PayeeService, ReceiveError},
    store::{StoreError, StoredError},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    answer::{accepted, rejected},
    terms::terms,
};
use crate::{
    holding::Holding,
    service::{
        body::{Body, address, required, text},
        error::HttpError,
        events::Streams,
        page::Page,
    },
};

/// The state of the router.
#[derive(Clone)]
struct Api {
    service: PayeeService,
    streams: Streams,
}

/// The paths of a payee. `streams` are for `GET /events`.
pub(super) fn router(service: PayeeService, streams: Streams) -> Router {
    let payments = Router::new().route("/payments", post(pay)).with_state(Api {
        service: service.clone(),
        streams: streams.clone(),
    });
    holdings_router(service, streams).merge(payments)
}

/// The paths of a payee that takes payments elsewhere.
pub(crate) fn holdings_router(service: PayeeService, streams: Streams) -> Router {
    Router::new()
        .route("/terms", get(show_terms))
        .route("/deposits", get(deposits))
        .route("/events", get(events))
        .with_state(Api { service, streams })
}

/// The body of `POST /payments`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payment {
    proof: Option<Value>,
    /// The sender, authenticated by the caller.
    from: Option<Value>,
}

/// Receives a payment, which is on disk before the answer.
async fn pay(
    State(api): State<Api>,
    body: Result<Body<Payment>, HttpError>,
) -> Result<Response, HttpError> {
    let Body(Payment { proof, from }) = body?;
    let proof = text("proof", required("proof", proof)?)?;
    let from = from.map(|from| address("from", from)).transpose()?;
    let proof: Proof = proof.parse().map_err(|error| {
        let text = format!("the text is not a proof of payment: {error}");
        HttpError::new(StatusCode::UNPROCESSABLE_ENTITY, "malformed", text)
    })?;
    match api.service.receive_payment(from, &proof).await {
        Ok(payment) => Ok(Json(accepted(&payment)).into_response()),
        Err(ReceiveError::Rejected(rejection)) => {
            let position = api.service.payee().position(proof.deposit_id()).await;
            Ok(rejected(
                &proof,
                &rejection,
                position.ok().flatten().as_ref(),
            ))
        }
        Err(error) => Err(not_judged(&error)),
    }
}

/// Logs errors of node and store for the operator, and answers without their text.
fn not_judged(error: &ReceiveError) -> HttpError {
    tracing::warn!(event = "payment_not_judged", reason = %error);
    let (code, text) = match error {
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
    HttpError::new(StatusCode::SERVICE_UNAVAILABLE, code, text)
}

/// Tells before anybody pays what the payee accepts.
async fn show_terms(State(api): State<Api>) -> Json<Value> {
    Json(terms(api.service.payee()).await)
}

async fn deposits(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, HttpError> {
    let page = Page::read(query.as_deref(), &HoldingState::NAMES)?;
    let query = HoldingQuery {
        state: page.state,
        after: page.after,
        max: page.limit,
    };
    let page = api.service.status_page(&query).await.map_err(|error| {
        tracing::warn!(event = "store_read_failed", reason = %error);
        let text = "the store cannot be read; try again";
        HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", text)
    })?;
    let next = page.next;
    let deposits = page.holdings.into_iter();
    let deposits: Vec<_> = deposits.map(|status| Holding::new(status).json()).collect();
    let counts: serde_json::Map<_, _> = api
        .service
        .counts()
        .into_iter()
        .map(|(state, count)| (state.to_owned(), json!(count)))
        .collect();
    Ok(Json(json!({
        "payee": api.service.payee().policy().payee,
        "head": api.service.health().head,
        "counts": counts,
        "deposits": deposits,
        "next": next,
    })))
}

/// Streams changes of state from now on.
async fn events(State(api): State<Api>) -> Response {
    let changes = api.service.subscribe_changes();
    api.streams.deposits(changes, change).into_response()
}

fn change(change: &HoldingChange) -> Value {
    json!({
        "deposit": change.deposit,
        "before": change.before.map(|before| before.name()),
        "state": change.state.name(),
        "reason": change.state.to_string(),
    })
}
