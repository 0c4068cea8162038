//! Sales through the layer: the upstream is a router of the same process.

use super::*;
use crate::layer::SellLayer;
use axum::{http::HeaderMap, routing::get};
use std::convert::Infallible;
use tower::{Layer, Service};

/// Answers with the payer that it is told of, and fails on demand.
fn router() -> Router {
    let answer = async |headers: HeaderMap| {
        let payer = headers
            .get("x-payer")
            .map(|payer| payer.to_str().unwrap().to_owned());
        payer.unwrap_or_else(|| "nobody".to_owned())
    };
    let fail = async || StatusCode::INTERNAL_SERVER_ERROR;
    Router::new()
        .route("/free", get(answer))
        .route("/answer", get(answer))
        .route("/fail", get(fail))
}

#[tokio::test]
async fn sells_a_router_of_the_same_process() {
    let stand = Stand::at("http://127.0.0.1:1").await;
    let settings = stand.proxy.shared.settings.clone();
    let layer = SellLayer::new(stand.proxy.seller().clone(), settings);
    let mut service = layer.layer(router());
    let mut ask = async |path: &str, proof: Option<&Proof>| {
        let answer: Result<_, Infallible> = service.call(request(path, proof)).await;
        answer.unwrap()
    };
    assert_eq!(text(ask("/free", None).await).await, "nobody");
    assert_eq!(
        ask("/answer", None).await.status(),
        StatusCode::PAYMENT_REQUIRED
    );
    // What the router fails costs nothing, and the same payment is valid again for the same request.
    let opening = stand.payer.opening(2 * PRICE);
    let failed = ask("/fail", Some(&opening)).await;
    assert_eq!(failed.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(units(&failed, CHARGED), 0);
    let served = ask("/answer", Some(&stand.payer.cheque(3 * PRICE))).await;
    assert_eq!(units(&served, CHARGED), PRICE);
    let payer = text(served).await;
    assert!(payer.starts_with("0x"), "{payer}");
    assert_eq!(stand.balance().await, 2 * PRICE);
}
