//! The service's steps: draws, wins, their ends, and the work at each head.

use super::*;
use crate::{
    payee::service::{HoldingState, MissReason, PayeeService, PayeeSettings, WaitReason},
    store::{Change, StoreError, Swap, Visit, VisitAll},
};
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::time::Instant;

const PAYMENT: u128 = 10_000_000;

pub(super) fn service(fixture: &Fixture, payee: Payee) -> PayeeService {
    let settings = PayeeSettings::new(&fixture.policy, &fixture.profile);
    PayeeService::new(payee, settings)
}

/// The state of a deposit after a step.
pub(super) async fn step(service: &PayeeService, opened: &Opened) -> HoldingState {
    service.step().await.unwrap();
    state(service, opened).await
}

pub(super) async fn state(service: &PayeeService, opened: &Opened) -> HoldingState {
    let statuses = service.status().await.unwrap();
    let status = statuses
        .into_iter()
        .find(|status| status.position.deposit_id() == opened.id);
    status.unwrap().state
}

#[tokio::test]
async fn follows_a_deposit_from_payment_to_draw() {
    let fixture = Fixture::new().await;
    let service = service(&fixture, fixture.payee.clone());
    let (draw, until) = (fixture.draw, fixture.draw - 30);
    let lost = fixture.open_for(false, 1, draw);
    let won = fixture.open_for(true, 2, draw);
    service.step().await.unwrap();
    for opened in [&lost, &won] {
        service
            .receive_payment(None, &fixture.opening(opened, PAYMENT))
            .await
            .unwrap();
    }
    let receiving = HoldingState::Receiving { until };
    let past_cutoff = HoldingState::PastCutoff { draw_time: draw };
    let drawn = HoldingState::Drawn { draw_time: draw };
    for (time, expected) in [
        (until - 1, receiving),
        (until, past_cutoff),
        (draw - 1, past_cutoff),
        (draw, drawn),
        (draw + 1, drawn),
    ] {
        fixture.go_to(time);
        assert_eq!(step(&service, &lost).await, expected, "at {time}");
    }
    fixture.publish(draw);
    fixture.go_to(draw + 12);
    assert_eq!(step(&service, &lost).await, HoldingState::NotDrawn);
    let HoldingState::Won(waiting) = state(&service, &won).await else {
        panic!("not won");
    };
    assert_eq!(waiting.reason, WaitReason::NoWallet);
    let redeem_until = won.terms.redeemUntil;
    let missed = HoldingState::Missed(MissReason::Window { redeem_until });
    fixture.go_to(redeem_until);
    assert!(matches!(step(&service, &won).await, HoldingState::Won(_)));
    fixture.go_to(redeem_until + 1);
    assert_eq!(step(&service, &won).await, missed);
    assert_eq!(state(&service, &lost).await, HoldingState::NotDrawn);
}

/// The round of the draw is public before a block is later than the draw time.
#[tokio::test]
async fn waits_for_a_block_after_the_draw_time() {
    let fixture = Fixture::new().await;
    let service = service(&fixture, fixture.payee.clone());
    let won = fixture.open_for(true, 1, fixture.draw);
    fixture.pay(&won, PAYMENT).await.unwrap();
    fixture.publish(fixture.draw);
    for (time, expected) in [(0, WaitReason::Chain), (1, WaitReason::NoWallet)] {
        fixture.go_to(fixture.draw + time);
        let HoldingState::Won(waiting) = step(&service, &won).await else {
            panic!("not won");
        };
        assert_eq!(waiting.reason, expected);
    }
}

