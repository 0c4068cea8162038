//! Requests against money: N payments buy N answers, and nothing else costs or buys anything.

use super::*;
use axum::{http::HeaderMap, routing::any};
use std::{
    collections::HashSet,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};
use tokio::{sync::Notify, task::JoinSet};

/// An upstream that fails the requests whose number `fails` names, and counts the others.
fn counting(fails: fn(usize) -> bool) -> (Router, Arc<AtomicUsize>) {
    let (asked, served) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&served);
    let answer = move || {
        let number = asked.fetch_add(1, SeqCst);
        let served = Arc::clone(&counted);
        async move {
            if fails(number) {
                return (StatusCode::BAD_GATEWAY, "failed".to_owned());
            }
            (StatusCode::OK, served.fetch_add(1, SeqCst).to_string())
        }
    };
    (Router::new().fallback(any(answer)), served)
}

#[tokio::test]
async fn sells_each_answer_once_in_any_order_over_a_failing_upstream() {
    const PAYMENTS: u128 = 64;
    // Each third request fails.
    let (upstream, served) = counting(|number| number % 3 == 1);
    let stand = Arc::new(Stand::before(upstream).await);
    assert_eq!(stand.open("/first").await.status(), StatusCode::OK);
    // A permutation: 64 and 37 have no common divisor.
    let order = (0..PAYMENTS).map(|number| number * 37 % PAYMENTS);
    let mut asking = JoinSet::new();
    for number in order {
        let stand = Arc::clone(&stand);
        asking.spawn(async move {
            let proof = stand.payer.cheque(PRICE * (number + 2));
            let path = format!("/answer/{number}");
            for _ in 0..100 {
                let answer = stand.ask(&path, Some(&proof)).await;
                match answer.status() {
                    StatusCode::OK => return text(answer).await,
                    StatusCode::BAD_GATEWAY => assert_eq!(units(&answer, CHARGED), 0),
                    // The total of an older cheque may come before the newer one's.
                    status => panic!("{status}: {}", text(answer).await),
                }
            }
            panic!("never served");
        });
    }
    let answers: HashSet<String> = asking.join_all().await.into_iter().collect();
    assert_eq!(answers.len() as u128, PAYMENTS);
    assert_eq!(served.load(SeqCst) as u128, PAYMENTS + 1);
    assert_eq!(stand.balance().await, 0);

    for number in 0..20 {
        let replay = stand.payer.cheque(PRICE * (number + 2));
        let answer = stand.ask("/another", Some(&replay)).await;
        assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED);
    }
    assert_eq!(served.load(SeqCst) as u128, PAYMENTS + 1);
    assert_eq!(stand.balance().await, 0);
}

#[tokio::test]
async fn forwards_only_paid_requests_and_names_their_payer() {
    let echo = |headers: HeaderMap| async move {
        let payer = headers.get("x-payer").cloned();
        let payer = payer.unwrap_or(HeaderValue::from_static("nobody"));
        payer.to_str().unwrap().to_owned()
    };
    let stand = Stand::before(Router::new().fallback(any(echo))).await;
    let unpaid = stand.ask("/answer", None).await;
    assert_eq!(unpaid.status(), StatusCode::PAYMENT_REQUIRED);
    assert!(unpaid.headers().contains_key("payment-required"));
    assert!(unpaid.headers().contains_key("www-authenticate"));

    let paid = stand.open("/answer").await;
    assert_eq!(units(&paid, CHARGED), PRICE);
    assert_eq!(units(&paid, BALANCE), 0);
    let signer = stand.payer.account().signer.to_checksum(None);
    assert_eq!(text(paid).await, signer);

    let mut forged = request("/free", None);
    let name = HeaderValue::from_str(&signer).unwrap();
    forged.headers_mut().insert("x-payer", name);
    let free = stand.proxy.answer(forged, ORIGIN).await;
    assert_eq!(text(free).await, "nobody");
}

