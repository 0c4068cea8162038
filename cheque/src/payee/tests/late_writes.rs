//! Payments whose write ends after the draw: they may turn a loss into a win.

use super::{
    steps::{service, step},
    *,
};
use crate::{
    payee::service::{HoldingState, PayeeService, WaitReason},
    protocol::receive::{judge::receive_payment, position::Position},
    store::{Change, StoreError, Visit, VisitAll, keys::position_key},
};
use std::{
    sync::{
        Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// A total that loses the draw, and one that wins it.
const LOSES: u128 = 10_000_000;
const WINS: u128 = 400_000_000;

/// A store whose writes of positions wait while a gate is closed.
struct Slow {
    inner: Arc<Memory>,
    is_closed: Mutex<bool>,
    opened: Condvar,
    is_waiting: AtomicBool,
}

impl Slow {
    fn set_closed(&self, closed: bool) {
        *self.is_closed.lock().unwrap() = closed;
        self.opened.notify_all();
    }

    async fn wait_for_writer(&self) {
        while !self.is_waiting.load(Ordering::Acquire) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Store for Slow {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.get(table, key)
    }

    fn swap(&self, changes: &[Change<'_>]) -> Result<Swap, StoreError> {
        if changes
            .iter()
            .any(|change| change.table == Table::Positions)
        {
            let mut is_closed = self.is_closed.lock().unwrap();
            while *is_closed {
                self.is_waiting.store(true, Ordering::Release);
                is_closed = self.opened.wait(is_closed).unwrap();
            }
        }
        self.inner.swap(changes)
    }

    fn scan(&self, table: Table, prefix: &[u8], each: &mut Visit<'_>) -> Result<(), StoreError> {
        self.inner.scan(table, prefix, each)
    }

    fn scan_all(&self, each: &mut VisitAll<'_>) -> Result<(), StoreError> {
        self.inner.scan_all(each)
    }
}

impl Fixture {
    /// Opens a deposit that pays out as a whole, and wins with a total of [`WINS`] and not of [`LOSES`].
    fn open_between(&self, signer: u8) -> Opened {
        let amount = self.tree.total();
        let proof = self.tree.proof(PAYEE).unwrap();
        let found = (1..)
            .map(|lane| {
                let mut opened = self.terms(signer, lane, self.draw);
                opened.terms.minPayout = opened.terms.amount;
                opened.id = self.bank().deposit_id(&opened.terms);
                opened
            })
            .find(|opened| {
                let start = proof.start(PAYEE, &opened.terms).unwrap();
                let roll = roll(self.seed(self.draw), opened.id, amount);
                let offset = roll.checked_sub(start).map(Amount::get);
                offset.is_some_and(|offset| (LOSES..WINS).contains(&offset))
            })
            .unwrap();
        self.node.open(found.purse(), found.id, 10);
        found
    }
}

#[tokio::test]
async fn wins_by_a_payment_written_after_the_draw() {
    let fixture = Fixture::new().await;
    let store = Arc::new(Slow {
        inner: fixture.store.clone(),
        is_closed: Mutex::new(false),
        opened: Condvar::new(),
        is_waiting: AtomicBool::new(false),
    });
    let reader = fixture.node.reader(fixture.profile).await;
    let payee = Payee::new(reader, fixture.policy.clone(), store.clone()).unwrap();
    let service = service(&fixture, payee);
    let opened = fixture.open_between(1);
    let loses = fixture.opening(&opened, LOSES);
    service.receive_payment(None, &loses).await.unwrap();
    fixture.go_to(fixture.draw - 31);
    service.step().await.unwrap();
    store.set_closed(true);
    let paid = tokio::spawn({
        let (service, wins) = (service.clone(), fixture.opening(&opened, WINS));
        async move { service.receive_payment(None, &wins).await }
    });
    store.wait_for_writer().await;
    fixture.publish(fixture.draw);
    fixture.go_to(fixture.draw + 12);
    // Neither service nor exposure decides by a total that may be outdated.
    let draw_time = fixture.draw;
    assert_eq!(
        step(&service, &opened).await,
        HoldingState::Drawn { draw_time }
    );
    let other = fixture.terms(1, 1_000_000, draw_time);
    let exposure = |service: &PayeeService| {
        let index = service.payee().index();
        index.of_others(other.id, &other.terms, true).exposure
    };
    assert_eq!(exposure(&service), Amount::new(WINS));
    store.set_closed(false);
    paid.await.unwrap().unwrap();
    let HoldingState::Won(waiting) = step(&service, &opened).await else {
        panic!("not won");
    };
    assert_eq!(waiting.reason, WaitReason::NoWallet);
    assert_eq!(exposure(&service), Amount::new(WINS));
}

/// An application stores positions by itself. The payee knows the end of a write by the end of [`Judged`].
#[tokio::test]
async fn wins_by_a_payment_that_an_application_stores_late() {
    let fixture = Fixture::new().await;
    let service = service(&fixture, fixture.payee.clone());
    let opened = fixture.open_between(1);
    let old = fixture.pay(&opened, LOSES).await.unwrap().position;
    fixture.go_to(fixture.draw - 31);
    service.step().await.unwrap();
    let wins = fixture.opening(&opened, WINS);
    let judged = fixture.payee.judge(None, &wins, Some(&old)).await.unwrap();
    let received = receive_payment(
        None,
        &wins,
        Some(&old),
        &judged.view(),
        fixture.payee.policy(),
    );
    let new: Position = received.unwrap().position().clone();
    judged.add_exposure();
    fixture.publish(fixture.draw);
    fixture.go_to(fixture.draw + 12);
    // The draw is not decided by the old total, which loses.
    let undecided = HoldingState::Drawn {
        draw_time: fixture.draw,
    };
    assert_eq!(step(&service, &opened).await, undecided);
    let key = position_key(fixture.bank().address(), opened.id, PAYEE);
    let (old, new) = (old.to_bytes(), new.to_bytes());
    let stored = fixture
        .store
        .compare_and_set(Table::Positions, &key, Some(&old), &new);
    assert_eq!(stored.unwrap(), Swap::Done);
    assert_eq!(step(&service, &opened).await, undecided);
    drop(judged);
    assert!(matches!(
        step(&service, &opened).await,
        HoldingState::Won(_)
    ));
}