#[tokio::test]
async fn misses_a_draw_whose_round_comes_too_late() {
    let fixture = Fixture::new().await;
    let service = service(&fixture, fixture.payee.clone());
    let opened = fixture.open(1, 1, fixture.draw);
    fixture.pay(&opened, PAYMENT).await.unwrap();
    let last = opened.terms.redeemUntil;
    // The final block stays behind.
    fixture.node.add_block(last, "first");
    let draw_time = fixture.draw;
    let drawn = HoldingState::Drawn { draw_time };
    assert_eq!(step(&service, &opened).await, drawn);
    fixture.node.add_block(last + 1, "first");
    let missed = HoldingState::Missed(MissReason::NoSeed { draw_time });
    assert_eq!(step(&service, &opened).await, missed);
    // The round decides as long as the end of the window is not final.
    let wins = fixture.wins(&opened);
    fixture.publish(fixture.draw);
    fixture.node.add_block(last + 13, "first");
    let redeem_until = last;
    let expected = if wins {
        HoldingState::Missed(MissReason::Window { redeem_until })
    } else {
        HoldingState::NotDrawn
    };
    assert_eq!(step(&service, &opened).await, expected);
}

#[tokio::test]
async fn tells_a_redemption_and_looks_again_after_a_deep_reorg() {
    let fixture = Fixture::new().await;
    let service = service(&fixture, fixture.payee.clone());
    let won = fixture.open_for(true, 1, fixture.draw);
    let lost = fixture.open_for(false, 2, fixture.draw);
    for opened in [&won, &lost] {
        fixture.pay(opened, PAYMENT).await.unwrap();
    }
    fixture.publish(fixture.draw);
    fixture.go_to(fixture.draw + 12);
    service.step().await.unwrap();
    fixture.go_to(fixture.draw + 24);
    fixture.node.redeem(won.purse(), PAYEE);
    let block = fixture.node.head().number;
    let payout = Amount::new(77);
    let redeemed = HoldingState::Redeemed { payout, block };
    assert_eq!(step(&service, &won).await, redeemed);
    for after in 1..30 {
        fixture.go_to(fixture.draw + 24 + after * 12);
        assert_eq!(step(&service, &won).await, redeemed);
    }
    // Confirmed and final: the step reads no purse and no event.
    fixture.node.asked();
    fixture.go_to(fixture.draw + 600);
    assert_eq!(step(&service, &won).await, redeemed);
    assert_eq!(fixture.node.asked().1, 0);
    // The chain takes back final blocks, and with them the redemption.
    fixture.node.reorganise(40, "second");
    fixture.node.undo_redemptions();
    fixture.node.set_finalized(Some(BLOCKS - 1));
    assert!(matches!(step(&service, &won).await, HoldingState::Won(_)));
    assert_eq!(state(&service, &lost).await, HoldingState::NotDrawn);
}

/// After a restart, the service does not know until which block a win was open.
#[tokio::test]
async fn finds_the_end_of_a_win_after_a_restart() {
    let fixture = Fixture::new().await;
    let won = fixture.open_for(true, 1, fixture.draw);
    fixture.pay(&won, PAYMENT).await.unwrap();
    fixture.publish(fixture.draw);
    fixture.go_to(fixture.draw + 12);
    fixture.node.redeem(won.purse(), PAYEE);
    let block = fixture.node.head().number;
    fixture.go_to(fixture.draw + 5_000);
    let service = service(&fixture, fixture.restarted().await);
    let payout = Amount::new(77);
    let redeemed = HoldingState::Redeemed { payout, block };
    assert_eq!(step(&service, &won).await, redeemed);
}

#[tokio::test]
async fn forgets_old_deposits_and_rounds() {
    let fixture = Fixture::new().await;
    let mut settings = PayeeSettings::new(&fixture.policy, &fixture.profile);
    settings.retention = 100;
    let service = PayeeService::new(fixture.payee.clone(), settings);
    let lost = fixture.open_for(false, 1, fixture.draw);
    fixture.pay(&lost, PAYMENT).await.unwrap();
    fixture.publish(fixture.draw);
    let last = lost.terms.redeemUntil;
    for (time, kept) in [(last, 1), (last + 100, 1), (last + 101, 0)] {
        fixture.go_to(time);
        service.step().await.unwrap();
        let left = service.status().await.unwrap().len();
        assert_eq!(left, kept, "at {time}");
    }
    // The round is kept longer, for a payer with the same store.
    assert!(
        service
            .payee()
            .seeds()
            .round(fixture.draw)
            .await
            .unwrap()
            .is_some()
    );
    fixture.go_to(last + 8 * 86_400);
    service.step().await.unwrap();
    let key = seed_key(fixture.beacon.beacon(), fixture.draw);
    assert_eq!(fixture.store.get(Table::Seeds, &key).unwrap(), None);
}

