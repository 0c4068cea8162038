//! Leases, stored answers and closed deposits.

use super::*;
use crate::ledger::{Prune, Upkeep};
use cheque::store::{Change, Swap, Table, position_key};

#[tokio::test]
async fn expired_lease_makes_the_payment_valid_again() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    let payment = paying(&[payer.opening(10)]);
    let lost = forwarded(shop.admit(1, &payment).await);
    // The worker is killed. Another one meets the payment at the last second of the lease, and then after it.
    let other = shop.worker(1);
    let early = refusal(admit(&other, &ask(1, NOW + 59), &payment).await);
    assert_eq!(early, Refusal::InProgress { retry_after: 1 });
    let again = forwarded(admit(&other, &ask(1, NOW + 60), &payment).await);
    // The first worker was not killed but slow. Its end counts no more.
    let late = shop
        .ledger
        .settle(&lost, (SERVED, Terms::default()), None, NOW + 61);
    assert_eq!(late.await.unwrap(), None);
    assert_eq!(shop.ledger.renew(&lost, NOW + 61).await.unwrap(), None);
    let settled = other.settle(&again, (SERVED, Terms::default()), None, NOW + 62);
    assert_eq!(settled.await.unwrap().unwrap().charged, PRICE);
    assert_eq!(shop.sums(&payer).await.charged, PRICE);
}

#[tokio::test]
async fn a_lone_worker_releases_what_others_have_left() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    let payment = paying(&[payer.opening(10)]);
    let lost = forwarded(shop.admit(1, &payment).await);
    assert_eq!(shop.ledger.release_abandoned().await.unwrap(), 0, "its own");
    let next = shop.worker(1);
    assert_eq!(next.release_abandoned().await.unwrap(), 1);
    let again = forwarded(admit(&next, &ask(1, NOW), &payment).await);
    let late = shop
        .ledger
        .settle(&lost, (SERVED, Terms::default()), None, NOW);
    assert_eq!(late.await.unwrap(), None);
    let settled = next.settle(&again, (SERVED, Terms::default()), None, NOW);
    assert_eq!(settled.await.unwrap().unwrap().charged, PRICE);
    // One account in the list, with all of its sums.
    let accounts = next.accounts(None, 10).await.unwrap();
    let sums = shop.sums(&payer).await;
    assert_eq!(
        accounts.iter().map(|(_, sums)| *sums).collect::<Vec<_>>(),
        [sums]
    );
    assert_eq!(next.accounts(Some(accounts[0].0), 10).await.unwrap(), []);
}

#[tokio::test]
async fn renewed_lease_is_not_released() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    let paid = shop.buy(1, &[payer.opening(10)]).await;
    let renewed = shop.ledger.renew(&paid, NOW + 50).await.unwrap().unwrap();
    assert_eq!(renewed.lease_until(), NOW + 110);
    assert_eq!(
        shop.ledger.sweep(NOW + 109).await.unwrap(),
        Upkeep::default()
    );
    assert_eq!(shop.settle(&renewed, SERVED).await.charged, PRICE);
}

#[tokio::test]
async fn sweep_releases_and_forgets() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    for request in 1..=3 {
        shop.buy(request, &[payer.opening(100 + u128::from(request))])
            .await;
    }
    for request in 11..=13 {
        let paid = shop
            .buy(request, &[payer.opening(100 + u128::from(request))])
            .await;
        let outcome = (SERVED, Terms::default());
        let settled = shop.ledger.settle(&paid, outcome, Some(vec![request]), NOW);
        settled.await.unwrap();
    }
    let done = shop.worker(1).sweep(NOW + 60).await.unwrap();
    assert_eq!(
        done,
        Upkeep {
            released: 3,
            forgotten: 0,
            keys: 0
        }
    );
    let done = shop.worker(1).sweep(NOW + 600).await.unwrap();
    assert_eq!(
        done,
        Upkeep {
            released: 0,
            forgotten: 3,
            keys: 0
        }
    );
    let sums = shop.sums(&payer).await;
    assert_eq!((sums.reserved.get(), sums.charged.get()), (0, 30));
}

#[tokio::test]
async fn prunes_ids_after_the_position() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    for request in 1..=3 {
        let paid = shop
            .buy(request, &[payer.opening(10 * u128::from(request))])
            .await;
        shop.settle(&paid, SERVED).await;
    }
    assert_eq!(
        shop.ledger.prune(payer.id()).await.unwrap(),
        Prune::HasPosition
    );
    assert_eq!(shop.refused(9, &[payer.cheque(30)]).await, Refusal::Used);
    let key = position_key(payer.bank.address(), payer.id(), payee());
    let old = shop.store.get(Table::Positions, &key).unwrap();
    let change = Change {
        table: Table::Positions,
        key: &key,
        old: old.as_deref(),
        new: None,
    };
    let in_progress = shop.buy(4, &[payer.cheque(40)]).await;
    let old = shop.store.get(Table::Positions, &key).unwrap();
    let change = Change {
        old: old.as_deref(),
        ..change
    };
    assert_eq!(shop.store.swap(&[change]).unwrap(), Swap::Done);
    let kept = shop.ledger.prune(payer.id()).await.unwrap();
    assert_eq!(kept, Prune::InProgress);
    shop.settle(&in_progress, SERVED).await;
    assert_eq!(shop.ledger.prune(payer.id()).await.unwrap(), Prune::Done);
    let mut left = Vec::new();
    let visit = &mut |key: &[u8], _: &[u8]| {
        left.push(key[30]);
        std::ops::ControlFlow::Continue(())
    };
    shop.store.scan(Table::App, b"gateway/1/", visit).unwrap();
    assert_eq!(left, [b'a']);
    // The purse is closed by then, so the deposit cannot pay again.
    shop.set_open(payer.id(), false);
    assert_eq!(
        shop.refused(9, &[payer.opening(30)]).await.code(),
        "not_confirmed"
    );
}
