//! Looks whose caller has gone, and reads of single deposits.

use super::*;
use crate::{
    bank::{fake_bank::FakeBank, stopped_relay::StoppedBeacon},
    protocol::chain_profile::ChainProfile,
    store::{
        Change, Memory, Store, StoreError, Table,
        interface::{Visit, VisitAll},
    },
};
use alloy_primitives::{Address, B256};
use cheque_bindings::Deposit;
use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};
use tokio::{sync::Notify, time::timeout};

/// The longest wait of a test.
const SOON: Duration = Duration::from_secs(20);

/// A store that counts scans of deposits, and holds back the end of a swap if told so.
#[derive(Default)]
struct Watched {
    records: Memory,
    scans: AtomicUsize,
    swapped: Notify,
    hold: Mutex<Option<mpsc::Receiver<()>>>,
}

impl Store for Watched {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.records.get(table, key)
    }

    fn swap(&self, changes: &[Change<'_>]) -> Result<Swap, StoreError> {
        let done = self.records.swap(changes);
        let hold = self.hold.lock().unwrap().take();
        if let Some(release) = hold {
            self.swapped.notify_one();
            release.recv().unwrap();
        }
        done
    }

    fn scan(&self, table: Table, prefix: &[u8], each: &mut Visit<'_>) -> Result<(), StoreError> {
        let is_list = table == Table::Deposits;
        self.scans.fetch_add(usize::from(is_list), Ordering::SeqCst);
        self.records.scan(table, prefix, each)
    }

    fn scan_all(&self, each: &mut VisitAll<'_>) -> Result<(), StoreError> {
        self.records.scan_all(each)
    }
}

/// A payer with two deposits of which its store knows no more than their terms: one is open since block 10, one is not.
async fn payer() -> (Payer, Arc<Watched>, [DepositId; 2]) {
    let (_, payer, store, ids) = payer_and_node().await;
    (payer, store, ids)
}

/// The same, with the node.
async fn payer_and_node() -> (FakeBank, Payer, Arc<Watched>, [DepositId; 2]) {
    let beacon = StoppedBeacon::start().await;
    let node = FakeBank::new(beacon.local.beacon().parameters(), 400, unix_now());
    node.set_finalized(Some(399));
    let profile = ChainProfile {
        freshness: None,
        ..*ChainProfile::of(1).unwrap()
    };
    let (reader, store) = (node.reader(profile).await, Arc::new(Watched::default()));
    let draw = unix_now() + 86_400;
    let ids = [1, 2].map(|lane| {
        let deposit = Deposit {
            payer: Address::repeat_byte(0xaa),
            signer: Address::repeat_byte(0xaa),
            token: Address::ZERO,
            lane,
            amount: 1_000,
            minPayout: 0,
            drawTime: draw,
            redeemUntil: draw + 86_400,
            root: B256::repeat_byte(1),
        };
        let id = reader.bank().deposit_id(&deposit);
        if lane == 1 {
            node.open((deposit.payer, deposit.token, lane), id, 10);
        }
        let record = DepositRecord {
            deposit,
            since: 9,
            created: draw - 86_400,
            open_at: None,
            draw: None,
            state: DepositState::Pending,
            settled: false,
        };
        let key = deposit_key(reader.bank(), id);
        let set = store.compare_and_set(Table::Deposits, &key, None, &record.to_bytes());
        assert_eq!(set.unwrap(), Swap::Done);
        id
    });
    let payer = Payer::new(reader, store.clone());
    (node, payer, store, ids)
}

/// Nothing closes a deposit before its draw: its purse is read once, and again after a reorganisation of confirmed blocks.
#[tokio::test(flavor = "multi_thread")]
async fn reads_the_purse_of_an_open_deposit_once() {
    let (node, payer, _, [open, _]) = payer_and_node().await;
    node.set_finalized(Some(300));
    let purses_read = async || {
        node.asked();
        let _report = payer.poll().await.unwrap();
        node.asked().1
    };
    assert_eq!(purses_read().await, 4, "two deposits, each at two blocks");
    let head = node.head();
    node.add_block(head.time + 12, "first");
    assert_eq!(purses_read().await, 2, "the pending deposit");
    node.reorganise(5, "second");
    assert_eq!(purses_read().await, 2, "no confirmed block was replaced");
    node.reorganise(50, "third");
    assert_eq!(purses_read().await, 4, "confirmed blocks were replaced");
    assert_eq!(purses_read().await, 2);
    let record = payer.deposit(open).await.unwrap();
    assert_eq!(record.state, DepositState::Active);
    let draw = record.deposit.drawTime;
    node.add_block(draw - 1, "third");
    assert_eq!(purses_read().await, 2, "before the draw");
    node.add_block(draw + 200, "third");
    assert_eq!(purses_read().await, 4, "after the draw");
}

