//! The payee's service: when it redeems, records seeds, waits, and misses.

use crate::fixtures::{Fixture, HOUR, memory, open_deposit, pay, poll, request};
use crate::node::{World, coins};
use crate::payee_steps::{
    HIGH_GAS_PRICE, redeemed, sends, service, set_gas_price, status, step, waits, wins,
    with_settings,
};
use cheque::DepositId;
use cheque::payee::{HoldingState, MissReason, PayeeService, PayeeSettings, WaitReason};
use cheque::{
    payee::Purpose,
    payer::{Draw, Opened, Payer},
};

async fn pay_all(world: &World, payer: &Payer, services: &[PayeeService], id: DepositId) {
    for service in services {
        let left = payer.allowances_left(id).await.unwrap();
        let account = service.payee().policy().payee;
        pay(payer, service.payee(), id, left[&account]).await;
        let state = step(service, id).await;
        assert!(matches!(state, HoldingState::Receiving { .. }), "{state:?}");
    }
    world.node.mine(1).await;
}

#[tokio::test]
async fn redeems_with_proof_for_winner_of_three_services() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, _) = fixture.actors();
    let services: Vec<_> = fixture
        .payees
        .iter()
        .map(|account| service(world, account, memory()))
        .collect();
    let opened = open_deposit(world, &payer, &fixture.request(HOUR)).await;
    let (id, draw) = (opened.id, opened.deposit.drawTime);
    pay_all(world, &payer, &services, id).await;

    let until = draw - services[0].payee().policy().cutoff;
    world.mine_at(until - 1).await;
    assert_eq!(
        step(&services[0], id).await,
        HoldingState::Receiving { until }
    );
    world.mine_at(until).await;
    let state = step(&services[0], id).await;
    assert_eq!(state, HoldingState::PastCutoff { draw_time: draw });
    world.mine_at(draw - 1).await;
    assert_eq!(step(&services[0], id).await, state);
    // The chain is at the draw time, and the beacon a second behind.
    world.beacon.shift(-1);
    world.node.mine_at(draw).await;
    assert_eq!(
        step(&services[0], id).await,
        HoldingState::Drawn { draw_time: draw }
    );
    world.beacon.shift(0);
    world.beacon.sync().await;
    // The draw is known at once, and the bank pays in the next second.
    let mut early = 0;
    for service in &services {
        if let HoldingState::Won(wait) = step(service, id).await {
            assert_eq!(wait.reason, WaitReason::Chain);
            early += 1;
        }
    }
    assert_eq!(early, 1, "not one service has won");
    world.advance(1).await;
    let mut winners = Vec::new();
    for service in &services {
        match step(service, id).await {
            HoldingState::NotDrawn => {}
            HoldingState::Redeeming { .. } => winners.push(service),
            other => panic!("neither won nor lost: {other:?}"),
        }
    }
    let [winner] = winners[..] else {
        panic!("{} services have won", winners.len());
    };
    let (payout, _) = redeemed(winner, id).await;
    assert_eq!(payout.get(), opened.deposit.amount);
    let account = winner.payee().policy().payee;
    assert_eq!(world.balance(account).await, payout.to_u256());
    assert_eq!(world.reader.recorded_seed(draw).await.unwrap(), None);

    // Another step finds nothing to do.
    assert!(winner.payee().pending_txs().await.unwrap().is_empty());
    let sent = world.node.transactions(account).await;
    let again = winner.step().await.unwrap();
    assert!(again.changes.is_empty(), "{again:?}");
    assert_eq!(world.node.transactions(account).await, sent);
    assert_eq!(sent, 1, "not one transaction in all");
}

#[tokio::test]
async fn waits_for_lower_gas_price_and_records_no_seed() {
    // The proof of a seed is valid for ever, so nothing hurries. The win is redeemed at the lower price.
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let account = &fixture.payees[0];
    let service = service(world, account, memory());
    let draw = world.now().await + HOUR;
    let opened = wins(&fixture, &service, &[draw], 24 * HOUR).await;
    let id = opened[0].id;
    world.mine_at(draw).await;
    set_gas_price(world, HIGH_GAS_PRICE).await;

    let wait = waits(&service, id).await;
    let WaitReason::GasPrice { cost, max_cost } = wait.reason else {
        panic!("{wait:?}");
    };
    assert_eq!(max_cost, coins(10));
    assert!(cost > max_cost && cost < coins(100), "{cost}");
    let margin = 2 * HOUR;
    assert_eq!(wait.until, opened[0].deposit.redeemUntil - margin);
    let reason = status(&service, id).await.reason();
    assert!(reason.contains("the gas price is too high"), "{reason}");
    world.mine_at(wait.until - 2).await;
    set_gas_price(world, HIGH_GAS_PRICE).await;
    assert_eq!(waits(&service, id).await.until, wait.until);
    assert_eq!(world.node.all_transactions(account.address).await, 0);
    assert_eq!(world.reader.recorded_seed(draw).await.unwrap(), None);

    // The payee has kept the round, and needs no relay.
    world.beacon.stop();
    set_gas_price(world, 1).await;
    sends(&service, id).await;
    assert_eq!(redeemed(&service, id).await.0, coins(100));
    assert!(service.payee().pending_txs().await.unwrap().is_empty());
}

