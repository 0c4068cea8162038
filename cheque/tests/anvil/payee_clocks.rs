//! The payee's service while the newest block is off the own clock: it takes no payments, and loses no win.

use crate::fixtures::{Fixture, HOUR, memory, open_deposit, pay, request};
use crate::node::{coins, policy};
use crate::over::{self, unix_now};
use crate::payee_steps::{service, wins};
use cheque::{DepositId, Freshness, store::Memory};
use cheque::{
    bank::{BankError, HeadCheckError},
    payee::{
        HoldingState, PayeeService, PayeeServiceError, PayeeSettings, PendingTx, Purpose,
        ReceiveError,
    },
    payer::Opened,
};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// The age up to which a head counts, in seconds.
const OLDEST_HEAD: u64 = 1;

async fn wait_until(time: u64) {
    while unix_now() < time {
        sleep(Duration::from_millis(50)).await;
    }
}

/// A service with bounds on the clocks, which redeems a win so many seconds before its window closes.
fn strict(fixture: &Fixture, store: Arc<Memory>, deadline_margin: u64) -> PayeeService {
    let world = &fixture.world;
    let mut profile = *world.reader.profile();
    profile.freshness = Some(Freshness {
        max_head_age: OLDEST_HEAD,
        ..Freshness::DEFAULT
    });
    profile.poll = Duration::from_millis(50);
    let reader = world.reader.clone().with_profile(profile);
    let payee = over::payee(world, &reader, &fixture.payees[0], store);
    let mut settings = PayeeSettings::new(payee.policy(), &profile);
    settings.deadline_margin = deadline_margin;
    PayeeService::new(payee, settings)
}

/// Runs a service until it has sent a transaction, and for a second at most. Returns what is pending.
async fn run(service: &PayeeService) -> Vec<PendingTx> {
    let pending = || async { service.payee().pending_txs().await.unwrap() };
    let stop = async {
        for _ in 0..20 {
            sleep(Duration::from_millis(50)).await;
            if !pending().await.is_empty() {
                return;
            }
        }
    };
    service.run(stop).await.unwrap();
    assert!(!service.health().ok, "no step was possible");
    pending().await
}

/// A win whose window is an hour, just after its draw, and the store of its payee. No block is mined by itself then.
async fn won(fixture: &Fixture, draw_in: u64) -> (Opened, Arc<Memory>) {
    let (world, store) = (&fixture.world, memory());
    let service = service(world, &fixture.payees[0], store.clone());
    let draw = world.now().await + draw_in;
    let won = wins(fixture, &service, &[draw], HOUR).await.remove(0);
    world.node.automine(false).await;
    world.mine_at(draw + 1).await;
    (won, store)
}

fn redeems(pending: &[PendingTx], id: DepositId) -> bool {
    matches!(pending, [only] if only.purpose == Purpose::Redeem(vec![id]))
}

/// A chain without traffic makes no block, or the own clock is fast.
#[tokio::test]
async fn redeems_urgent_wins_by_an_old_head() {
    let fixture = over::by_the_clock_without_bounds().await;
    let (world, account, store) = (&fixture.world, &fixture.payees[0], memory());
    let payer = world.payer(&fixture.payer, fixture.store.clone());
    let payer = payer.with_cutoff(3).unwrap();
    let mut policy = policy(&world.reader, account.address);
    policy.cutoff = 1;
    let payee = over::with_policy(world, &world.reader, policy, store.clone());
    let mut request = request(&[account], &fixture.payer, 8);
    request.redeem_window = Some(HOUR);
    let won = open_deposit(world, &payer, &request).await;
    pay(&payer, &payee, won.id, coins(100)).await;
    world.node.automine(false).await;
    let draw = won.deposit.drawTime;
    wait_until(draw + 1).await;
    world.mine_at(draw + 1).await;
    // No other block follows.
    wait_until(draw + 1 + OLDEST_HEAD + 1).await;
    let pending = run(&strict(&fixture, store.clone(), 0)).await;
    assert_eq!(pending, [], "nothing is urgent");
    let pending = run(&strict(&fixture, store, HOUR)).await;
    assert!(redeems(&pending, won.id), "{pending:?}");
}

/// The own clock is slow.
#[tokio::test]
async fn redeems_urgent_wins_by_a_head_of_the_near_future() {
    for (draw_in, is_redeemed) in [(600, true), (2 * HOUR, false)] {
        let fixture = over::by_the_clock(Freshness::DEFAULT).await;
        let (won, store) = won(&fixture, draw_in).await;
        let pending = run(&strict(&fixture, store, HOUR)).await;
        assert_eq!(redeems(&pending, won.id), is_redeemed, "{pending:?}");
        assert_eq!(pending.is_empty(), !is_redeemed);
    }
}

/// A chain without traffic, and a restart. A step by hand acts upon no old head either.
#[tokio::test]
async fn lists_deposits_and_steps_by_no_old_head_after_a_restart() {
    let fixture = over::by_the_clock_without_bounds().await;
    let (world, account, store) = (&fixture.world, &fixture.payees[0], memory());
    let payer = world.payer(&fixture.payer, fixture.store.clone());
    let policy = policy(&world.reader, account.address);
    let payee = over::with_policy(world, &world.reader, policy, store.clone());
    let request = request(&[account], &fixture.payer, HOUR);
    let opened = open_deposit(world, &payer, &request).await;
    pay(&payer, &payee, opened.id, coins(100)).await;
    world.node.automine(false).await;
    let head = world.now().await;
    wait_until(head + OLDEST_HEAD + 2).await;
    let service = strict(&fixture, store, 0);
    let refused = service.step().await.unwrap_err();
    let is_behind = matches!(
        refused,
        PayeeServiceError::View(ReceiveError::Bank(BankError::Head(
            HeadCheckError::Behind { .. }
        )))
    );
    assert!(is_behind, "{refused}");
    let mut changes = service.subscribe_changes();
    assert_eq!(run(&service).await, []);
    let listed = service.status().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].position.deposit_id(), opened.id);
    let receiving = matches!(listed[0].state, HoldingState::Receiving { .. });
    assert!(receiving, "{:?}", listed[0].state);
    assert_eq!(changes.try_recv().unwrap().deposit, opened.id);
    assert!(changes.try_recv().is_err(), "announced again");
}
