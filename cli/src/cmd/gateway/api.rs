//! The operator's paths of a gateway, beside those of its payee.

use axum::{
    Json, Router,
    extract::{RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use cheque_gateway::{
    Seller,
    ledger::{AccountKey, Currency, Sums},
};
use serde_json::{Value, json};

use crate::service::error::HttpError;

/// The state of the router.
#[derive(Clone)]
struct Api {
    seller: Seller,
    now: fn() -> u64,
}

/// The accounts of an answer.
const PAGE: usize = 100;

/// `POST /payments` credits the account of the payer, and buys no request. `GET /offers` has the tokens and their terms,
/// `GET /accounts` what customers have paid and spent.
pub(super) fn router(seller: Seller, now: fn() -> u64) -> Router {
    Router::new()
        .route("/payments", post(pay))
        .route("/offers", get(offers))
        .route("/accounts", get(accounts))
        .with_state(Api { seller, now })
}

/// Takes proofs, one in a line.
async fn pay(State(api): State<Api>, body: String) -> Response {
    let reply = api.seller.top_up(&body, (api.now)()).await;
    (reply.status, reply.headers, reply.body).into_response()
}

async fn offers(State(api): State<Api>) -> Result<Json<Value>, HttpError> {
    let offers = api.seller.offers();
    let mut tokens = Vec::new();
    for token in offers.tokens() {
        let terms = api.seller.terms().of(&token.name);
        let terms = serde_json::to_value(&terms).map_err(|error| {
            HttpError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                error.to_string(),
            )
        })?;
        tokens.push(json!({
            "name": token.name,
            "chain_id": token.currency.chain_id,
            "token": token.currency.token,
            "decimals": token.decimals,
            "terms": terms,
        }));
    }
    Ok(Json(json!({ "tokens": tokens })))
}

async fn accounts(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, HttpError> {
    let after = match query.as_deref() {
        None | Some("") => None,
        Some(query) => Some(after(query).ok_or_else(|| {
            let text =
                "the query is not after=SIGNER:CHAIN:TOKEN; take it from `next` of the last answer";
            HttpError::new(StatusCode::BAD_REQUEST, "bad_request", text)
        })?),
    };
    let found = api.seller.ledger().accounts(after, PAGE).await;
    let found = found.map_err(|error| {
        tracing::warn!(event = "store_read_failed", reason = %error);
        let text = "the store cannot be read; try again";
        HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", text)
    })?;
    let accounts: Vec<_> = found.iter().map(account).collect();
    // Behind a full answer there may be more.
    let last = found.get(PAGE.saturating_sub(1));
    let next = last.map(|(AccountKey { signer, currency }, _)| {
        format!("{signer}:{}:{}", currency.chain_id, currency.token)
    });
    Ok(Json(json!({ "accounts": accounts, "next": next })))
}

/// Reads the account behind which a list continues.
fn after(query: &str) -> Option<AccountKey> {
    let mut parts = query.strip_prefix("after=")?.splitn(3, ':');
    let signer = parts.next()?.parse().ok()?;
    let chain_id = parts.next()?.parse().ok()?;
    let token = parts.next()?.parse().ok()?;
    Some(AccountKey {
        signer,
        currency: Currency { chain_id, token },
    })
}

fn account((key, sums): &(AccountKey, Sums)) -> Value {
    json!({
        "signer": key.signer,
        "chain_id": key.currency.chain_id,
        "token": key.currency.token,
        "balance": sums.balance,
        "debt": sums.debt,
        "reserved": sums.reserved,
        "charged": sums.charged,
        "credited": sums.credited,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_where_a_list_continues() {
        let address = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
        let read = after(&format!("after={address}:8453:{address}")).unwrap();
        assert_eq!(
            (read.currency.chain_id, read.signer),
            (8453, read.currency.token)
        );
        for wrong in ["after=", "x=1", "after=0x12:1:0x12", "after=1:2:3:4"] {
            assert!(after(wrong).is_none(), "{wrong}");
        }
    }
}
