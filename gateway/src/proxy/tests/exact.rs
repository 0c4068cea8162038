//! Sales by the scheme `exact`: verified, served, settled, answered, and each once.

use super::{
    facilitated::{
        EXACT, ExactStand, PAYER, Word, exact_offer, hello, paid, pay, payment, required,
    },
    *,
};
use crate::wire::PAYMENT_RESPONSE;
use axum::body::Body as Answered;
use futures_util::stream;
use serde_json::{Value, json};
use std::convert::Infallible;

#[tokio::test]
async fn offers_exact_beside_cheques_at_fixed_prices() {
    let stand = ExactStand::new(StatusCode::OK, hello).await;
    let offer = exact_offer(&stand.proxy, "/x").await.unwrap();
    assert_eq!(offer.network, "eip155:8453");
    assert_eq!(offer.pay_to, "0x5050505050505050505050505050505050505050");
    assert_eq!(offer.extra["assetTransferMethod"], "eip3009");
    assert_eq!(exact_offer(&stand.proxy, "/metered").await, None);
    // Without a facilitator nobody could make the transfer.
    let seller = stand.worker(3, || NOW).seller().clone();
    let without = crate::Seller::new(
        Offers::parse(EXACT, &home()).unwrap(),
        seller.ledger().clone(),
        Wire {
            payee: payee(),
            realm: "shop".to_owned(),
            key: [7; 32],
            credential_header: None,
            terms: BTreeMap::from(["eth", "usdc"].map(|name| (name.to_owned(), terms()))).into(),
        },
    );
    let upstream = Upstream::new(&stand.upstream.parse().unwrap(), LIMITS).unwrap();
    let settings = stand.proxy.shared.settings.clone();
    let without = Proxy::new(without.unwrap(), upstream, settings);
    assert_eq!(exact_offer(&without, "/x").await, None);
    let answer = pay(&without, "/x", &paid(&stand, 1).await).await;
    assert_eq!(code(answer).await, "foreign_payment");
    assert!(stand.scene.log().is_empty());
}

#[tokio::test]
async fn verifies_serves_settles_and_answers_once() {
    let stand = ExactStand::new(StatusCode::OK, hello).await;
    let payment = paid(&stand, 1).await;
    for _ in 0..2 {
        let answer = stand.pay("/x", &payment).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let receipt = answer.headers()[PAYMENT_RESPONSE].as_bytes();
        let receipt: Value = serde_json::from_slice(
            &base64::Engine::decode(&base64::prelude::BASE64_STANDARD, receipt).unwrap(),
        )
        .unwrap();
        assert_eq!(
            receipt,
            json!({ "success": true, "transaction": "0xabc", "network": "eip155:8453", "payer": PAYER, "amount": "1000" })
        );
        assert_eq!(text(answer).await, "hello");
    }
    // The second answer is the stored one.
    assert_eq!(stand.scene.log(), ["verify", "serve", "settle"]);
    let other = stand.pay("/y", &payment).await;
    assert_eq!(
        required(&other).error.as_deref(),
        Some("invalid_transaction_state")
    );
    assert!(stand.scene.log().is_empty());
}

