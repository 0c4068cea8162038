use super::*;
use crate::ledger::account::{AccountKey, Currency};
use cheque::{
    Amount,
    store::{Memory, Visit, VisitAll},
};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// A store that refuses the next batch.
struct Flaky {
    memory: Memory,
    is_down: Arc<AtomicBool>,
}

impl Store for Flaky {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.memory.get(table, key)
    }

    fn swap(&self, changes: &[Change<'_>]) -> Result<Swap, StoreError> {
        match self.is_down.swap(false, SeqCst) {
            true => Err(StoreError::BadAddress),
            false => self.memory.swap(changes),
        }
    }

    fn begin(&self, changes: &[Change<'_>]) -> Option<Pending> {
        Some(Pending::ready(self.swap(changes)))
    }

    fn scan(&self, table: Table, prefix: &[u8], each: &mut Visit<'_>) -> Result<(), StoreError> {
        self.memory.scan(table, prefix, each)
    }

    fn scan_all(&self, each: &mut VisitAll<'_>) -> Result<(), StoreError> {
        self.memory.scan_all(each)
    }
}

const ACCOUNT: AccountKey = AccountKey {
    signer: Address::ZERO,
    currency: Currency {
        chain_id: 1,
        token: Address::ZERO,
    },
};

fn pipeline() -> (Pipeline, Arc<AtomicBool>) {
    let is_down = Arc::new(AtomicBool::new(false));
    let store = Flaky {
        memory: Memory::new(),
        is_down: is_down.clone(),
    };
    (Pipeline::new(Arc::new(store)), is_down)
}

/// Adds one unit, and returns the balance with it.
fn add(pipeline: &Pipeline) -> (u128, Begun) {
    let decide = |book: &mut Book<'_>| {
        let mut account = book.account(&ACCOUNT)?;
        account.credit(Amount::new(1))?;
        book.set_account(&ACCOUNT, &account);
        Ok(account.balance().get())
    };
    pipeline.decide(Address::ZERO, decide, |_| true).unwrap()
}

fn read(pipeline: &Pipeline) -> (u128, Begun) {
    let decide = |book: &mut Book<'_>| Ok(book.account(&ACCOUNT)?.balance().get());
    pipeline.decide(Address::ZERO, decide, |_| true).unwrap()
}

#[tokio::test]
async fn decision_reads_batches_on_their_way() {
    let (pipeline, _) = pipeline();
    let begun = [add(&pipeline), add(&pipeline), add(&pipeline)];
    assert_eq!([1, 2, 3], [begun[0].0, begun[1].0, begun[2].0]);
    // Ends in any order.
    for (_, begun) in begun.into_iter().rev() {
        assert!(begun.finish().await.unwrap());
    }
    assert!(pipeline.ahead().records.is_empty());
    assert_eq!(read(&pipeline).0, 3);
}

#[tokio::test]
async fn batch_fails_with_the_one_it_builds_upon() {
    let (pipeline, is_down) = pipeline();
    is_down.store(true, SeqCst);
    let (first, second) = (add(&pipeline), add(&pipeline));
    // An answer that only read the second is as uncertain.
    let (balance, reading) = read(&pipeline);
    assert_eq!((second.0, balance), (2, 2));
    assert!(first.1.finish().await.is_err());
    // The next decision finds what the store holds, although two batches that must fail are on their way.
    let (balance, third) = add(&pipeline);
    assert_eq!(balance, 1);
    assert!(!second.1.finish().await.unwrap());
    assert!(!reading.finish().await.unwrap());
    assert!(third.finish().await.unwrap());
    assert!(pipeline.ahead().records.is_empty());
}

#[tokio::test]
async fn batch_of_another_process_is_a_conflict() {
    let (pipeline, _) = pipeline();
    let other = Pipeline::new(pipeline.store.clone());
    let (balance, begun) = read(&pipeline);
    assert!(begun.finish().await.unwrap());
    let decide = |book: &mut Book<'_>| {
        let mut account = book.account(&ACCOUNT)?;
        // The other process is faster.
        let (_, theirs) = add(&other);
        drop(theirs);
        account.credit(Amount::new(5))?;
        book.set_account(&ACCOUNT, &account);
        Ok(())
    };
    let ((), begun) = pipeline.decide(Address::ZERO, decide, |_| true).unwrap();
    assert!(!begun.finish().await.unwrap());
    assert_eq!((balance, read(&pipeline).0), (0, 1));
    assert!(pipeline.ahead().records.is_empty());
}

#[tokio::test]
async fn decision_that_is_not_final_writes_nothing() {
    let (pipeline, is_down) = pipeline();
    let begun = add(&pipeline);
    is_down.store(true, SeqCst);
    let decide = |book: &mut Book<'_>| Ok(book.account(&ACCOUNT)?.balance().get());
    let (balance, looked) = pipeline.decide(Address::ZERO, decide, |_| false).unwrap();
    assert_eq!(balance, 1);
    assert!(looked.finish().await.unwrap());
    assert!(is_down.load(SeqCst), "the store was asked");
    assert!(begun.1.finish().await.unwrap());
}
