//! Idempotency keys: one answer for each, whatever is paid.

use super::*;
use crate::ledger::{IdempotencyKey, StoredAnswer};

fn named(request: u8, name: &str, now: u64) -> Ask {
    Ask {
        key: Some(IdempotencyKey::of(name)),
        ..ask(request, now)
    }
}

impl Shop {
    async fn name(&self, request: u8, name: &str, proof: Proof) -> Admitted {
        admit(&self.ledger, &named(request, name, NOW), &paying(&[proof])).await
    }

    async fn answer(&self, admission: &Admission, answer: &[u8]) -> Receipt {
        let end = (SERVED, Terms::default());
        let settled = self
            .ledger
            .settle(admission, end, Some(answer.to_vec()), NOW);
        settled.await.unwrap().unwrap()
    }
}

fn again(admitted: Admitted) -> StoredAnswer {
    match admitted {
        Admitted::Again(stored) => stored,
        other => panic!("not answered again: {other:?}"),
    }
}

#[tokio::test]
async fn second_payment_under_a_key_gets_the_stored_answer() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    let first = forwarded(shop.name(1, "order 7", payer.opening(10)).await);
    // In progress: not twice, and the money is credited.
    let waiting = refusal(shop.name(1, "order 7", payer.cheque(20)).await);
    assert_eq!(waiting.code(), "in_progress");
    assert_eq!(shop.balance(&payer).await, 10);
    shop.answer(&first, b"the answer").await;

    let stored = again(shop.name(1, "order 7", payer.cheque(30)).await);
    assert_eq!(stored.answer, b"the answer");
    let receipt = stored.receipt;
    assert_eq!(
        (receipt.payment, receipt.charged),
        (*first.payment(), PRICE)
    );
    assert_eq!(
        (receipt.balance.get(), shop.balance(&payer).await),
        (20, 20)
    );
    // From another worker, too, and for the payment that waited before.
    let other = shop.worker(9);
    let ask = named(1, "order 7", NOW);
    let stored = again(admit(&other, &ask, &paying(&[payer.cheque(20)])).await);
    assert_eq!(
        (stored.answer.as_slice(), stored.receipt.balance.get()),
        (&b"the answer"[..], 20)
    );
    assert_eq!(shop.sums(&payer).await.charged, PRICE);

    // The money buys other requests, and this one under another key.
    assert!(matches!(
        shop.name(1, "order 8", payer.cheque(30)).await,
        Admitted::Forward(_)
    ));
    shop.buy(2, &[payer.cheque(40)]).await;
}

#[tokio::test]
async fn key_of_another_request_is_a_conflict() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    let first = forwarded(shop.name(1, "order 7", payer.opening(10)).await);
    for request in [2, 3] {
        let refused = refusal(shop.name(request, "order 7", payer.cheque(20)).await);
        // The second time, the payment is bound to the first request.
        assert_eq!(refused.code(), "key_conflict");
    }
    shop.answer(&first, b"x").await;
    // The used payment with another request.
    let refused = refusal(shop.name(2, "order 7", payer.opening(10)).await);
    assert_eq!(refused.code(), "key_conflict");
    assert_eq!(shop.balance(&payer).await, 10);
    let other = Payer::native(2);
    // Another account has its own keys.
    assert!(matches!(
        shop.name(2, "order 7", other.opening(10)).await,
        Admitted::Forward(_)
    ));
}

#[tokio::test]
async fn strangers_learn_nothing_by_a_key() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    let first = forwarded(shop.name(1, "order 7", payer.opening(10)).await);
    shop.answer(&first, b"secret").await;
    // A cheque of the same deposit that another key has signed.
    let thief = Payer::native(2).signed(50, None);
    for (request, proof) in [
        (1, Proof::Cheque(payer.id(), thief)),
        (2, Proof::Cheque(payer.id(), thief)),
    ] {
        let refused = refusal(shop.name(request, "order 7", proof).await);
        assert!(matches!(refused, Refusal::Rejected { .. }), "{refused}");
    }
    // A seen step is authentic, and no credential: everybody can compute the lower ones.
    let x = B256::repeat_byte(4);
    let anchor = cheque::hash_chain(x, 1);
    let stream = payer.signed(20, Some((anchor, Amount::new(1))));
    let deposit = payer.id();
    let step = Proof::Step { deposit, k: 1, x };
    shop.buy(3, &[Proof::Cheque(deposit, stream), step.clone()])
        .await;
    let payment = paying(&[step, Proof::Cheque(deposit, thief)]);
    let refused = refusal(admit(&shop.ledger, &named(1, "order 7", NOW), &payment).await);
    assert!(matches!(refused, Refusal::Rejected { .. }), "{refused}");
}

