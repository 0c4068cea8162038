//! Payments in any order, at the same time, at several workers.

use super::*;
use cheque::store::Redb;
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use std::collections::BTreeMap;

/// Shuffles by a generator with a fixed seed.
fn shuffled<T>(mut items: Vec<T>, rng: &mut TestRng) -> Vec<T> {
    for last in (1..items.len()).rev() {
        let other = usize::try_from(rng.next_u64() % (last as u64 + 1)).unwrap();
        items.swap(last, other);
    }
    items
}

/// 64 requests at once in random order, on two workers, with faults of the upstream; then all headers again.
async fn sells_each_answer_once(store: Arc<dyn Store>) {
    let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[5; 32]);
    let shop = Shop::with(store, Currencies::distinct());
    let payer = Payer::native(1);
    let first = shop
        .ledger
        .add(&ask(0, NOW), &paying(&[payer.opening(1)]))
        .await;
    first.unwrap().unwrap();
    let workers = [shop.worker(1), shop.worker(2)];
    let proof = |request: u8| payer.cheque(1 + 10 * u128::from(request));
    let (mut open, mut answers) = (shuffled((1..=64).collect(), &mut rng), BTreeMap::new());
    while !open.is_empty() {
        let mut tasks = Vec::new();
        for request in open.drain(..) {
            let fails = rng.next_u32() % 10 < 3;
            let (ledger, payment) = (
                workers[usize::from(request % 2)].clone(),
                paying(&[proof(request)]),
            );
            tasks.push(tokio::spawn(async move {
                let paid = forwarded(admit(&ledger, &ask(request, NOW), &payment).await);
                let outcome = if fails { Outcome::Failed } else { SERVED };
                let settled = ledger.settle(&paid, (outcome, Terms::default()), None, NOW);
                (request, settled.await.unwrap().unwrap())
            }));
        }
        for task in tasks {
            let (request, receipt) = task.await.unwrap();
            match receipt.released {
                // The same header is valid again.
                true => open.push(request),
                false => assert_eq!(answers.insert(request, receipt.charged), None),
            }
        }
        open = shuffled(open, &mut rng);
    }
    assert_eq!(answers.len(), 64);
    assert!(answers.values().all(|charged| *charged == PRICE));
    for request in 1..=20 {
        assert_eq!(
            shop.refused(request, &[proof(request)]).await,
            Refusal::Used
        );
    }
    let sums = shop.sums(&payer).await;
    assert_eq!((sums.balance.get(), sums.charged.get()), (1, 640));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_payments_buy_one_answer_each_in_memory() {
    sells_each_answer_once(Arc::new(Memory::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parallel_payments_buy_one_answer_each_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = Redb::open(folder.path().join("store")).unwrap();
    sells_each_answer_once(Arc::new(store)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_header_at_many_workers_buys_one_answer() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    let payment = paying(&[payer.opening(1_000)]);
    let tasks: Vec<_> = (0..16)
        .map(|worker| {
            let (ledger, payment) = (shop.worker(worker), payment.clone());
            tokio::spawn(async move { admit(&ledger, &ask(1, NOW), &payment).await })
        })
        .collect();
    let mut forwarded = 0;
    for task in tasks {
        match task.await.unwrap() {
            Admitted::Forward(_) => forwarded += 1,
            Admitted::Refused(refusal) => assert_eq!(refusal.code(), "in_progress"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(forwarded, 1);
    assert_eq!(shop.sums(&payer).await.reserved, PRICE);
}