#[tokio::test]
async fn charges_a_client_that_hangs_up_and_keeps_its_answer() {
    let (asked, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (told, waits) = (Arc::clone(&asked), Arc::clone(&go));
    let slow = move || {
        let (told, waits) = (Arc::clone(&told), Arc::clone(&waits));
        async move {
            told.notify_one();
            waits.notified().await;
            "the answer"
        }
    };
    let stand = Stand::before(Router::new().fallback(any(slow))).await;
    let proof = stand.payer.opening(PRICE);
    tokio::select! {
        _ = stand.ask("/answer", Some(&proof)) => panic!("answered too early"),
        () = asked.notified() => {}
    }
    // The client is gone. The upstream answers.
    go.notify_one();
    let again = async {
        loop {
            let answer = stand.ask("/answer", Some(&proof)).await;
            if answer.status() != StatusCode::CONFLICT {
                return answer;
            }
            assert_eq!(code(answer).await, "in_progress");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let answer = timeout(SOON, again).await.expect("never settled");
    assert_eq!(units(&answer, CHARGED), PRICE);
    assert_eq!(text(answer).await, "the answer");
    assert_eq!(stand.balance().await, 0);
    // Only the same request gets the kept answer.
    let other = stand.ask("/other", Some(&proof)).await;
    assert_eq!(other.status(), StatusCode::PAYMENT_REQUIRED);
}

#[tokio::test]
async fn releases_the_payment_of_an_absent_upstream() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let stand = Stand::at(&format!("http://{address}")).await;
    let proof = stand.payer.opening(PRICE);
    for _ in 0..3 {
        let failed = stand.ask("/answer", Some(&proof)).await;
        assert_eq!(failed.status(), StatusCode::BAD_GATEWAY);
        assert_eq!(units(&failed, CHARGED), 0);
        assert_eq!(units(&failed, BALANCE), PRICE);
    }
    let listener = TcpListener::bind(address).await.unwrap();
    let upstream = Router::new().fallback(any(|| async { "back" }));
    tokio::spawn(async move { axum::serve(listener, upstream).await });
    let served = stand.ask("/answer", Some(&proof)).await;
    assert_eq!(units(&served, CHARGED), PRICE);
    assert_eq!(text(served).await, "back");
}

#[tokio::test]
async fn charges_forced_timeouts_after_the_third() {
    let never = || async { tokio::time::sleep(Duration::from_secs(60)).await };
    let stand = Stand::before(Router::new().fallback(any(never))).await;
    let proof = stand.payer.opening(PRICE);
    let mut charged = Vec::new();
    for _ in 0..4 {
        let late = stand.ask("/answer", Some(&proof)).await;
        assert_eq!(late.status(), StatusCode::GATEWAY_TIMEOUT);
        charged.push(units(&late, CHARGED));
    }
    assert_eq!(charged, [0, 0, 0, PRICE]);
}

#[tokio::test]
async fn refuses_what_could_mean_two_requests() {
    let (upstream, served) = counting(|_| false);
    let stand = Stand::before(upstream).await;
    let proof = stand.payer.opening(PRICE);
    for path in ["/free/../answer", "/a%2fb", "/a//b", "/a%00"] {
        let refused = stand.ask(path, Some(&proof)).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{path}");
    }
    let mut two_hosts = request("/answer", Some(&proof));
    let other = HeaderValue::from_static("other.example");
    two_hosts.headers_mut().append("host", other);
    let refused = stand.proxy.answer(two_hosts, ORIGIN).await;
    assert_eq!(code(refused).await, "host");
    let elsewhere = Request::get("https://other.example/answer");
    let elsewhere = elsewhere.header("host", "shop.example");
    let refused = stand
        .proxy
        .answer(elsewhere.body(Full::default()).unwrap(), ORIGIN);
    assert_eq!(code(refused.await).await, "host");
    let large = Request::post("/answer").header("host", "shop.example");
    let large = large.body(Full::new(Bytes::from(vec![0; (1 << 20) + 1])));
    let refused = stand.proxy.answer(large.unwrap(), ORIGIN).await;
    assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(served.load(SeqCst), 0);
    assert_eq!(stand.open("/answer").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn takes_money_that_buys_no_request() {
    let (upstream, served) = counting(|_| false);
    let stand = Stand::before(upstream).await;
    let lines = format!("{}\n", stand.payer.opening(3 * PRICE));
    let post = Request::post(PAY_PATH).header("host", "shop.example");
    let post = post.body(Full::new(Bytes::from(lines))).unwrap();
    let added = stand.proxy.answer(post, ORIGIN).await;
    assert_eq!(added.status(), StatusCode::NO_CONTENT);
    assert_eq!(units(&added, BALANCE), 3 * PRICE);
    let get = stand.ask(PAY_PATH, None).await;
    assert_eq!(get.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(served.load(SeqCst), 0);
    assert_eq!(stand.balance().await, 3 * PRICE);
}

#[tokio::test]
async fn lets_pages_of_other_origins_pay() {
    let (upstream, served) = counting(|_| false);
    let stand = Stand::before(upstream).await;
    let asked = Request::options("/answer")
        .header("host", "shop.example")
        .header("origin", "https://page.example")
        .header("access-control-request-method", "GET")
        .body(Full::default())
        .unwrap();
    let preflight = stand.proxy.answer(asked, ORIGIN).await;
    assert_eq!(preflight.status(), StatusCode::NO_CONTENT);
    let allowed = preflight.headers()["access-control-allow-headers"].to_str();
    let allowed = allowed.unwrap();
    for name in [
        "payment-signature",
        "authorization",
        "cheque",
        "access-control-expose-headers",
    ] {
        assert!(allowed.split(", ").any(|one| one == name), "{name}");
    }
    assert_eq!(served.load(SeqCst), 0);
    let mut paying = request("/answer", Some(&stand.payer.opening(PRICE)));
    let page = HeaderValue::from_static("https://page.example");
    paying.headers_mut().insert("origin", page);
    let paid = stand.proxy.answer(paying, ORIGIN).await;
    assert_eq!(paid.headers()["access-control-allow-origin"], "*");
    let exposed = paid.headers()["access-control-expose-headers"].to_str();
    assert!(exposed.unwrap().contains("payment-receipt"));
    assert!(
        !paid
            .headers()
            .contains_key("access-control-allow-credentials")
    );
}
