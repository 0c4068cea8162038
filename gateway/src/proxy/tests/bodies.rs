//! Bodies of requests and answers, which share one memory.

use super::*;
use axum::routing::any;
use futures_util::{StreamExt, stream};
use http_body::Frame;
use http_body_util::StreamBody;
use std::convert::Infallible;
use tokio::task::JoinSet;

type Slow = StreamBody<stream::BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

/// A request whose body has `bytes`, and does not end.
fn stalled(bytes: usize) -> Request<Slow> {
    let part = Ok(Frame::data(Bytes::from(vec![7; bytes])));
    let parts = stream::iter([part]).chain(stream::pending());
    let request = Request::post("/answer").header("host", "shop.example");
    request.body(StreamBody::new(parts.boxed())).unwrap()
}

fn posted(bytes: usize) -> Request<Full<Bytes>> {
    let request = Request::post("/free").header("host", "shop.example");
    request
        .body(Full::new(Bytes::from(vec![7; bytes])))
        .unwrap()
}

fn upstream() -> Router {
    Router::new().fallback(any(|body: String| async move { body.len().to_string() }))
}

#[tokio::test]
async fn bodies_of_many_clients_stay_within_the_memory() {
    const CLIENTS: usize = 5_000;
    let limits = ProxyLimits {
        memory: 1 << 20,
        upload: Duration::from_secs(5),
        ..ProxyLimits::default()
    };
    let stand = Stand::limited(upstream(), limits).await;
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let proxy = stand.proxy.clone();
        clients.spawn(async move { proxy.answer(stalled(16 << 10), ORIGIN).await });
    }
    let (mut refused, mut late) = (0, 0);
    while refused < CLIENTS - 64 {
        let answer = clients.join_next().await.unwrap().unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers().contains_key("retry-after"));
        refused += 1;
    }
    // 64 bodies fill the memory.
    assert_eq!(stand.proxy.shared.budget.left(), 0);
    let busy = stand.proxy.answer(posted(1), ORIGIN).await;
    assert_eq!(code(busy).await, "busy");
    // A slow body does not keep its part for ever.
    while let Some(answer) = clients.join_next().await {
        assert_eq!(answer.unwrap().status(), StatusCode::REQUEST_TIMEOUT);
        late += 1;
    }
    assert_eq!(late, 64);
    let served = stand.proxy.answer(posted(1 << 20), ORIGIN).await;
    assert_eq!(text(served).await, (1 << 20).to_string());
    let returned = async {
        while stand.proxy.shared.budget.left() < 1 << 20 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, returned).await.expect("never returned");
}

#[tokio::test]
async fn unpaid_bodies_of_one_network_leave_memory_for_others() {
    let limits = ProxyLimits {
        memory: 8 << 20,
        ..ProxyLimits::default()
    };
    let stand = Stand::limited(upstream(), limits).await;
    let mut hostile = JoinSet::new();
    for _ in 0..32 {
        let proxy = stand.proxy.clone();
        hostile.spawn(async move { proxy.answer(stalled(512 << 10), ORIGIN).await });
    }
    // A quarter of the memory has four of these bodies.
    for _ in 0..28 {
        let answer = hostile.join_next().await.unwrap().unwrap();
        assert_eq!(code(answer).await, "busy");
    }
    let other = Origin {
        address: IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)),
        ..ORIGIN
    };
    let served = stand.proxy.answer(posted(1 << 20), other).await;
    assert_eq!(served.status(), StatusCode::OK);
    hostile.abort_all();
}

#[tokio::test]
async fn announced_bytes_take_no_memory() {
    let limits = ProxyLimits {
        memory: 1 << 20,
        ..ProxyLimits::default()
    };
    let stand = Stand::limited(upstream(), limits).await;
    let mut waiting = JoinSet::new();
    for _ in 0..100 {
        let proxy = stand.proxy.clone();
        waiting.spawn(async move { proxy.answer(stalled(1), ORIGIN).await.status() });
    }
    let served = stand.proxy.answer(posted(100 << 10), ORIGIN).await;
    assert_eq!(served.status(), StatusCode::OK);
    waiting.abort_all();
}

#[tokio::test]
async fn answers_without_memory_are_sold_and_not_kept() {
    let limits = ProxyLimits {
        memory: 0,
        ..ProxyLimits::default()
    };
    let stand = Stand::limited(upstream(), limits).await;
    let sold = stand.open("/answer").await;
    assert_eq!(units(&sold, CHARGED), PRICE);
    assert_eq!(text(sold).await, "0");
    let again = stand.open("/answer").await;
    assert_eq!(code(again).await, "used");
}
