//! Answers that are streamed, at a fixed price and at one by size.

use super::*;
use axum::{body::Body as Answered, routing::any};
use futures_util::stream;
use std::convert::Infallible;
use tokio::sync::{Mutex, mpsc};

pub(super) type Parts = mpsc::UnboundedSender<Vec<u8>>;

/// An upstream whose single answer is what the test sends.
fn streaming() -> (Router, Parts) {
    streaming_as("application/octet-stream")
}

/// An upstream whose single answer is what the test sends, of this type.
pub(super) fn streaming_as(kind: &'static str) -> (Router, Parts) {
    let (parts, queue) = mpsc::unbounded_channel::<Vec<u8>>();
    let queue = Arc::new(Mutex::new(Some(queue)));
    let answer = move || {
        let queue = Arc::clone(&queue);
        async move {
            let queue = queue.lock().await.take().unwrap();
            let body = Answered::from_stream(stream::unfold(queue, |mut queue| async move {
                let part = queue.recv().await?;
                Some((Ok::<_, Infallible>(part), queue))
            }));
            ([("content-type", kind)], body)
        }
    };
    (Router::new().fallback(any(answer)), parts)
}

pub(super) async fn part(body: &mut ProxyBody) -> Bytes {
    let frame = body.frame().await.unwrap().unwrap();
    frame.into_data().unwrap()
}

#[tokio::test]
async fn hands_on_each_part_before_the_next_exists() {
    let (upstream, parts) = streaming();
    let stand = Stand::before(upstream).await;
    let answer = stand.open("/stream").await;
    // The receipt of a fixed price comes with the header.
    assert_eq!(units(&answer, CHARGED), PRICE);
    let mut body = answer.into_body();
    for sent in ["one", "two", "three"] {
        parts.send(sent.into()).unwrap();
        assert_eq!(part(&mut body).await, sent);
    }
    drop(parts);
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn charges_a_stream_by_its_size_and_leaves_the_rest() {
    let (upstream, parts) = streaming();
    let stand = Stand::before(upstream).await;
    let proof = stand.payer.opening(1_500);
    let answer = stand.ask("/metered", Some(&proof)).await;
    assert_eq!(answer.status(), StatusCode::OK);
    // No shared cache may give away a paid answer.
    assert_eq!(answer.headers()["cache-control"], "private");
    let named = answer.headers()["trailer"].to_str().unwrap().to_owned();
    // The first piece is reserved, of 64 KiB.
    assert_eq!(stand.balance().await, 1_500 - 64);
    for _ in 0..3 {
        parts.send(vec![0; 1_024]).unwrap();
    }
    parts.send(vec![0]).unwrap();
    drop(parts);
    let collected = answer.into_body().collect().await.unwrap();
    let trailers = collected.trailers().unwrap();
    assert_eq!(trailers[CHARGED], "4");
    assert!(named.contains(CHARGED.as_str()) && named.contains(BALANCE.as_str()));
    assert_eq!(trailers[BALANCE], "1496");
    assert_eq!(collected.to_bytes().len(), 3 * 1_024 + 1);
    assert_eq!(stand.balance().await, 1_496);
}

#[tokio::test]
async fn charges_a_stream_to_its_end_after_the_client_has_gone() {
    let (upstream, parts) = streaming();
    let stand = Stand::before(upstream).await;
    let proof = stand.payer.opening(1_500);
    let mut body = stand.ask("/metered", Some(&proof)).await.into_body();
    parts.send(vec![0; 1_024]).unwrap();
    part(&mut body).await;
    drop(body);
    for _ in 0..20 {
        parts.send(vec![0; 1_024]).unwrap();
    }
    drop(parts);
    let settled = async {
        while !stand.shop.sums(&stand.payer).await.reserved.is_zero() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, settled).await.expect("never settled");
    assert_eq!(stand.balance().await, 1_500 - 21);
}
