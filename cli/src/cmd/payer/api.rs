//! The payer's HTTP API.

use alloy::primitives::Address;
use axum::{
    Json, Router,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use cheque::{
    DepositId,
    payer::{
        DepositEvent, DepositState, DepositStatus, NamedPayment, PayerError, PayerService, Payment,
        PreviewedPart,
    },
};
use serde_json::{Map, Value, json};

use super::request::{PaymentBody, PaymentRequest, payment_error};
use crate::{
    allowances::parse_address,
    cmd::deposit::state::add_state,
    format,
    service::{
        body::{Body, bad_request},
        error::HttpError,
        events::Streams,
        page::Page,
    },
};

/// The state of the router.
#[derive(Clone)]
struct Api {
    service: PayerService,
    /// The token of all payments.
    token: Address,
    streams: Streams,
}

type Answer = Result<Json<Value>, HttpError>;

/// The paths of a payer. `streams` are for `GET /events`.
pub(super) fn router(service: PayerService, token: Address, streams: Streams) -> Router {
    Router::new()
        .route("/cheques", post(pay))
        .route("/payees/{payee}", get(payee))
        .route("/deposits", get(deposits))
        .route("/deposits/{id}", get(deposit))
        .route("/events", get(events))
        .with_state(Api {
            service,
            token,
            streams,
        })
}

/// Makes a payment, which is on disk before the answer, or previews it.
async fn pay(
    State(api): State<Api>,
    headers: HeaderMap,
    body: Result<Body<PaymentBody>, HttpError>,
) -> Answer {
    let PaymentRequest {
        payee,
        amount,
        payee_cutoff,
        name,
        preview,
    } = PaymentRequest::read(&headers, body?.0)?;
    let (service, token) = (&api.service, api.token);
    let failed = |error| payment_error(payee, &error);
    if preview {
        let parts = service.preview(payee, token, amount, payee_cutoff).await;
        return Ok(Json(previewed(payee, &parts.map_err(failed)?)));
    }
    let paid = match &name {
        Some(name) => {
            let named = service.pay_named(name, payee, token, amount, payee_cutoff);
            named.await.map_err(failed)?
        }
        None => {
            let parts = service.pay_before(payee, token, amount, payee_cutoff).await;
            let mut json = answer(payee, &parts.map_err(failed)?);
            json["repeated"] = json!(false);
            return Ok(Json(json));
        }
    };
    let NamedPayment {
        parts, is_repeated, ..
    } = paid;
    let mut json = answer(payee, &parts);
    json["repeated"] = json!(is_repeated);
    Ok(Json(json))
}

/// The answer to a payment: the totals of the last deposit paid from, and all proofs.
fn answer(payee: Address, parts: &[Payment]) -> Value {
    let proofs: Vec<_> = parts.iter().map(|part| part.proof.to_string()).collect();
    let mut json = parts.last().map_or_else(|| json!({}), totals);
    json["payee"] = json!(payee);
    json["proofs"] = json!(proofs);
    json
}

fn totals(payment: &Payment) -> Value {
    json!({
        "deposit": payment.deposit,
        "spent": payment.spent,
        "left": payment.left,
    })
}

/// The answer to a preview: the parts, each with the credit that the payee is likely to give.
fn previewed(payee: Address, parts: &[PreviewedPart]) -> Value {
    let shown = parts.iter().map(|part| {
        json!({
            "deposit": part.deposit,
            "amount": part.amount,
            "spent": part.spent,
            "left": part.left,
            "payout": part.payout.map(|payout| payout.amount),
            "range": part.payout.map(|payout| payout.range),
            "redeem_cost": part.redeem_cost,
            "value": part.value,
        })
    });
    json!({ "payee": payee, "preview": true, "parts": shown.collect::<Vec<_>>() })
}

/// Answers the newest proofs for a payee, from all undrawn deposits. Serves callers without an answer and payees
/// without records.
async fn payee(State(api): State<Api>, Path(payee): Path<String>) -> Answer {
    let payee = parse_address(&payee).map_err(|error| bad_path(error.to_string()))?;
    let payer = api.service.payer();
    let mut found = Vec::new();
    for (id, record) in payer.undrawn_deposits().await.map_err(unreadable)? {
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

fn unknown_after(id: DepositId) -> HttpError {
    let text = format!("deposit {id} is no longer stored; read the list from its start");
    HttpError::new(StatusCode::GONE, "unknown_after", text)
}

async fn deposits(State(api): State<Api>, RawQuery(query): RawQuery) -> Answer {
    let page = Page::read(query.as_deref(), &DepositState::NAMES)?;
    let mut status = api.service.status().await.map_err(unreadable)?;
    let order = |status: &DepositStatus| (status.record.deposit.drawTime, status.id);
    status.sort_by_key(order);
    let after = match page.after {
        Some(id) => {
            let last = status.iter().find(|status| status.id == id);
            // Not the first page again: who adds pages up would count deposits twice.
            Some(order(last.ok_or_else(|| unknown_after(id))?))
        }
        None => None,
    };
    status.retain(|status| {
        let in_state = page
            .state
            .is_none_or(|state| status.record.state.name() == state);
        in_state && after.is_none_or(|after| order(status) > after)
    });
    let has_more = status.len() > page.limit;
    status.truncate(page.limit);
    let next = status.last().filter(|_| has_more).map(|status| status.id);
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
        "next": next,
    })))
}

async fn deposit(State(api): State<Api>, Path(id): Path<String>) -> Answer {
    let id: DepositId = id.parse().map_err(|_| {
        bad_path(format!(
            "`{id}` is not a deposit; write 0x and 64 hex digits"
        ))
    })?;
    let status = api.service.deposit_status(id).await;
    let status = status.map_err(unreadable)?.ok_or_else(|| {
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

/// Streams changes of state from now on.
async fn events(State(api): State<Api>) -> Response {
    let events = api.service.payer().subscribe_deposit_events();
    api.streams.deposits(events, change).into_response()
}

fn change(event: &DepositEvent) -> Value {
    let mut json = json!({ "deposit": event.id, "before": event.before.name() });
    add_state(&mut json, &event.state);
    json
}

fn bad_path(text: String) -> HttpError {
    bad_request(StatusCode::BAD_REQUEST, text)
}

/// Logs the store's error for the operator and answers without its text.
fn unreadable(error: PayerError) -> HttpError {
    tracing::warn!(event = "store_read_failed", reason = %error);
    let text = "the store cannot be read; try again";
    HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", text)
}
