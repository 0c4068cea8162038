//! Requests that find no capacity: they cost nothing, and their payments stay valid.

use super::*;
use axum::{body::Body as AxumBody, routing::get};
use http::header::RETRY_AFTER;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use tokio::{sync::Semaphore, time::sleep};

/// One large request at a time: its units come back with it, or after a minute and a half.
const LIMITED: &str = r#"
[capacity]
total = 100
burst = 10_000
account = { rate = 1_000_000, burst = 10_000_000 }
free = { rate = 100, burst = 1_000 }

[tokens.eth]
chain_id = 1
bank = "0xbabababababababababababababababababababa"
decimals = 18

[[route]]
path = "/free"
free = true
cost = { call = 1_000 }

[[route]]
path = "/tried"
price = { eth = 10 }
first_free = 1
cost = { call = 1_000 }

[[route]]
path = "/large/**"
price = { eth = 10 }
cost = { call = 10, per_kib = 1, max = 8_990 }

[[route]]
path = "/rpc"
price = { eth = 10 }
rpc.work = { eth = 10 }
cost = { call = 4_000 }
"#;

/// An upstream whose answers under `/large` wait for a permit each.
fn gated() -> (Router, Arc<Semaphore>, Arc<AtomicUsize>) {
    let (gate, asked) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let (waits, counted) = (gate.clone(), asked.clone());
    let answer = move || {
        let (waits, counted) = (waits.clone(), counted.clone());
        async move {
            counted.fetch_add(1, SeqCst);
            waits.acquire().await.unwrap().forget();
            "large"
        }
    };
    let small = get(|| async { "small" }).post(|| async { "small" });
    let upstream = Router::new()
        .route("/large/{name}", get(answer))
        .fallback(small);
    (upstream, gate, asked)
}

async fn until(asked: &AtomicUsize, requests: usize) {
    while asked.load(SeqCst) != requests {
        sleep(Duration::from_millis(1)).await;
    }
}

fn asking(
    stand: &Arc<Stand>,
    path: &'static str,
    proof: Proof,
) -> tokio::task::JoinHandle<Response<ProxyBody>> {
    let stand = Arc::clone(stand);
    tokio::spawn(async move { stand.ask(path, Some(&proof)).await })
}

#[tokio::test]
async fn displaced_request_is_free_and_its_header_is_valid_again() {
    let (upstream, gate, asked) = gated();
    let stand = Arc::new(Stand::patient(LIMITED, upstream).await);
    let first = asking(&stand, "/large/1", stand.payer.opening(PRICE));
    until(&asked, 1).await;
    let proof = stand.payer.cheque(2 * PRICE);
    let refused = stand.ask("/large/2", Some(&proof)).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let retry: u64 = refused.headers()[RETRY_AFTER]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(retry >= 1);
    assert_eq!(
        (units(&refused, CHARGED), units(&refused, BALANCE)),
        (0, PRICE)
    );
    assert_eq!(code(refused).await, "full");
    assert_eq!(asked.load(SeqCst), 1);
    assert_eq!(stand.balance().await, PRICE);
    // The same header is another request's no more than before.
    let stolen = stand.ask("/large/3", Some(&proof)).await;
    assert_eq!(stolen.status(), StatusCode::PAYMENT_REQUIRED);

    let again = asking(&stand, "/large/2", proof);
    gate.add_permits(2);
    let first = timeout(SOON, first).await.unwrap().unwrap();
    assert_eq!(
        (first.status(), units(&first, CHARGED)),
        (StatusCode::OK, PRICE)
    );
    // The units of the first request came back, so that the second one was served.
    let again = timeout(SOON, again).await.unwrap().unwrap();
    assert_eq!(
        (again.status(), units(&again, CHARGED)),
        (StatusCode::OK, PRICE)
    );
    assert_eq!(stand.balance().await, 0);
}

#[tokio::test]
async fn a_client_that_leaves_the_queue_is_served_and_charged_once() {
    let (upstream, gate, asked) = gated();
    let stand = Arc::new(Stand::patient(LIMITED, upstream).await);
    let first = asking(&stand, "/large/1", stand.payer.opening(PRICE));
    until(&asked, 1).await;
    let proof = stand.payer.cheque(2 * PRICE);
    let second = asking(&stand, "/large/2", proof.clone());
    while stand.proxy.capacity().waiting().0 == 0 {
        sleep(Duration::from_millis(1)).await;
    }
    second.abort();
    gate.add_permits(2);
    assert_eq!(first.await.unwrap().status(), StatusCode::OK);
    until(&asked, 2).await;
    // The answer is kept for the same header.
    loop {
        let again = stand.ask("/large/2", Some(&proof)).await;
        if again.status() != StatusCode::CONFLICT {
            assert_eq!(
                (again.status(), units(&again, CHARGED)),
                (StatusCode::OK, PRICE)
            );
            break;
        }
    }
    assert_eq!((asked.load(SeqCst), stand.balance().await), (2, 0));
}