#[tokio::test]
async fn serves_nothing_that_is_not_verified() {
    let stand = ExactStand::new(StatusCode::OK, hello).await;
    let payment = paid(&stand, 1).await;
    for word in [Word::Refuses, Word::RefusesBy400] {
        stand.scene.say(word, Word::Good);
        let answer = stand.pay("/x", &payment).await;
        assert_eq!(
            required(&answer).error.as_deref(),
            Some("insufficient_funds")
        );
    }
    for word in [Word::Breaks, Word::Sleeps, Word::NeverEnds, Word::Babbles] {
        stand.scene.say(word, Word::Good);
        let answer = stand.pay("/x", &payment).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{word:?}");
        assert!(answer.headers().contains_key("retry-after"));
        assert_eq!(code(answer).await, "facilitator_unavailable");
    }
    assert!(stand.scene.log().iter().all(|what| *what == "verify"));
    stand.scene.say(Word::Good, Word::Good);
    assert_eq!(stand.pay("/x", &payment).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn asks_nobody_about_a_payment_for_another_offer() {
    let stand = ExactStand::new(StatusCode::OK, hello).await;
    for (field, value) in [
        ("value", "999"),
        ("to", PAYER),
        ("validBefore", "1800000000"),
        ("validBefore", "1800003601"),
        ("validBefore", "x"),
        ("nonce", "0x01"),
    ] {
        let answer = stand
            .pay("/x", &payment(&stand, 1, (field, value)).await)
            .await;
        required(&answer);
        assert_eq!(code(answer).await, "exact_refused", "{field} {value}");
    }
    // At the price of another route.
    let answer = stand.pay("/metered", &paid(&stand, 1).await).await;
    assert_eq!(code(answer).await, "foreign_payment");
    assert!(stand.scene.log().is_empty());
}

#[tokio::test]
async fn failed_answer_is_not_settled() {
    for status in [StatusCode::NOT_FOUND, StatusCode::BAD_GATEWAY] {
        let stand = ExactStand::new(status, hello).await;
        let payment = paid(&stand, 1).await;
        // The payment stays good.
        for _ in 0..2 {
            let answer = stand.pay("/x", &payment).await;
            assert_eq!(answer.status(), status);
            assert!(!answer.headers().contains_key(PAYMENT_RESPONSE));
            assert_eq!(stand.scene.log(), ["verify", "serve"]);
        }
    }
}

#[tokio::test]
async fn answer_without_a_transfer_is_not_given() {
    let stand = ExactStand::new(StatusCode::OK, hello).await;
    let payment = paid(&stand, 1).await;
    for word in [Word::Refuses, Word::RefusesBy400] {
        stand.scene.say(Word::Good, word);
        let answer = stand.pay("/x", &payment).await;
        // The facilitator's own words are not safe in a header.
        assert_eq!(
            required(&answer).error.as_deref(),
            Some("unexpected_settle_error")
        );
        assert!(!text(answer).await.contains("hello"));
        assert_eq!(stand.scene.log(), ["verify", "serve", "settle"]);
    }
}

#[tokio::test]
async fn unknown_transfer_is_settled_again_by_the_same_payment() {
    for word in [Word::Breaks, Word::Sleeps, Word::NeverEnds, Word::Babbles] {
        let stand = ExactStand::new(StatusCode::OK, hello).await;
        let payment = paid(&stand, 1).await;
        stand.scene.say(Word::Good, word);
        let answer = stand.pay("/x", &payment).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{word:?}");
        assert_eq!(code(answer).await, "settlement_unknown");
        stand.scene.say(Word::Good, Word::Good);
        let answer = stand.pay("/x", &payment).await;
        assert_eq!(code(answer).await, "in_progress");
        // At the end of the lease another worker takes over.
        let later = stand.worker(5, || NOW + 60);
        let answer = pay(&later, "/x", &payment).await;
        assert!(answer.headers().contains_key(PAYMENT_RESPONSE));
        assert_eq!(text(answer).await, "hello");
        assert_eq!(stand.scene.log(), ["verify", "serve", "settle", "settle"]);
    }
}

/// The token refuses a second transfer by the same authorization, so a refusal says nothing about the first.
#[tokio::test]
async fn refusal_after_an_unknown_transfer_asks_for_no_other_money() {
    for refusal in [Word::Refuses, Word::RefusesBy400] {
        let stand = ExactStand::new(StatusCode::OK, hello).await;
        let payment = paid(&stand, 1).await;
        stand.scene.say(Word::Good, Word::Breaks);
        let answer = stand.pay("/x", &payment).await;
        assert_eq!(code(answer).await, "settlement_unknown");
        stand.scene.say(Word::Good, refusal);
        let later = stand.worker(5, || NOW + 60);
        let answer = pay(&later, "/x", &payment).await;
        assert_eq!(
            answer.status(),
            StatusCode::SERVICE_UNAVAILABLE,
            "{refusal:?}"
        );
        assert!(!answer.headers().contains_key("payment-required"));
        assert_eq!(code(answer).await, "settlement_unknown");
        // The record is still there: a facilitator that finds the transfer brings the answer.
        stand.scene.say(Word::Good, Word::Good);
        let last = stand.worker(6, || NOW + 120);
        assert_eq!(text(pay(&last, "/x", &payment).await).await, "hello");
        let log = ["verify", "serve", "settle", "settle", "settle"];
        assert_eq!(stand.scene.log(), log);
    }
}

#[tokio::test]
async fn two_workers_serve_an_authorization_once() {
    let stand = ExactStand::new(StatusCode::OK, hello).await;
    let payment = paid(&stand, 1).await;
    let workers = [0, 0, 5, 6].map(|name| match name {
        0 => stand.proxy.clone(),
        name => stand.worker(name, || NOW),
    });
    let mut asking = tokio::task::JoinSet::new();
    for worker in workers {
        let payment = payment.clone();
        asking.spawn(async move { pay(&worker, "/x", &payment).await.status() });
    }
    for status in asking.join_all().await {
        assert!(matches!(status.as_u16(), 200 | 409), "{status}");
    }
    let log = stand.scene.log();
    let count = |what| log.iter().filter(|done| **done == what).count();
    assert_eq!((count("serve"), count("settle")), (1, 1), "{log:?}");
    // Two tasks of one process do not even ask the facilitator twice.
    assert!(count("verify") <= 3, "{log:?}");
}

#[tokio::test]
async fn long_answer_is_settled_first_and_then_streamed() {
    let endless = || {
        let parts = stream::repeat_with(|| Ok::<_, Infallible>(vec![7; 64 << 10]));
        Answered::from_stream(parts)
    };
    let stand = ExactStand::new(StatusCode::OK, endless).await;
    let answer = stand.pay("/x", &paid(&stand, 1).await).await;
    assert!(answer.headers().contains_key(PAYMENT_RESPONSE));
    assert_eq!(stand.scene.log(), ["verify", "serve", "settle"]);
    let first = answer.into_body().frame().await.unwrap().unwrap();
    assert!(first.is_data());
    stand.scene.say(Word::Good, Word::Refuses);
    let answer = stand.pay("/x", &paid(&stand, 2).await).await;
    required(&answer);
}
