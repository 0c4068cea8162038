//! The payer's HTTP API.

use std::convert::Infallible;

use alloy::primitives::Address;
use axum::{
    Json, Router,
    extract::{Path, State, rejection::JsonRejection, rejection::PathRejection},
    http::StatusCode,
    response::{
        Sse,
        sse::{Event, KeepAlive},
    },
    routing::{get, post},
};
use cheque::{
    Amount, DepositId,
    bank::{BankError, HeadCheckError},
    payer::{DepositEvent, DepositState, DepositStatus, PayerError, PayerService, Payment},
};
use futures_util::{Stream, stream};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::CancellationToken;

use crate::{cmd::deposit::state::add_state, format, service::error::HttpError};

/// The state of the router.
#[derive(Clone)]
struct Api {
    service: PayerService,
    /// The token of all payments.
    token: Address,
    stop: CancellationToken,
}

type Answer = Result<Json<Value>, HttpError>;

/// The paths of a payer. `stop` ends streams of events.
pub(super) fn router(service: PayerService, token: Address, stop: CancellationToken) -> Router {
    Router::new()
        .route("/cheques", post(pay))
        .route("/payees/{payee}", get(payee))
        .route("/deposits", get(deposits))
        .route("/deposits/{id}", get(deposit))
        .route("/events", get(events))
        .with_state(Api {
            service,
            token,
            stop,
        })
}

/// The body of `POST /cheques`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PaymentRequest {
    payee: Address,
    /// In token units.
    amount: Amount,
    /// The payee takes no payment in so many seconds before a draw. Zero: the usual.
    #[serde(default)]
    payee_cutoff: u64,
}

/// Makes a payment, which is on disk before the answer.
async fn pay(State(api): State<Api>, body: Result<Json<PaymentRequest>, JsonRejection>) -> Answer {
    let Json(request) =
        body.map_err(|error| HttpError::new(error.status(), "bad_request", error.body_text()))?;
    let PaymentRequest {
        payee,
        amount,
        payee_cutoff,
    } = request;
    let (service, token) = (&api.service, api.token);
    let paid = service.pay_before(payee, token, amount, payee_cutoff).await;
    let parts = paid.map_err(|error| payment_error(payee, &error))?;
    let proofs: Vec<_> = parts.iter().map(|part| part.proof.to_string()).collect();
    let mut json = parts.last().map_or_else(|| json!({}), totals);
    json["payee"] = json!(payee);
    json["proofs"] = json!(proofs);
    Ok(Json(json))
}

fn totals(payment: &Payment) -> Value {
    json!({
        "deposit": payment.deposit,
        "spent": payment.spent,
        "left": payment.left,
    })
}

fn payment_error(payee: Address, error: &PayerError) -> HttpError {
    let (status, code, text) = match error {
        PayerError::NotCovered { .. } => (StatusCode::CONFLICT, "not_covered", error.to_string()),
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
            format!("the payment may be made; check /payees/{payee} before you try again"),
        ),
    };
    HttpError::new(status, code, text)
}

/// Answers the newest proofs for a payee, from all undrawn deposits. Serves callers without an answer and payees
/// without records.
async fn payee(State(api): State<Api>, path: Result<Path<Address>, PathRejection>) -> Answer {
    let Path(payee) = path.map_err(|error| bad_path(&error))?;
    let payer = api.service.payer();
    let mut found = Vec::new();
    for (id, record) in payer.deposits().await.map_err(unreadable)? {
        let is_open = matches!(
            record.state,
            DepositState::Pending | DepositState::Active | DepositState::PastCutoff
        );
        if !is_open {
            continue;
        }
        let (spent, left) = match payer.spent_and_left(id, payee).await {
            Ok(Some(account)) => account,
            // The deposit does not list the payee, or its list is lost.
            Ok(None) | Err(PayerError::NoList(_)) => continue,
            Err(error) => return Err(unreadable(error)),
        };
        let proof = payer.last_proof(id, payee).await.map_err(unreadable)?;
        let opening = payer.opening_proof(id, payee).await.map_err(unreadable)?;
        found.push(json!({
            "deposit": id,
            "state": record.state.name(),
            "spent": spent,
            "left": left,
            "proof": proof.map(|proof| proof.to_string()),
            "opening": opening.map(|proof| proof.to_string()),
        }));
    }
    Ok(Json(json!({ "payee": payee, "deposits": found })))
}

