//! The payee's service after reorgs of openings, draws and redemptions.

use crate::fixtures::{Fixture, memory, open_deposit, pay, state as payers_state};
use crate::node::coins;
use crate::payee_steps::{paid_block, sends, service, step, wins};
use alloy::providers::Provider;
use cheque::HISTORY_WINDOW;
use cheque::payee::{HoldingState, PayeeService, PayeeSettings};
use cheque::payer::DepositState;

/// A service that asks for 3 confirmations.
fn careful(fixture: &Fixture) -> PayeeService {
    let mut profile = *fixture.world.reader.profile();
    profile.confirmations = 3;
    let reader = fixture.world.reader.clone().with_profile(profile);
    let account = &fixture.payees[0];
    let payee = cheque::payee::Payee::new(reader, fixture.world.policy(account), memory())
        .with_wallet(account.wallet.clone());
    let settings = PayeeSettings::new(payee.policy(), &profile);
    PayeeService::new(payee, settings)
}

#[tokio::test]
async fn resends_redemption_dropped_by_reorg() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let service = careful(&fixture);
    let account = &fixture.payees[0];
    let draw = world.head().await + 60;
    let id = wins(&fixture, &service, &[draw], HISTORY_WINDOW).await[0].id;
    world.node.mine_to(draw + 2).await;
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
    let block = paid_block(&service, id).await;
    world.node.mine_to(block + 2).await;
    paid_block(&service, id).await;
    assert!(
        service.payee().pending_txs().await.unwrap().is_empty(),
        "still pending after 3 confirmations"
    );
    assert_eq!(world.node.transactions(account.address).await, 1);
    assert_eq!(
        world.balance(account.address).await,
        coins(100).to_u256(),
        "not paid once"
    );
}

#[tokio::test]
async fn does_not_redeem_win_turned_loss_by_reorg() {
    // A loss that a reorg turns into a win is redeemed.
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, _) = fixture.actors();
    let account = &fixture.payees[0];
    let service = service(world, account, memory());
    let opened = open_deposit(world, &payer, &fixture.request(60)).await;
    let (id, draw) = (opened.id, opened.deposit.drawBlock);
    // A sixth of the deposit.
    pay(&payer, service.payee(), id, coins(100)).await;
    world.node.mine_to(draw - 2).await;
    world.node.automine(false).await;
    let waiting = || async {
        let count = world.node.provider.get_transaction_count(account.address);
        count.pending().await.unwrap()
    };
    let (mut won, mut lost_after_that) = (false, false);
    while !lost_after_that {
        let before = fixture.world.node.snapshot().await;
        world.node.mine_to(draw + 1).await;
        let mut state = step(&service, id).await;
        if let HoldingState::Won(_) = state {
            // Another win, but the pending redemption has the header of the old draw.
            state = step(&service, id).await;
        }
        match state {
            HoldingState::Redeeming { .. } => {
                won = true;
                assert_eq!(waiting().await, 1);
            }
            HoldingState::NotDrawn => {
                lost_after_that = won;
                assert_eq!(waiting().await, 0, "the redemption was sent again");
                assert!(service.payee().pending_txs().await.unwrap().is_empty());
            }
            other => panic!("neither won nor lost: {other:?}"),
        }
        // Another draw, after the nodes have dropped the transaction.
        world.node.drop_transactions().await;
        fixture.world.node.revert(before).await;
    }
    assert_eq!(world.node.transactions(account.address).await, 0);
}

#[tokio::test]
async fn abandons_batch_of_replaced_draw_and_sends_another() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let account = &fixture.payees[0];
    let service = service(world, account, memory());
    let draw = world.head().await + 80;
    let all = wins(&fixture, &service, &[draw; 2], HISTORY_WINDOW).await;
    let id = all[0].id;
    world.node.mine_to(draw - 2).await;
    world.node.automine(false).await;
    let before = fixture.world.node.snapshot().await;
    world.node.mine_to(draw + 1).await;
    let first = sends(&service, id).await;

    world.node.drop_transactions().await;
    fixture.world.node.revert(before).await;
    world.node.mine_to(draw + 1).await;
    // A payee of the whole deposit wins every draw, but only with the header of that draw.
    assert_eq!(step(&service, id).await.name(), "won");
    assert!(service.payee().pending_txs().await.unwrap().is_empty());
    assert_ne!(sends(&service, id).await, first);
    world.node.mine(1).await;
    for opened in &all {
        paid_block(&service, opened.id).await;
    }
    assert_eq!(world.node.transactions(account.address).await, 1);
}

#[tokio::test]
async fn reports_reorged_deposit_unconfirmed_until_reopened() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, _) = fixture.actors();
    let service = service(world, &fixture.payees[0], memory());
    let before = fixture.world.node.snapshot().await;
    let opened = open_deposit(world, &payer, &fixture.request(60)).await;
    pay(&payer, service.payee(), opened.id, coins(5)).await;
    assert_eq!(step(&service, opened.id).await.name(), "receiving");
    fixture.world.node.revert(before).await;
    world.node.mine(2).await;
    assert_eq!(step(&service, opened.id).await, HoldingState::Unconfirmed);
    assert_eq!(payers_state(&payer, opened.id).await, DepositState::Pending);
    payer.open(opened.id).await.unwrap();
    assert_eq!(step(&service, opened.id).await.name(), "receiving");
}
