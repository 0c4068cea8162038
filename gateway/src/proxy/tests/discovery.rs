//! Documents that clients read before a request.

use super::*;
use axum::{
    body::Body as Answered,
    http::header::{CONTENT_TYPE, ETAG},
    response::IntoResponse,
    routing::any,
};
use futures_util::stream;
use serde_json::Value;
use std::{
    convert::Infallible,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};

const OPENAPI: &str = r#"{"openapi":"3.1.0","paths":{"/answer":{"get":{"responses":{}}}}}"#;

/// An upstream whose document is `body`, and which counts the requests with conditions or a body.
async fn documented(kind: &'static str, body: impl Into<String>) -> (Stand, Arc<AtomicUsize>) {
    let (body, partial) = (body.into(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&partial);
    let answer = move |request: axum::extract::Request| {
        let (body, counted) = (body.clone(), Arc::clone(&counted));
        async move {
            let names = ["if-none-match", "range", "accept-encoding"];
            let is_partial = names
                .iter()
                .any(|name| request.headers().contains_key(*name));
            let sent = request.into_body().collect().await.unwrap().to_bytes();
            counted.fetch_add(usize::from(is_partial || !sent.is_empty()), SeqCst);
            ([(CONTENT_TYPE, kind), (ETAG, "\"1\"")], body).into_response()
        }
    };
    (
        Stand::before(Router::new().fallback(any(answer))).await,
        partial,
    )
}

#[tokio::test]
async fn documents_are_free_and_have_the_prices() {
    let (stand, partial) = documented("application/json", OPENAPI).await;
    let mut asked = request("/openapi.json", None);
    for (name, value) in [
        ("if-none-match", "\"1\""),
        ("range", "bytes=0-9"),
        ("accept-encoding", "gzip"),
    ] {
        asked
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    *asked.body_mut() = Full::from("a question");
    let answer = stand.proxy.answer(asked, ORIGIN).await;
    assert_eq!(answer.status(), StatusCode::OK);
    // The bytes have changed.
    assert!(!answer.headers().contains_key(ETAG));
    let document: Value = serde_json::from_str(&text(answer).await).unwrap();
    let operation = &document["paths"]["/answer"]["get"];
    assert_eq!(operation["x-payment-info"]["offers"][0]["amount"], "10");
    assert_eq!(partial.load(SeqCst), 0);

    let answer = stand.ask("/.well-known/cheque.json", None).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let document: Value = serde_json::from_str(&text(answer).await).unwrap();
    assert_eq!(
        document["payUrl"],
        "https://shop.example/.well-known/cheque/pay"
    );
    let routes = document["prices"].as_array().unwrap();
    let all = routes.iter().find(|route| route["path"] == "/**").unwrap();
    assert_eq!(all["prices"]["eth"]["amount"], "10");

    let asked = stand.ask("/openapi.json?x=1", None).await;
    assert_eq!(asked.status(), StatusCode::PAYMENT_REQUIRED);
}

#[tokio::test]
async fn documents_that_are_not_openapi_pass_untouched() {
    for (kind, body) in [
        ("text/html", OPENAPI),
        ("application/json", "{\"openapi\":"),
        ("application/json", "[]"),
    ] {
        let (stand, _) = documented(kind, body).await;
        let answer = stand.ask("/openapi.json", None).await;
        assert_eq!(answer.headers()[ETAG], "\"1\"");
        assert_eq!(text(answer).await, body, "{kind}");
    }
}

#[tokio::test]
async fn long_document_is_streamed_and_not_collected() {
    // Endless: only a gateway that hands on what it has read answers at all.
    let answer = || async {
        let parts = stream::repeat_with(|| Ok::<_, Infallible>(vec![b' '; 64 << 10]));
        (
            [(CONTENT_TYPE, "application/json")],
            Answered::from_stream(parts),
        )
    };
    let stand = Stand::before(Router::new().fallback(any(answer))).await;
    let answer = timeout(SOON, stand.ask("/openapi.json", None))
        .await
        .unwrap();
    let mut body = answer.into_body();
    let mut bytes = 0;
    while bytes < 8 << 20 {
        let frame = body.frame().await.unwrap().unwrap();
        bytes += frame.into_data().unwrap().len();
    }
}
