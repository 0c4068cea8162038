//! First payments: their purse is read from the node, which strangers may keep busy.

use super::*;
use crate::{
    bank::{error::BankError, head::HeadCheckError},
    payee::unknown_deposits::UnknownDeposits,
};
use std::time::Duration;
use tokio::task::JoinHandle;

/// More than the least payout, and less than what is taken before a deposit is settled.
const PAYMENT: u128 = 10_000_000;

/// A fixture whose payee has a snapshot for the whole test.
async fn with_one_snapshot() -> Fixture {
    let mut fixture = Fixture::with(|policy| limit(policy, u128::MAX)).await;
    fixture.profile.poll = Duration::from_secs(3_600);
    fixture.payee = fixture.restarted().await;
    fixture.payee.poll().await.unwrap();
    fixture
}

/// Shows the opening of a deposit, and waits until it waits.
async fn show(fixture: &Fixture, opened: &Opened) -> JoinHandle<&'static str> {
    let (payee, proof) = (fixture.payee.clone(), fixture.opening(opened, PAYMENT));
    let shown = tokio::spawn(async move {
        match payee.receive_payment(None, &proof).await {
            Err(ReceiveError::Busy) => "busy",
            answer => code(answer),
        }
    });
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    shown
}

async fn count(shown: Vec<JoinHandle<&'static str>>, wanted: &str) -> usize {
    let mut count = 0;
    for shown in shown {
        count += usize::from(shown.await.unwrap() == wanted);
    }
    count
}

/// Invented openings by many keys, a few each, more than there are places.
async fn flood(fixture: &Fixture) -> Vec<JoinHandle<&'static str>> {
    let mut shown = Vec::new();
    for lane in 1..=5 {
        for signer in 100..=250 {
            let invented = fixture.terms(signer, lane, fixture.draw);
            shown.push(show(fixture, &invented).await);
        }
    }
    shown
}

#[tokio::test]
async fn accepts_honest_first_payments_during_a_flood() {
    let fixture = with_one_snapshot().await;
    // A payer who has paid before.
    let before = fixture.open(1, 1, fixture.draw);
    assert_eq!(code(fixture.pay(&before, PAYMENT).await), "accepted");
    let freed = fixture.node.hold_calls();
    let mut strangers = flood(&fixture).await;
    let next = show(&fixture, &fixture.open(1, 2, fixture.draw)).await;
    let early = show(&fixture, &fixture.terms(99, 1, fixture.draw)).await;
    strangers.extend(flood(&fixture).await);
    let new = show(&fixture, &fixture.open(2, 1, fixture.draw)).await;
    // The second flood has taken the place of an earlier stranger, and of nobody else.
    assert_eq!(early.await.unwrap(), "busy");
    freed.send_replace(false);
    assert_eq!(next.await.unwrap(), "accepted");
    assert_eq!(new.await.unwrap(), "accepted");
    assert!(count(strangers, "not_confirmed").await >= UnknownDeposits::MAX_WAITING - 1);
}

#[tokio::test]
async fn refuses_many_openings_of_one_signer_at_once() {
    let fixture = with_one_snapshot().await;
    let freed = fixture.node.hold_calls();
    let mut shown = Vec::new();
    for lane in 1..=200 {
        shown.push(show(&fixture, &fixture.open(1, lane, fixture.draw)).await);
    }
    let places = UnknownDeposits::MAX_READERS + UnknownDeposits::MAX_OF_SIGNER;
    let refused: Vec<_> = shown.drain(places..).collect();
    assert_eq!(count(refused, "busy").await, 200 - places);
    freed.send_replace(false);
    assert_eq!(count(shown, "accepted").await, places);
}

#[tokio::test]
async fn reads_purses_of_first_payments_in_batches() {
    let fixture = with_one_snapshot().await;
    let freed = fixture.node.hold_calls();
    fixture.node.asked();
    let mut shown = Vec::new();
    for signer in 1..=200 {
        shown.push(show(&fixture, &fixture.open(signer, 1, fixture.draw)).await);
    }
    freed.send_replace(false);
    assert_eq!(count(shown, "accepted").await, 200);
    let (requests, _) = fixture.node.asked();
    assert!(requests < 60, "{requests} requests for 200 first payments");
}

/// A purse counts only if the block at which it was read is still in the chain of its node.
#[tokio::test]
async fn believes_no_purse_of_a_replaced_block() {
    let fixture = with_one_snapshot().await;
    let opened = fixture.open(1, 1, fixture.draw);
    fixture.node.reorganise(100, "second");
    let refused = fixture.pay(&opened, PAYMENT).await.unwrap_err();
    let is_moved = matches!(
        refused,
        ReceiveError::Bank(BankError::Head(HeadCheckError::Moved { .. }))
    );
    assert!(is_moved, "{refused}");
}