async fn deposits(State(api): State<Api>) -> Answer {
    let mut status = api.service.status().await.map_err(unreadable)?;
    status.sort_by_key(|status| (status.record.deposit.drawTime, status.id));
    let deposits: Vec<_> = status.iter().map(deposit_json).collect();
    let round = api.service.round().await.map_err(unreadable)?;
    let round = round.map(|round| {
        json!({
            "blocked": round.blocked,
            "reason": round.reason,
            "next": round.next,
        })
    });
    Ok(Json(json!({
        "head": api.service.health().head,
        "round": round,
        "deposits": deposits,
    })))
}

async fn deposit(State(api): State<Api>, path: Result<Path<DepositId>, PathRejection>) -> Answer {
    let Path(id) = path.map_err(|error| bad_path(&error))?;
    let status = api.service.status().await.map_err(unreadable)?;
    let status = status.into_iter().find(|status| status.id == id);
    let status = status.ok_or_else(|| {
        let text = format!("the store has no deposit {id} of this bank");
        HttpError::new(StatusCode::NOT_FOUND, "unknown_deposit", text)
    })?;
    let payer = api.service.payer();
    let spent = payer.spent(id).await.map_err(unreadable)?;
    let left = payer.allowances_left(id).await.map_err(unreadable)?;
    let left: Map<_, _> = left
        .iter()
        .map(|(payee, left)| (format!("{payee:#x}"), json!(left)))
        .collect();
    let mut json = deposit_json(&status);
    json["spent"] = json!(spent);
    json["allowances_left"] = left.into();
    Ok(Json(json))
}

fn deposit_json(status: &DepositStatus) -> Value {
    let mut json = format::terms(&status.record.deposit);
    json["id"] = json!(status.id);
    add_state(&mut json, &status.record.state);
    json["estimated_expiry"] = json!(status.estimated_expiry);
    json["reason"] = json!(status.reason);
    json["next"] = json!(status.next);
    json
}

/// Streams changes of state from now on, as server-sent events. A slow client gets the number of missed events.
async fn events(
    State(api): State<Api>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>> + use<>> {
    let events = api.service.payer().subscribe_deposit_events();
    let stop = api.stop;
    let stream = stream::unfold(events, move |events| {
        let stop = stop.clone();
        async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => None,
                next = next(events) => next,
            }
        }
    });
    Sse::new(stream).keep_alive(KeepAlive::default())
}

async fn next(
    mut events: Receiver<DepositEvent>,
) -> Option<(Result<Event, Infallible>, Receiver<DepositEvent>)> {
    let event = match events.recv().await {
        Ok(event) => Event::default().event("deposit").data(change(&event)),
        Err(RecvError::Lagged(missed)) => {
            let missed = json!({ "missed": missed }).to_string();
            Event::default().event("missed").data(missed)
        }
        Err(RecvError::Closed) => return None,
    };
    Some((Ok(event), events))
}

fn change(event: &DepositEvent) -> String {
    let mut json = json!({ "deposit": event.id, "before": event.before.name() });
    add_state(&mut json, &event.state);
    json.to_string()
}

fn bad_path(error: &PathRejection) -> HttpError {
    HttpError::new(error.status(), "bad_request", error.body_text())
}

/// Logs the store's error for the operator and answers without its text.
fn unreadable(error: PayerError) -> HttpError {
    tracing::warn!(event = "store_read_failed", reason = %error);
    let text = "the store cannot be read; try again";
    HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", text)
}