/// Payments that find a snapshot of half its age use it, and the next payments find a new one.
#[tokio::test(flavor = "multi_thread")]
async fn looks_again_before_the_snapshot_is_too_old() {
    let (mut payer, ..) = payer().await;
    let max_age = Duration::from_secs(4);
    payer.reader = payer.reader.with_profile(ChainProfile {
        poll: max_age,
        ..*ChainProfile::of(31_337).unwrap()
    });
    let first = payer.fresh_snapshot().await.unwrap();
    tokio::time::sleep(max_age / 2).await;
    let again = payer.fresh_snapshot().await.unwrap();
    assert!(Arc::ptr_eq(&first, &again), "the payment must not wait");
    let renewed = async {
        while payer
            .shared
            .snapshot
            .newest()
            .is_some_and(|newest| Arc::ptr_eq(&first, &newest))
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(max_age, renewed).await.expect("a new look");
    let next = payer.fresh_snapshot().await.unwrap();
    assert!(!Arc::ptr_eq(&first, &next));
}

/// Drops a look between the stored state and its event, as happens to a request whose sender has gone.
async fn assert_tells_all_events(look: impl AsyncFnOnce(&Payer)) {
    let (payer, store, [open, _]) = payer().await;
    let mut events = payer.subscribe_deposit_events();
    let (release, hold) = mpsc::channel();
    *store.hold.lock().unwrap() = Some(hold);
    tokio::select! {
        () = look(&payer) => panic!("the look must wait for the store"),
        () = store.swapped.notified() => {}
    }
    release.send(()).unwrap();
    let event = timeout(SOON, events.recv()).await;
    let event = event.expect("the event must not be lost").unwrap();
    assert_eq!((event.id, event.state), (open, DepositState::Active));
    // The next look finds nothing new.
    assert!(payer.poll().await.unwrap().events.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn tells_events_of_a_poll_that_its_caller_drops() {
    assert_tells_all_events(async |payer| drop(payer.poll().await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tells_events_of_a_payment_that_its_caller_drops() {
    let look = async |payer: &Payer| drop(payer.fresh_snapshot().await);
    assert_tells_all_events(look).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_undrawn_deposits_without_the_others() {
    let (payer, store, [open, pending]) = payer().await;
    let scans = || store.scans.swap(0, Ordering::SeqCst);
    let undrawn = async || -> Vec<_> {
        let found = payer.undrawn_deposits().await.unwrap();
        found
            .into_iter()
            .map(|(id, record)| (id, record.state))
            .collect()
    };
    let before = undrawn().await;
    assert_eq!((before.len(), scans()), (2, 1), "before the first poll");
    let _polled = payer.poll().await.unwrap();
    scans();
    let found: HashMap<_, _> = undrawn().await.into_iter().collect();
    assert_eq!(found.get(&open), Some(&DepositState::Active));
    assert_eq!(found.get(&pending), Some(&DepositState::Pending));
    assert_eq!((found.len(), scans()), (2, 0));

    let record = payer.deposit(open).await.unwrap();
    let drawn = DepositRecord {
        state: DepositState::Drawn { winner: None },
        ..record.clone()
    };
    assert!(payer.store_record(open, &record, &drawn).await.unwrap());
    let left = undrawn().await;
    assert_eq!(left, [(pending, DepositState::Pending)]);
}

#[cfg(feature = "service")]
#[tokio::test(flavor = "multi_thread")]
async fn reports_a_deposit_without_reading_the_others() {
    let (payer, store, ids) = payer().await;
    let service = crate::payer::PayerService::new(payer, None);
    let _polled = service.payer().poll().await.unwrap();
    store.scans.store(0, Ordering::SeqCst);
    let mut alone = Vec::new();
    for id in ids {
        alone.extend(service.deposit_status(id).await.unwrap());
    }
    let unknown = DepositId(B256::repeat_byte(7));
    assert_eq!(service.deposit_status(unknown).await.unwrap(), None);
    assert_eq!(store.scans.load(Ordering::SeqCst), 0);
    alone.sort_by_key(|status| status.id);
    assert_eq!(alone, service.status().await.unwrap());
}