#[tokio::test]
async fn redeems_wins_of_one_draw_in_one_transaction() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let account = &fixture.payees[0];
    let service = service(world, account, memory());
    let draw = world.now().await + HOUR;
    let all = wins(&fixture, &service, &[draw; 3], 24 * HOUR).await;
    world.mine_at(draw + 1).await;
    let hash = sends(&service, all[0].id).await;
    for opened in &all {
        let state = status(&service, opened.id).await.state;
        assert_eq!(state, HoldingState::Redeeming { hash });
    }
    for opened in &all {
        assert_eq!(redeemed(&service, opened.id).await.0, coins(100));
    }
    assert_eq!(world.node.transactions(account.address).await, 1);
    assert_eq!(world.balance(account.address).await, coins(300).to_u256());
}

/// Opens more deposits of one draw than a transaction has room for, and pays all of each to the first payee.
pub(crate) async fn crowd(fixture: &Fixture, service: &PayeeService, draw: u64) -> Vec<Opened> {
    const WINS: usize = 33;
    let (payer, _) = fixture.actors();
    let mut request = request(&[&fixture.payees[0]], &fixture.payer, 0);
    request.draw = Draw::At(draw);
    let mut all = Vec::new();
    for _ in 0..WINS {
        all.push(payer.create_deposit(&request).await.unwrap());
    }
    poll(&payer).await;
    service.payee().poll().await.unwrap();
    for opened in &all {
        pay(&payer, service.payee(), opened.id, coins(100)).await;
    }
    all
}

#[tokio::test]
async fn records_shared_seed_before_redeeming_33_wins() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let account = &fixture.payees[0];
    let service = service(world, account, memory());
    let draw = world.now().await + HOUR;
    let all = crowd(&fixture, &service, draw).await;
    let last = all.last().unwrap().id;
    world.mine_at(draw + 1).await;
    world.node.automine(false).await;
    let waiting = waits(&service, last).await;
    assert_eq!(waiting.reason, WaitReason::Seed { draw_time: draw });
    let pending_txs = service.payee().pending_txs().await.unwrap();
    assert_eq!(pending_txs.len(), 1);
    assert_eq!(pending_txs[0].purpose, Purpose::RecordSeed(draw));
    // No second recording is sent while the first is pending.
    assert_eq!(waits(&service, last).await.reason, waiting.reason);
    world.node.mine(1).await;
    let seed = world.reader.recorded_seed(draw).await.unwrap();
    assert_eq!(seed, Some(world.beacon.seed(draw)));
    world.node.automine(true).await;

    service.step().await.unwrap();
    for opened in &all {
        assert_eq!(redeemed(&service, opened.id).await.0, coins(100));
    }
    // The seed, a full batch, and the last win.
    assert_eq!(world.node.transactions(account.address).await, 3);
    assert_eq!(world.balance(account.address).await, coins(3_300).to_u256());
}

#[tokio::test]
async fn bumps_fee_of_seed_while_its_wins_are_worth_it() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let account = &fixture.payees[0];
    let service = service(world, account, memory());
    let draw = world.now().await + HOUR;
    let all = crowd(&fixture, &service, draw).await;
    let id = all[0].id;
    world.mine_at(draw + 1).await;
    world.node.automine(false).await;
    let sent = || async {
        let wait = waits(&service, id).await;
        let pending_txs = service.payee().pending_txs().await.unwrap();
        let [seed] = &pending_txs[..] else {
            panic!("not one transaction: {pending_txs:?}");
        };
        (wait.reason, seed.hash)
    };
    let (because, first) = sent().await;
    assert_eq!(because, WaitReason::Seed { draw_time: draw });

    // The fee is bumped after 24 seconds, but not while gas costs too much for the wins.
    set_gas_price(world, 10 * HIGH_GAS_PRICE).await;
    world.advance(22).await;
    set_gas_price(world, 10 * HIGH_GAS_PRICE).await;
    let (because, same) = sent().await;
    assert!(
        matches!(because, WaitReason::GasPrice { .. }),
        "{because:?}"
    );
    assert_eq!(same, first);
    set_gas_price(world, 20).await;
    let (because, bumped) = sent().await;
    assert_eq!(because, WaitReason::Seed { draw_time: draw });
    assert_ne!(bumped, first);
    world.node.mine(1).await;
    world.node.automine(true).await;

    service.step().await.unwrap();
    for opened in &all {
        assert_eq!(redeemed(&service, opened.id).await.0, coins(100));
    }
    assert_eq!(world.node.transactions(account.address).await, 3);
}

