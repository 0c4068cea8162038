//! Streams that are paid while they run, and attacks on them.

mod attacks;

use super::{
    streams::{Parts, part, streaming_as},
    *,
};
use crate::ledger::Currencies;
use crate::wire::{MppReceipt, NeedVoucher};
use axum::{http::HeaderMap, routing::any};
use std::sync::{
    OnceLock,
    atomic::{AtomicUsize, Ordering::SeqCst},
};
use tokio::{io::AsyncWriteExt, sync::mpsc, time::Instant};

const SSE: &str = "text/event-stream";
const BYTES: &str = "application/octet-stream";

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(3_600);

/// Waits that a test must not need: a payment to the same process counts at once.
fn patient() -> ProxyLimits {
    ProxyLimits {
        unpaid: NEVER,
        look: NEVER,
        ..ProxyLimits::default()
    }
}

/// Limits for streams that are not paid.
fn hasty() -> ProxyLimits {
    ProxyLimits {
        unpaid: Duration::from_millis(300),
        ..ProxyLimits::default()
    }
}

/// Begins a stream that is paid by an opening over `total`.
async fn begin(stand: &Stand, path: &str, total: u128) -> ProxyBody {
    let proof = stand.payer.opening(total);
    let answer = timeout(SOON, stand.ask(path, Some(&proof))).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["x-accel-buffering"], "no");
    assert_eq!(answer.headers()["cache-control"], "private");
    answer.into_body()
}

async fn next(body: &mut ProxyBody) -> Bytes {
    timeout(SOON, part(body)).await.expect("no part")
}

/// Reads so many bytes, in parts that end there.
async fn read(body: &mut ProxyBody, bytes: usize) {
    let mut read = 0;
    while read < bytes {
        read += next(body).await.len();
    }
    assert_eq!(read, bytes);
}

/// The rest of a body: its bytes and trailers, or its error.
async fn rest(body: ProxyBody) -> Result<(Bytes, Option<HeaderMap>), crate::forward::ForwardError> {
    let collected = timeout(SOON, body.collect()).await.expect("no end")?;
    let trailers = collected.trailers().cloned();
    Ok((collected.to_bytes(), trailers))
}

/// The data of an event of the gateway.
fn event<T: serde::de::DeserializeOwned>(name: &str, bytes: &[u8]) -> T {
    let text = str::from_utf8(bytes).unwrap();
    let data = text.strip_prefix(&format!("event: {name}\ndata: "));
    let data = data.unwrap_or_else(|| panic!("no event {name}: {text}"));
    serde_json::from_str(data.strip_suffix("\n\n").unwrap()).unwrap()
}

fn wish(bytes: &[u8]) -> NeedVoucher {
    event("payment-need-voucher", bytes)
}

async fn top_up(stand: &Stand, proof: &Proof) {
    let post = Request::post(PAY_PATH).header("host", "shop.example");
    let post = post.body(Full::new(Bytes::from(proof.to_string())));
    let added = stand.proxy.answer(post.unwrap(), ORIGIN).await;
    assert_eq!(added.status(), StatusCode::NO_CONTENT);
}

