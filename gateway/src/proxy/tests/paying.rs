//! Streams that are paid while they run, and attacks on them.

use super::{
    streams::{Parts, part, streaming_as},
    *,
};
use crate::wire::{MppReceipt, NeedVoucher};
use axum::{http::HeaderMap, routing::any};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use tokio::{io::AsyncWriteExt, sync::mpsc};

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
async fn ends_a_stream_that_is_never_paid_and_charges_its_parts() {
    let (upstream, parts) = streaming_as(SSE);
    let stand = Stand::limited(upstream, hasty()).await;
    let mut body = begin(&stand, "/events", 7).await;
    send(&parts, "data: 1\n\ndata: 2\n\n");
    assert_eq!(next(&mut body).await, "data: 1\n\n");
    assert_eq!(wish(&next(&mut body).await).required_cumulative, "10");
    let receipt: MppReceipt = event("payment-receipt", &next(&mut body).await);
    assert_eq!((&*receipt.charged, &*receipt.balance), ("5", "2"));
    let (left, trailers) = rest(body).await.unwrap();
    assert!(left.is_empty());
    assert_eq!(trailers.unwrap()[BALANCE], "2");
    // The upstream is not kept busy.
    timeout(SOON, parts.closed()).await.expect("still open");
    assert_eq!(settled(&stand).await, Amount::new(5));
}

#[tokio::test]
async fn breaks_off_bytes_that_are_not_paid() {
    let (upstream, parts) = streaming_as(BYTES);
    let stand = Stand::limited(upstream, hasty()).await;
    let mut body = begin(&stand, "/metered", 3).await;
    parts.send(vec![7; 10 << 10]).unwrap();
    let paid = next(&mut body).await;
    assert_eq!(paid.len(), 3 << 10);
    // A part must not pass for the whole.
    let error = rest(body).await.unwrap_err();
    assert!(matches!(error, crate::forward::ForwardError::Unpaid));
    assert_eq!(settled(&stand).await, Amount::new(3));
}

#[tokio::test]
async fn takes_no_money_of_another_account_for_a_stream() {
    let (upstream, parts) = streaming_as(SSE);
    let stand = Stand::limited(upstream, hasty()).await;
    let other = Payer::native(2);
    let mut body = begin(&stand, "/events", 5).await;
    send(&parts, "data: 1\n\ndata: 2\n\n");
    assert_eq!(next(&mut body).await, "data: 1\n\n");
    wish(&next(&mut body).await);
    top_up(&stand, &other.opening(500)).await;
    let receipt: MppReceipt = event("payment-receipt", &next(&mut body).await);
    assert_eq!(receipt.charged, "5");
    assert_eq!(stand.shop.balance(&other).await, 500);
}

#[tokio::test]
async fn charges_no_more_than_the_client_accepts_and_adds() {
    let (upstream, parts) = streaming_as(BYTES);
    let stand = Stand::limited(upstream, patient()).await;
    let mut asked = request("/metered", Some(&stand.payer.opening(900)));
    asked.headers_mut().insert(MAX, HeaderValue::from(3));
    let mut body = stand.proxy.answer(asked, ORIGIN).await.into_body();
    parts.send(vec![7; 20 << 10]).unwrap();
    read(&mut body, 3 << 10).await;
    assert_eq!(stand.balance().await, 897);
    // Other money of the account is safe: the limit rises by what is added.
    top_up(&stand, &stand.payer.cheque(905)).await;
    read(&mut body, 5 << 10).await;
    top_up(&stand, &stand.payer.cheque(1_000)).await;
    read(&mut body, 12 << 10).await;
    drop(parts);
    let (_, trailers) = rest(body).await.unwrap();
    assert_eq!(trailers.unwrap()[CHARGED], "20");
    assert_eq!(stand.balance().await, 980);
}

#[tokio::test]
async fn gives_credit_for_the_rest_of_an_event_only() {
    let (upstream, parts) = streaming_as(SSE);
    let stand = Stand::limited(upstream, hasty()).await;
    let mut body = begin(&stand, "/metered", 1).await;
    let half = "x".repeat(1_000);
    send(&parts, &format!("data: {half}"));
    assert_eq!(next(&mut body).await.len(), 1_006);
    // The account is used up within the event.
    send(&parts, &format!("{half}\n\ndata: next\n\n"));
    assert_eq!(next(&mut body).await, format!("{half}\n\n"));
    assert_eq!(wish(&next(&mut body).await).required_cumulative, "2");
    let receipt: MppReceipt = event("payment-receipt", &next(&mut body).await);
    assert_eq!(receipt.charged, "1");
}

