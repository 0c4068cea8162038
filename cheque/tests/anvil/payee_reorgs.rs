//! The payee's service after reorgs of openings, draws and redemptions.

use crate::fixtures::{Fixture, HOUR, memory, open_deposit, pay, state as payers_state};
use crate::node::{coins, draw::lost_by};
use crate::over;
use crate::payee_steps::{paid_block, sends, service, status, step, wins};
use alloy_primitives::U256;
use cheque::payee::{HoldingState, PayeeService, PayeeSettings};
use cheque::payer::DepositState;

/// A service for which what is 3 seconds old is confirmed.
fn careful(fixture: &Fixture) -> PayeeService {
    let mut profile = *fixture.world.reader.profile();
    profile.confirm = 3;
    let reader = fixture.world.reader.clone().with_profile(profile);
    let account = &fixture.payees[0];
    let payee = over::payee(&fixture.world, &reader, account, memory());
    let settings = PayeeSettings::new(payee.policy(), &profile);
    PayeeService::new(payee, settings)
}

#[tokio::test]
async fn resends_redemption_dropped_by_reorg() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let service = careful(&fixture);
    let account = &fixture.payees[0];
    let draw = world.now().await + HOUR;
    let id = wins(&fixture, &service, &[draw], 24 * HOUR).await[0].id;
    world.mine_at(draw + 2).await;
    let before = fixture.world.node.snapshot().await;
    let hash = sends(&service, id).await;
    paid_block(&service, id).await;
    assert_eq!(service.payee().pending_txs().await.unwrap().len(), 1);

    fixture.world.node.revert(before).await;
    world.node.mine(1).await;
    assert_eq!(
        sends(&service, id).await,
        hash,
        "another transaction was sent"
    );
    paid_block(&service, id).await;
    for pending in [1, 0] {
        // The redemption is 2 seconds old, then 3.
        world.node.mine(1 + pending).await;
        paid_block(&service, id).await;
        let left = service.payee().pending_txs().await.unwrap();
        assert_eq!(left.len() as u64, pending, "3 seconds confirm");
    }
    assert_eq!(world.node.transactions(account.address).await, 1);
    assert_eq!(
        world.balance(account.address).await,
        coins(100).to_u256(),
        "not paid once"
    );
}

#[tokio::test]
async fn keeps_results_of_draws_when_their_blocks_are_replaced() {
    // The beacon draws, not the chain: the same batch is sent again, and a loss stays a loss.
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, _) = fixture.actors();
    let account = &fixture.payees[0];
    let service = service(world, account, memory());
    let losing = fixture.request(HOUR);
    let losing = lost_by(
        &world.beacon,
        &payer,
        &losing,
        (account.address, coins(100)),
    )
    .await;
    let lost = open_deposit(world, &payer, &losing).await;
    pay(&payer, service.payee(), lost.id, coins(100)).await;
    let draw = lost.deposit.drawTime;
    let all = wins(&fixture, &service, &[draw; 2], 24 * HOUR).await;
    let id = all[0].id;
    world.mine_at(draw - 2).await;
    world.node.automine(false).await;
    let before = world.node.snapshot().await;
    world.mine_at(draw + 1).await;
    let batch = sends(&service, id).await;
    let state = status(&service, lost.id).await.state;
    assert_eq!(state, HoldingState::NotDrawn);

    world.node.drop_transactions().await;
    world.node.revert(before).await;
    for time in [draw - 1, draw, draw + 7] {
        // Before the draw the bank pays nothing, so nothing is sent again, and nothing forgotten.
        world.node.mine_at(time).await;
        assert_eq!(sends(&service, id).await, batch);
        let sent = world.node.all_transactions(account.address).await;
        assert_eq!(sent, u64::from(time > draw));
        assert_eq!(service.payee().pending_txs().await.unwrap().len(), 1);
        let state = status(&service, lost.id).await.state;
        assert_eq!(state, HoldingState::NotDrawn);
    }
    world.node.mine(1).await;
    for opened in &all {
        paid_block(&service, opened.id).await;
    }
    assert_eq!(world.node.transactions(account.address).await, 1);
    assert_eq!(world.balance(account.address).await, coins(200).to_u256());
}

#[tokio::test]
async fn reports_reorged_deposit_unconfirmed_until_reopened() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, _) = fixture.actors();
    let service = service(world, &fixture.payees[0], memory());
    let before = fixture.world.node.snapshot().await;
    let opened = open_deposit(world, &payer, &fixture.request(HOUR)).await;
    pay(&payer, service.payee(), opened.id, coins(5)).await;
    assert_eq!(step(&service, opened.id).await.name(), "receiving");
    fixture.world.node.revert(before).await;
    world.node.mine(2).await;
    assert_eq!(step(&service, opened.id).await, HoldingState::Unconfirmed);
    assert_eq!(payers_state(&payer, opened.id).await, DepositState::Pending);
    payer.open(opened.id).await.unwrap();
    assert_eq!(step(&service, opened.id).await.name(), "receiving");
}

#[tokio::test]
async fn redeems_again_after_reorg_of_final_block() {
    // The redemption was final, and the service had stopped looking at it.
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let account = &fixture.payees[0];
    let reader = over::final_after_64_seconds(world);
    let mut policy = world.policy(account);
    policy.max_unsettled_costs = u32::MAX;
    let settings = PayeeSettings::new(&policy, reader.profile());
    let payee = over::with_policy(world, &reader, policy, memory());
    let service = PayeeService::new(payee.with_wallet(account.wallet.clone()), settings);
    let draw = world.now().await + HOUR;
    let id = wins(&fixture, &service, &[draw], 24 * HOUR).await[0].id;
    world.mine_at(draw + 1).await;
    let before = world.node.snapshot().await;
    sends(&service, id).await;
    paid_block(&service, id).await;
    world.node.mine(80).await;
    for _ in 0..2 {
        assert_eq!(step(&service, id).await.name(), "redeemed");
    }
    assert!(service.payee().pending_txs().await.unwrap().is_empty());

    world.node.revert(before).await;
    assert_eq!(world.balance(account.address).await, U256::ZERO);
    world.node.advance(30).await;
    world.node.mine(100).await;
    sends(&service, id).await;
    paid_block(&service, id).await;
    assert_eq!(world.node.transactions(account.address).await, 1);
    assert_eq!(world.balance(account.address).await, coins(100).to_u256());
}