#[tokio::test]
async fn account_beyond_its_rate_is_refused_without_reservation() {
    let (upstream, gate, _) = gated();
    let limited = LIMITED.replace(
        "rate = 1_000_000, burst = 10_000_000",
        "rate = 1, burst = 9_000",
    );
    let stand = Stand::patient(&limited, upstream).await;
    gate.add_permits(9);
    assert_eq!(stand.open("/large/1").await.status(), StatusCode::OK);
    let served = stand
        .ask("/tried", Some(&stand.payer.cheque(2 * PRICE)))
        .await;
    assert_eq!(served.status(), StatusCode::OK);
    // 7,990 of 9,000 units are left at most, and come back at one a second.
    let refused = stand
        .ask("/large/2", Some(&stand.payer.cheque(3 * PRICE)))
        .await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    // There was no reservation, so there is no receipt; the money is the account's.
    assert!(!refused.headers().contains_key(CHARGED));
    let sums = stand.shop.sums(&stand.payer).await;
    assert_eq!((sums.balance.get(), sums.reserved.get()), (PRICE, 0));
}

#[tokio::test]
async fn free_clients_are_refused_and_keep_their_free_request() {
    let (upstream, ..) = gated();
    let stand = Stand::patient(LIMITED, upstream).await;
    assert_eq!(stand.ask("/free", None).await.status(), StatusCode::OK);
    let refused = stand.ask("/tried", None).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers().contains_key(RETRY_AFTER));
    // The upper share of all free clients, a tenth of the burst, is used up, too.
    let elsewhere = Origin {
        address: IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)),
        ..ORIGIN
    };
    let refused = stand.proxy.answer(request("/free", None), elsewhere).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    // The refused request was not counted as the free one.
    stand
        .proxy
        .capacity()
        .reload(&Offers::parse(OFFERS, &home()).unwrap())
        .unwrap();
    assert_eq!(stand.ask("/tried", None).await.status(), StatusCode::OK);
    let second = stand.ask("/tried", None).await;
    assert_eq!(second.status(), StatusCode::PAYMENT_REQUIRED);
}

#[tokio::test]
async fn batch_beyond_all_capacity_is_refused_before_it_is_paid() {
    let (upstream, ..) = gated();
    let stand = Stand::patient(LIMITED, upstream).await;
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"work"}"#;
    let ask = |calls: usize, proof: &Proof| {
        let batch = format!("[{}]", vec![call; calls].join(","));
        let request = Request::post("/rpc")
            .header("host", "shop.example")
            .header(CHEQUE, proof.to_string())
            .header(MAX, "1000");
        request.body(Full::from(batch)).unwrap()
    };
    let proof = stand.payer.opening(3 * PRICE);
    let refused = stand.proxy.answer(ask(3, &proof), ORIGIN).await;
    assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert!(!refused.headers().contains_key(RETRY_AFTER));
    assert_eq!(code(refused).await, "too_costly");
    assert_eq!(stand.shop.sums(&stand.payer).await.credited.get(), 0);
    let served = stand.proxy.answer(ask(2, &proof), ORIGIN).await;
    assert_eq!(
        (served.status(), units(&served, CHARGED)),
        (StatusCode::OK, 2 * PRICE)
    );
}

#[tokio::test]
async fn timeouts_and_failures_cost_capacity_by_their_time() {
    let (upstream, _, asked) = gated();
    // Every request waits for a permit that never comes, and times out after half a second.
    let limited = LIMITED.replace("per_kib = 1, max = 8_990", "per_ms = 18, max = 8_990");
    let stand = Arc::new(Stand::selling(&limited, upstream).await);
    let first = stand.open("/large/1").await;
    assert_eq!(first.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(units(&first, CHARGED), 0);
    // Half a second costs about all of the 9,000 units: the next request does not fit beside it.
    let next = stand
        .ask("/large/2", Some(&stand.payer.cheque(2 * PRICE)))
        .await;
    assert_eq!(next.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(asked.load(SeqCst), 1);
}

#[tokio::test]
async fn a_stream_keeps_its_ticket_until_its_body_ends() {
    let big = || async { AxumBody::from(vec![0u8; 200 << 10]) };
    let stand = Arc::new(Stand::patient(LIMITED, Router::new().fallback(get(big))).await);
    let streamed = stand.open("/large/1").await;
    assert_eq!(streamed.status(), StatusCode::OK);
    let proof = stand.payer.cheque(2 * PRICE);
    let next = asking(&stand, "/large/2", proof);
    while stand.proxy.capacity().waiting().0 == 0 {
        sleep(Duration::from_millis(1)).await;
    }
    // The client has the whole answer.
    assert_eq!(
        streamed
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .len(),
        200 << 10
    );
    let next = timeout(SOON, next).await.unwrap().unwrap();
    assert_eq!(next.status(), StatusCode::OK);
}