#[tokio::test]
async fn released_request_leaves_its_key_free() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    let first = forwarded(shop.name(1, "order 7", payer.opening(10)).await);
    shop.settle(&first, Outcome::Failed).await;
    // Nothing was bought, so the key may name another request, too.
    let second = forwarded(shop.name(2, "order 7", payer.cheque(20)).await);
    assert_eq!(shop.balance(&payer).await, 10);
    // A worker that dies frees it at the end of the lease.
    let ask = named(2, "order 7", NOW + 60);
    let third = forwarded(admit(&shop.ledger, &ask, &paying(&[payer.cheque(30)])).await);
    assert_ne!(second.payment(), third.payment());
    let sums = shop.sums(&payer).await;
    assert_eq!((sums.balance.get(), sums.reserved), (20, PRICE));
}

#[tokio::test]
async fn key_ends_with_the_stored_answers() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    let first = forwarded(shop.name(1, "order 7", payer.opening(10)).await);
    shop.answer(&first, b"x").await;
    assert_eq!(shop.ledger.sweep(NOW + 599).await.unwrap().keys, 0);
    let late = |now, total| {
        let (ask, proof) = (named(1, "order 7", now), payer.cheque(total));
        let ledger = shop.ledger.clone();
        async move { admit(&ledger, &ask, &paying(&[proof])).await }
    };
    again(late(NOW + 599, 20).await);
    let second = forwarded(late(NOW + 600, 30).await);
    // The end of the first request does not end the second one's.
    assert_eq!(shop.ledger.sweep(NOW + 600).await.unwrap().keys, 1);
    assert_eq!(refusal(late(NOW + 600, 40).await).code(), "in_progress");
    let end = (SERVED, Terms::default());
    let settled = shop.ledger.settle(&second, end, None, NOW + 601).await;
    assert!(settled.unwrap().is_some());
    // Without a stored answer nothing is bought a second time, either.
    assert_eq!(refusal(late(NOW + 602, 50).await).code(), "key_used");
    assert_eq!(shop.ledger.sweep(NOW + 1_201).await.unwrap().keys, 1);
    // No record is left.
    let mut left = 0;
    for kind in [b'n', b't'] {
        let prefix = [b"gateway/1/", payee().as_slice(), &[kind]].concat();
        let mut count = |_: &[u8], _: &[u8]| {
            left += 1;
            std::ops::ControlFlow::Continue(())
        };
        let table = cheque::store::Table::App;
        shop.store.scan(table, &prefix, &mut count).unwrap();
    }
    assert_eq!(left, 0);
}

#[tokio::test]
async fn parallel_payments_under_a_key_buy_one_answer() {
    let shop = Arc::new(Shop::new());
    let payer = Payer::native(1);
    shop.buy(9, &[payer.opening(10)]).await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..16_u8 {
        let (ledger, payer) = (shop.worker(number), payer.clone());
        tasks.spawn(async move {
            let ask = named(1, "order 7", NOW);
            let proof = payer.cheque(20 + u128::from(number));
            let admitted = admit(&ledger, &ask, &paying(&[proof])).await;
            usize::from(matches!(admitted, Admitted::Forward(_)))
        });
    }
    let forwarded: usize = tasks.join_all().await.into_iter().sum();
    assert_eq!(forwarded, 1);
    let sums = shop.sums(&payer).await;
    assert_eq!((sums.balance.get(), sums.reserved.get()), (15, 20));
}