/// Waits for the end of all sales of the account.
async fn settled(stand: &Stand) -> cheque::Amount {
    let settled = async {
        loop {
            let sums = stand.shop.sums(&stand.payer).await;
            if sums.reserved.is_zero() {
                return sums.charged;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, settled).await.expect("never settled")
}

fn send(parts: &Parts, text: &str) {
    parts.send(text.into()).unwrap();
}

#[tokio::test]
async fn asks_for_money_between_events_and_goes_on_at_once() {
    let (upstream, parts) = streaming_as(SSE);
    let stand = Stand::limited(upstream, patient()).await;
    // Two events.
    let mut body = begin(&stand, "/events", 10).await;
    // Each event is there before the next one exists.
    send(&parts, "data: 1\n\n");
    assert_eq!(next(&mut body).await, "data: 1\n\n");
    // Three events in one part, with a comment that costs nothing.
    send(&parts, ": alive\n\ndata: 2\n\ndata: 3\n\ndata: 4\n\n");
    assert_eq!(next(&mut body).await, ": alive\n\ndata: 2\n\n");
    let asked = wish(&next(&mut body).await);
    let expected = NeedVoucher {
        channel_id: stand.payer.id().0.to_string(),
        required_cumulative: "15".to_owned(),
        accepted_cumulative: "10".to_owned(),
        deposit: "1000000".to_owned(),
    };
    assert_eq!(asked, expected);
    // Too little is answered by the rest of the wish.
    top_up(&stand, &stand.payer.cheque(12)).await;
    let asked = wish(&next(&mut body).await);
    assert_eq!(asked.required_cumulative, "15");
    assert_eq!(asked.accepted_cumulative, "12");
    top_up(&stand, &stand.payer.cheque(15)).await;
    assert_eq!(next(&mut body).await, "data: 3\n\n");
    assert_eq!(wish(&next(&mut body).await).required_cumulative, "20");
    top_up(&stand, &stand.payer.cheque(22)).await;
    assert_eq!(next(&mut body).await, "data: 4\n\n");
    drop(parts);
    let receipt: MppReceipt = event("payment-receipt", &next(&mut body).await);
    assert_eq!((&*receipt.charged, &*receipt.balance), ("20", "2"));
    let (left, trailers) = rest(body).await.unwrap();
    assert!(left.is_empty());
    assert_eq!(trailers.unwrap()[CHARGED], "20");
    assert_eq!(stand.balance().await, 2);
}

#[tokio::test]
async fn goes_on_after_a_payment_by_head_which_is_not_forwarded() {
    let (upstream, parts) = streaming_as(SSE);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let upstream = upstream.layer(axum::middleware::from_fn(
        move |request, next: axum::middleware::Next| {
            count.fetch_add(1, SeqCst);
            next.run(request)
        },
    ));
    let stand = Stand::limited(upstream, patient()).await;
    let mut body = begin(&stand, "/events", 5).await;
    send(&parts, "data: 1\n\ndata: 2\n\n");
    assert_eq!(next(&mut body).await, "data: 1\n\n");
    wish(&next(&mut body).await);
    let mut paying = request("/events", Some(&stand.payer.cheque(11)));
    *paying.method_mut() = Method::HEAD;
    let paid = stand.proxy.answer(paying, ORIGIN).await;
    assert_eq!(paid.status(), StatusCode::NO_CONTENT);
    assert_eq!(paid.headers()[BALANCE], "6");
    // The payment buys no request, so there is nothing to be charged or released.
    assert!(!paid.headers().contains_key(CHARGED));
    assert_eq!(next(&mut body).await, "data: 2\n\n");
    assert_eq!(asked.load(SeqCst), 1);
    // The same cheque adds nothing, and buys nothing.
    let again = stand.ask("/events", Some(&stand.payer.cheque(11))).await;
    assert_eq!(again.status(), StatusCode::PAYMENT_REQUIRED);
    assert_eq!(asked.load(SeqCst), 1);
}

#[tokio::test]
async fn goes_on_after_a_payment_to_another_worker() {
    let (upstream, parts) = streaming_as(SSE);
    let limits = ProxyLimits {
        look: Duration::from_millis(20),
        ..patient()
    };
    let stand = Stand::limited(upstream, limits).await;
    let mut body = begin(&stand, "/events", 5).await;
    send(&parts, "data: 1\n\ndata: 2\n\n");
    assert_eq!(next(&mut body).await, "data: 1\n\n");
    wish(&next(&mut body).await);
    let payment = crate::ledger::Payment {
        proofs: vec![stand.payer.cheque(10)],
        max: None,
    };
    let ask = crate::ledger::tests::ask(9, NOW);
    let added = stand.shop.worker(7).add(&ask, &payment).await;
    assert_eq!(added.unwrap().unwrap().balance, Amount::new(5));
    assert_eq!(next(&mut body).await, "data: 2\n\n");
}

#[tokio::test]
async fn charges_the_tokens_that_the_upstream_reports() {
    let object = r#"{"text":"\"usage\":{\"total_tokens\":1}","usage":{"total_tokens":41}}"#;
    let events = format!("data: {{}}\n\ndata: {object}\n\ndata: [DONE]\n\n");
    let answers = Router::new().route(
        "/tokens",
        any(async move |headers: HeaderMap, body: String| {
            assert!(!headers.contains_key("accept-encoding"));
            match &*body {
                "object" => ([("content-type", "application/json")], object.to_owned()),
                "events" => ([("content-type", SSE)], events),
                _ => ([("content-type", "application/json")], "{}".to_owned()),
            }
        }),
    );
    let stand = Stand::before(answers).await;
    stand.open("/free").await;
    // 1 + ceil(3 * 41 / 10), and without a report the most.
    for (number, (body, charged)) in [("object", 14), ("events", 14), ("none", 100)]
        .into_iter()
        .enumerate()
    {
        let total = 100 * (number as u128 + 1);
        let mut asked = request(
            "/tokens",
            Some(&match number {
                0 => stand.payer.opening(total),
                _ => stand.payer.cheque(total),
            }),
        );
        asked
            .headers_mut()
            .insert("accept-encoding", HeaderValue::from_static("gzip"));
        *asked.body_mut() = Full::new(Bytes::from(body));
        let answer = stand.proxy.answer(asked, ORIGIN).await;
        assert_eq!(units(&answer, CHARGED), charged, "{body}");
    }
}

/// A clock that runs from [`NOW`].
fn running() -> u64 {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    NOW + BEGAN.get_or_init(Instant::now).elapsed().as_secs()
}

/// Each part of a stream ends one wait and begins the next. None of them is as long as a lease.
#[tokio::test]
async fn renews_the_lease_of_a_stream_of_many_short_parts() {
    let (upstream, parts) = streaming_as(BYTES);
    let upstream = serve(upstream).await.parse().unwrap();
    let upstream = Upstream::new(&upstream, LIMITS).unwrap();
    let store = Arc::new(cheque::store::Memory::new());
    let shop = Shop::leasing(store, Currencies::distinct(), 12);
    let began = running();
    let stand = Stand::of(shop, OFFERS, upstream, patient(), running);
    let mut body = begin(&stand, "/metered", 1_000).await;
    // The lease is renewed ten seconds before its end.
    while running() < began + 4 {
        send(&parts, "x");
        read(&mut body, 1).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let swept = stand.shop.worker(7).sweep(began + 13).await.unwrap();
    assert_eq!(
        swept.released, 0,
        "the first lease has ended, the present one not"
    );
    drop(parts);
    let (_, trailers) = rest(body).await.unwrap();
    assert_ne!(trailers.unwrap()["cheque-charged"], "0");
}

#[tokio::test]
async fn settles_what_was_delivered_when_streams_are_cut() {
    let (upstream, parts) = streaming_as(BYTES);
    let stand = Stand::limited(upstream, patient()).await;
    let mut body = begin(&stand, "/metered", 1_000).await;
    send(&parts, &"x".repeat(3 << 10));
    read(&mut body, 3 << 10).await;
    stand.proxy.cut();
    timeout(SOON, stand.proxy.settled()).await.expect("no end");
    assert_eq!(stand.shop.sums(&stand.payer).await.charged, Amount::new(3));
}

#[tokio::test]
async fn breaks_off_a_stream_whose_sale_was_released() {
    let (upstream, parts) = streaming_as(SSE);
    let stand = Stand::limited(upstream, patient()).await;
    let mut body = begin(&stand, "/events", 5).await;
    send(&parts, "data: 1\n\ndata: 2\n\n");
    assert_eq!(next(&mut body).await, "data: 1\n\n");
    wish(&next(&mut body).await);
    // Another worker, by whose clock the lease has ended.
    let swept = stand.shop.worker(7).sweep(NOW + 61).await.unwrap();
    assert_eq!(swept.released, 1);
    top_up(&stand, &stand.payer.cheque(100)).await;
    let error = rest(body).await.unwrap_err();
    assert!(matches!(error, crate::forward::ForwardError::Unpaid));
    assert_eq!(settled(&stand).await, Amount::ZERO);
    assert_eq!(stand.balance().await, 100);
}

#[tokio::test]
async fn ends_event_streams_between_events_when_the_host_stops() {
    let (upstream, parts) = streaming_as(SSE);
    let stand = Stand::limited(upstream, patient()).await;
    let mut body = begin(&stand, "/events", 100).await;
    send(&parts, "data: 1\n\ndata: ");
    assert_eq!(next(&mut body).await, "data: 1\n\n");
    assert_eq!(next(&mut body).await, "data: ");
    stand.proxy.drain();
    send(&parts, "2\n\n");
    assert_eq!(next(&mut body).await, "2\n\n");
    let receipt: MppReceipt = event("payment-receipt", &next(&mut body).await);
    assert_eq!(receipt.charged, "10");
    assert!(rest(body).await.unwrap().0.is_empty());
    timeout(SOON, stand.proxy.settled())
        .await
        .expect("a sale is left");
}