#[tokio::test]
async fn waits_for_next_draw_and_shares_its_transaction() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let account = &fixture.payees[0];
    let company = |settings: &mut PayeeSettings| settings.batch_wait = 50;
    let service = with_settings(world, account, memory(), company);
    let draw = world.now().await + HOUR;
    let all = wins(&fixture, &service, &[draw, draw + 20], 24 * HOUR).await;
    world.mine_at(draw + 1).await;
    let next_draw = draw + 20;
    let wait = waits(&service, all[0].id).await;
    assert_eq!(wait.reason, WaitReason::Batch { next_draw });
    world.mine_at(next_draw + 1).await;
    let hash = sends(&service, all[0].id).await;
    let other = status(&service, all[1].id).await.state;
    assert_eq!(other, HoldingState::Redeeming { hash });
    assert_eq!(redeemed(&service, all[1].id).await.0, coins(100));
    assert_eq!(world.node.transactions(account.address).await, 1);
}

#[tokio::test]
async fn redeems_at_high_price_before_window_closes() {
    // Any price below the win will do, and the service warns of the closing window.
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let margin = |settings: &mut PayeeSettings| settings.deadline_margin = 20;
    let service = with_settings(world, &fixture.payees[0], memory(), margin);
    let draw = world.now().await + HOUR;
    let id = wins(&fixture, &service, &[draw], 100).await[0].id;
    let last = draw + 100;
    world.mine_at(last - 22).await;
    set_gas_price(world, HIGH_GAS_PRICE).await;
    let stepped = service.step().await.unwrap();
    assert!(stepped.closing.is_empty());
    assert_eq!(waits(&service, id).await.until, last - 20);

    set_gas_price(world, HIGH_GAS_PRICE).await;
    let stepped = service.step().await.unwrap();
    assert_eq!(stepped.closing, [id]);
    let status = status(&service, id).await;
    assert_eq!(status.closes_at, Some(last));
    let warning = "its window closes at ";
    assert!(status.reason().contains(warning), "{}", status.reason());
    assert!(matches!(status.state, HoldingState::Redeeming { .. }));
    assert_eq!(redeemed(&service, id).await.0, coins(100));
    assert!(service.step().await.unwrap().closing.is_empty());
}

#[tokio::test]
async fn reports_worthless_win_as_missed() {
    // Redeeming costs more than the win pays, so the service never redeems.
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let account = &fixture.payees[0];
    let store = memory();
    let margin = |settings: &mut PayeeSettings| settings.deadline_margin = 20;
    let service = with_settings(world, account, store.clone(), margin);
    let draw = world.now().await + HOUR;
    let opened = wins(&fixture, &service, &[draw], 100).await.remove(0);
    let (id, last) = (opened.id, draw + 100);
    world.mine_at(last - 10).await;
    set_gas_price(world, 10 * HIGH_GAS_PRICE).await;
    let WaitReason::Worthless { cost, payout } = waits(&service, id).await.reason else {
        panic!("the win is not worthless");
    };
    assert!(cost > payout && payout == coins(100));
    world.mine_at(last).await;
    assert_eq!(step(&service, id).await.name(), "won");
    world.advance(1).await;
    let missed = HoldingState::Missed(MissReason::Window { redeem_until: last });
    assert_eq!(step(&service, id).await, missed);
    assert_eq!(world.node.transactions(account.address).await, 0);

    let (payer, _) = fixture.actors();
    world.node.mine(1).await;
    set_gas_price(world, 1).await;
    let block = payer.reclaim(id).await.unwrap().block;
    assert_eq!(step(&service, id).await, missed);
    // A service that sees the win for the first time finds the reclaim.
    let restarted = with_settings(world, account, store, margin);
    let missed = HoldingState::Missed(MissReason::Reclaimed { block });
    assert_eq!(step(&restarted, id).await, missed);
}
