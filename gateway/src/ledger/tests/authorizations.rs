//! Authorizations of the scheme `exact`: one worker, one request, one answer.

use super::*;
use crate::ledger::{AuthorizationId, Authorized, Holding, Standing};

fn paid(request: u8, payload: u8) -> Authorized {
    let (token, owner) = (Address::repeat_byte(1), Address::repeat_byte(2));
    Authorized {
        id: AuthorizationId::of(1, token, owner, B256::repeat_byte(9)),
        fingerprint: Fingerprint(B256::repeat_byte(request)),
        payload: B256::repeat_byte(payload),
        valid_before: NOW + 3_600,
    }
}

async fn reserved(ledger: &Ledger, paid: Authorized, now: u64) -> Holding {
    ledger
        .reserve_authorization(paid, now)
        .await
        .unwrap()
        .unwrap()
}

async fn records(shop: &Shop) -> usize {
    let mut left = 0;
    for kind in [b'x', b'y'] {
        let prefix = [b"gateway/1/", payee().as_slice(), &[kind]].concat();
        let mut count = |_: &[u8], _: &[u8]| {
            left += 1;
            std::ops::ControlFlow::Continue(())
        };
        let table = cheque::store::Table::App;
        shop.store.scan(table, &prefix, &mut count).unwrap();
    }
    left
}

#[tokio::test]
async fn authorization_is_one_workers_at_a_time() {
    let shop = Shop::new();
    let (a, b) = (shop.worker(1), shop.worker(2));
    let first = reserved(&a, paid(1, 1), NOW).await;
    let known = b.reserve_authorization(paid(1, 1), NOW + 59).await.unwrap();
    assert_eq!(known, Err(Standing::InProgress { retry_after: 1 }));
    let other = b.authorization(paid(2, 1), NOW).await.unwrap();
    assert_eq!(other, Standing::Used);
    let renewed = a.renew_authorization(&first, NOW + 30).await.unwrap();
    assert_eq!(renewed.unwrap().lease_until(), NOW + 90);
    // The first worker sleeps, and the second takes over.
    let second = reserved(&b, paid(1, 1), NOW + 90).await;
    for stale in [
        a.renew_authorization(&first, NOW + 91).await.unwrap(),
        a.settle_authorization(&first, b"x", NOW + 91)
            .await
            .unwrap(),
    ] {
        assert_eq!(stale, None);
    }
    assert!(!a.end_authorization(&first, "{}", NOW + 91).await.unwrap());
    a.release_authorization(&first).await.unwrap();
    let known = a.authorization(paid(1, 1), NOW + 91).await.unwrap();
    assert_eq!(known, Standing::InProgress { retry_after: 5 });
    b.release_authorization(&second).await.unwrap();
    let known = a.authorization(paid(2, 2), NOW + 91).await.unwrap();
    assert_eq!(known, Standing::New);
}

#[tokio::test]
async fn settled_authorization_gives_its_answer_to_its_owner() {
    let shop = Shop::new();
    let ledger = &shop.ledger;
    let holding = reserved(ledger, paid(1, 1), NOW).await;
    let settling = ledger.settle_authorization(&holding, b"answer", NOW);
    let settling = settling.await.unwrap().unwrap();
    assert!(
        ledger
            .end_authorization(&settling, "{\"a\":1}", NOW)
            .await
            .unwrap()
    );
    let bought = Standing::Bought {
        answer: b"answer".to_vec(),
        receipt: "{\"a\":1}".to_owned(),
    };
    assert_eq!(
        ledger.authorization(paid(1, 1), NOW + 3_599).await.unwrap(),
        bought
    );
    for other in [paid(2, 1), paid(1, 2)] {
        assert_eq!(
            ledger.authorization(other, NOW).await.unwrap(),
            Standing::Used
        );
    }
    // Kept as long as the token takes it.
    ledger.sweep(NOW + 3_599).await.unwrap();
    assert_eq!(records(&shop).await, 2);
    ledger.sweep(NOW + 3_600).await.unwrap();
    assert_eq!(records(&shop).await, 0);
}

#[tokio::test]
async fn unsettled_authorization_is_settled_for_the_same_request_only() {
    let shop = Shop::new();
    let ledger = &shop.ledger;
    let holding = reserved(ledger, paid(1, 1), NOW).await;
    ledger
        .settle_authorization(&holding, b"answer", NOW)
        .await
        .unwrap();
    let answer = b"answer".to_vec();
    let unsettled = Standing::Unsettled { answer };
    let later = NOW + 60;
    assert_eq!(
        ledger.authorization(paid(1, 1), later).await.unwrap(),
        unsettled
    );
    assert_eq!(
        ledger.authorization(paid(2, 1), later).await.unwrap(),
        Standing::Used
    );
    let again = reserved(ledger, paid(1, 1), later).await;
    let known = ledger.authorization(paid(1, 1), later).await.unwrap();
    assert_eq!(known, Standing::InProgress { retry_after: 5 });
    assert!(ledger.end_authorization(&again, "{}", later).await.unwrap());
    let known = ledger.authorization(paid(1, 1), later).await.unwrap();
    assert!(matches!(known, Standing::Bought { .. }), "{known:?}");
}

#[tokio::test]
async fn sweep_leaves_an_authorization_in_use() {
    let shop = Shop::new();
    let ledger = &shop.ledger;
    let holding = reserved(ledger, paid(1, 1), NOW).await;
    let mut now = NOW;
    while now < NOW + 3_600 {
        now += 50;
        ledger
            .renew_authorization(&holding, now)
            .await
            .unwrap()
            .unwrap();
    }
    ledger.sweep(now).await.unwrap();
    let known = ledger.authorization(paid(1, 1), now).await.unwrap();
    assert!(matches!(known, Standing::InProgress { .. }), "{known:?}");
    ledger.sweep(now + 60).await.unwrap();
    assert_eq!(records(&shop).await, 0);
}

#[tokio::test]
async fn long_answer_is_not_kept() {
    let shop = Shop::new();
    let ledger = &shop.ledger;
    let holding = reserved(ledger, paid(1, 1), NOW).await;
    let long = vec![7; (64 << 10) + 1];
    let settling = ledger.settle_authorization(&holding, &long, NOW);
    let settling = settling.await.unwrap().unwrap();
    // Nobody can hand it out, so the request is verified and served again.
    let known = ledger.authorization(paid(1, 1), NOW + 60).await.unwrap();
    assert_eq!(known, Standing::New);
    assert!(
        ledger
            .end_authorization(&settling, "{}", NOW)
            .await
            .unwrap()
    );
    let known = ledger.authorization(paid(1, 1), NOW + 60).await.unwrap();
    assert_eq!(known, Standing::Used);
}
