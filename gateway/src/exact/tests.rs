use super::*;
use crate::wire::Requirements;
use axum::routing::post;
use cheque::Address;
use futures_util::stream;
use serde_json::{Map, Value};
use std::{convert::Infallible, time::Duration};
use tokio::{net::TcpListener, time::timeout};

#[test]
fn facilitator_is_reached_by_tls_or_on_this_machine() {
    for url in [
        "https://x402.example/facilitator",
        "http://127.0.0.1:4021",
        "http://localhost:4021/base",
        "http://[::1]:4021",
    ] {
        assert!(Facilitator::new(url).is_ok(), "{url}");
    }
    for url in [
        "",
        "x402.example",
        "http://x402.example",
        "http://10.0.0.1",
        "ftp://localhost",
    ] {
        assert_eq!(
            Facilitator::new(url).err(),
            Some(FacilitatorError::Url),
            "{url}"
        );
    }
    let secret = Facilitator::new("https://x402.example/a-key").unwrap();
    assert_eq!(format!("{secret:?}"), "Facilitator(x402.example)");
}

#[tokio::test]
async fn long_answer_is_cut_off_and_not_collected() {
    let endless = || async {
        let parts = stream::repeat_with(|| Ok::<_, Infallible>(vec![b' '; 4 << 10]));
        axum::body::Body::from_stream(parts)
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(post(endless));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let long = Duration::from_secs(600);
    let facilitator = Facilitator::with_deadlines(&url, (long, long)).unwrap();
    let offer = Requirements {
        scheme: "exact".to_owned(),
        network: "eip155:1".to_owned(),
        amount: "1".to_owned(),
        asset: Address::ZERO.to_string(),
        pay_to: Address::ZERO.to_string(),
        max_timeout_seconds: 300,
        extra: Map::new(),
    };
    let verified = facilitator.verify(&Value::Null, &offer, Address::ZERO);
    let verified = timeout(Duration::from_secs(30), verified).await.unwrap();
    let Verified::Unknown(reason) = verified else {
        panic!("{verified:?}");
    };
    assert!(reason.contains("longer than"), "{reason}");
}