/// A store that counts the positions that it reads one by one, and the scans.
#[derive(Default)]
struct Counting {
    inner: Memory,
    read: AtomicU32,
    scans: AtomicU32,
}

impl Store for Counting {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let counted = u32::from(table == Table::Positions);
        self.read.fetch_add(counted, Ordering::Relaxed);
        self.inner.get(table, key)
    }

    fn swap(&self, changes: &[Change<'_>]) -> Result<Swap, StoreError> {
        self.inner.swap(changes)
    }

    fn scan(&self, table: Table, prefix: &[u8], each: &mut Visit<'_>) -> Result<(), StoreError> {
        let counted = u32::from(table == Table::Positions);
        self.scans.fetch_add(counted, Ordering::Relaxed);
        self.inner.scan(table, prefix, each)
    }

    fn scan_all(&self, each: &mut VisitAll<'_>) -> Result<(), StoreError> {
        self.inner.scan_all(each)
    }
}

#[tokio::test]
async fn a_step_costs_the_same_with_many_open_and_closed_deposits() {
    const DEPOSITS: u64 = 2_000;
    let mut fixture = Fixture::with(|policy| limit(policy, u128::MAX)).await;
    let store = Arc::new(Counting::default());
    let reader = fixture.node.reader(fixture.profile).await;
    let payee = Payee::new(reader, fixture.policy.clone(), store.clone()).unwrap();
    fixture.payee = payee;
    let service = service(&fixture, fixture.payee.clone());
    // Closed deposits lose an early draw, open ones have a late one.
    let late = fixture.draw + 86_400;
    for lane in 1..=DEPOSITS {
        for draw in [fixture.draw, late] {
            let opened = fixture.terms(1, lane * 2 + u64::from(draw == late), draw);
            if draw == late || !fixture.wins(&opened) {
                fixture.node.open(opened.purse(), opened.id, 10);
                fixture.pay(&opened, PAYMENT).await.unwrap();
            }
        }
    }
    let beacon = fixture.beacon.beacon();
    let signature = fixture
        .beacon
        .sign(beacon.round_at(fixture.draw).unwrap())
        .into();
    let (key, row) = (
        seed_key(beacon, fixture.draw),
        encode(&SeedRow { signature }),
    );
    let set = store.compare_and_set(Table::Seeds, &key, None, &row);
    assert_eq!(set.unwrap(), Swap::Done);
    fixture.go_to(fixture.draw + 12);
    service.step().await.unwrap();
    let statuses = service.status().await.unwrap();
    let lost = statuses
        .iter()
        .filter(|status| status.state == HoldingState::NotDrawn);
    let (lost, all) = (lost.count(), statuses.len());
    assert!(
        lost > 100 && all - lost == DEPOSITS as usize,
        "{lost} of {all}"
    );

    let begun = Instant::now();
    for counter in [&store.read, &store.scans] {
        counter.store(0, Ordering::Relaxed);
    }
    for number in 2..=6 {
        fixture.go_to(fixture.draw + 12 * number);
        fixture.node.asked();
        let report = service.step().await.unwrap();
        assert!(report.changes.is_empty());
        let (requests, purses) = fixture.node.asked();
        assert_eq!(purses, 0, "a purse was read");
        assert!(requests <= 8, "{requests} requests");
    }
    assert_eq!(store.read.load(Ordering::Relaxed), 0, "a position was read");
    // Deposits of other processes are looked for, a thousand keys a second at most.
    let allowed = begun.elapsed().as_millis() / u128::from(DEPOSITS) + 1;
    assert!(u128::from(store.scans.load(Ordering::Relaxed)) <= allowed);
}
