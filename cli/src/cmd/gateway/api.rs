//! The operator's paths of a gateway, beside those of its payee.

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use cheque_gateway::Seller;
use serde_json::{Value, json};

use crate::service::error::HttpError;

/// The state of the router.
#[derive(Clone)]
struct Api {
    seller: Seller,
    now: fn() -> u64,
}

/// `POST /payments` credits the account of the payer, and buys no request. `GET /offers` has the tokens and their terms.
pub(super) fn router(seller: Seller, now: fn() -> u64) -> Router {
    Router::new()
        .route("/payments", post(pay))
        .route("/offers", get(offers))
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