#[tokio::test]
async fn ends_an_endless_event_without_asking_within_it() {
    let (upstream, parts) = streaming_as(SSE);
    let stand = Stand::limited(upstream, hasty()).await;
    let mut body = begin(&stand, "/metered", 1).await;
    send(&parts, "data: ");
    assert_eq!(next(&mut body).await, "data: ");
    parts.send(vec![b'x'; 64 << 10]).unwrap();
    let mut credit = 0;
    let error = loop {
        match timeout(SOON, body.frame()).await.unwrap().unwrap() {
            Ok(frame) => credit += frame.into_data().unwrap().len(),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, crate::forward::ForwardError::Unpaid));
    // What is paid of the first KiB, and the credit.
    assert!(credit <= (17 << 10), "{credit}");
    assert_eq!(settled(&stand).await, Amount::new(1));
}

#[tokio::test]
async fn reads_nothing_of_the_upstream_while_unpaid() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stuck, mut is_stuck) = mpsc::channel(1);
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 100000000000\r\n\r\n";
        socket.write_all(head).await.unwrap();
        let part = vec![7; 64 << 10];
        while timeout(Duration::from_secs(1), socket.write_all(&part))
            .await
            .is_ok()
        {}
        stuck.send(()).await.unwrap();
        std::future::pending::<()>().await;
    });
    let stand = Stand::with(&format!("http://{address}"), patient());
    let mut body = begin(&stand, "/metered", 4).await;
    read(&mut body, 4 << 10).await;
    timeout(SOON, is_stuck.recv())
        .await
        .expect("the upstream is read")
        .unwrap();
    assert_eq!(stand.balance().await, 0);
}

#[tokio::test]
async fn takes_no_more_from_a_client_that_has_gone() {
    let (upstream, parts) = streaming_as(BYTES);
    let stand = Stand::limited(upstream, patient()).await;
    let mut body = begin(&stand, "/metered", 1_500).await;
    parts.send(vec![7; 1_024]).unwrap();
    next(&mut body).await;
    drop(body);
    // The stream has no end. The piece that was reserved has one.
    while parts.send(vec![7; 1_024]).is_ok() {
        tokio::task::yield_now().await;
    }
    let charged = settled(&stand).await;
    assert!(charged <= Amount::new(64), "{charged}");
}

#[tokio::test]
async fn takes_one_piece_from_a_client_that_hangs_up_before_headers() {
    let (parts, queue) = mpsc::unbounded_channel::<Vec<u8>>();
    let queue = Arc::new(tokio::sync::Mutex::new(Some(queue)));
    let (told, mut asked) = mpsc::channel::<()>(1);
    let go = Arc::new(tokio::sync::Notify::new());
    let wait = go.clone();
    let answer = move || {
        let (told, wait, queue) = (told.clone(), wait.clone(), queue.clone());
        async move {
            told.send(()).await.unwrap();
            wait.notified().await;
            let queue = queue.lock().await.take().unwrap();
            let parts = futures_util::stream::unfold(queue, |mut queue| async move {
                Some((
                    Ok::<_, std::convert::Infallible>(queue.recv().await?),
                    queue,
                ))
            });
            axum::body::Body::from_stream(parts)
        }
    };
    let stand = Stand::limited(Router::new().fallback(any(answer)), patient()).await;
    let proof = stand.payer.opening(1_500);
    tokio::select! {
        _ = stand.ask("/metered", Some(&proof)) => panic!("answered too early"),
        _ = asked.recv() => {}
    }
    go.notify_one();
    while parts.send(vec![7; 1_024]).is_ok() {
        tokio::task::yield_now().await;
    }
    let charged = settled(&stand).await;
    assert!(charged <= Amount::new(64), "{charged}");
}

#[tokio::test]
async fn takes_one_piece_from_a_client_that_does_not_read() {
    let (upstream, parts) = streaming_as(BYTES);
    let limits = ProxyLimits {
        unread: Duration::from_millis(200),
        ..patient()
    };
    let stand = Stand::limited(upstream, limits).await;
    let unread = begin(&stand, "/metered", 1_500).await;
    while parts.send(vec![7; 1_024]).is_ok() {
        tokio::task::yield_now().await;
    }
    let charged = settled(&stand).await;
    assert!(charged <= Amount::new(64), "{charged}");
    drop(unread);
}

#[tokio::test]
async fn stops_a_silent_stream_whose_time_is_not_paid() {
    let (upstream, parts) = streaming_as(SSE);
    let stand = Stand::limited(upstream, hasty()).await;
    // A second ahead has to be paid.
    let little = stand.ask("/timed", Some(&stand.payer.opening(9))).await;
    assert_eq!(little.status(), StatusCode::PAYMENT_REQUIRED);
    let answer = stand.ask("/timed", Some(&stand.payer.cheque(15))).await;
    let mut body = answer.into_body();
    assert_eq!(wish(&next(&mut body).await).accepted_cumulative, "15");
    let receipt: MppReceipt = event("payment-receipt", &next(&mut body).await);
    let charged: u128 = receipt.charged.parse().unwrap();
    assert!((1..=15).contains(&charged), "{charged}");
    timeout(SOON, parts.closed()).await.expect("still open");
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
