//! Draws of the past, and reorganisations.

use crate::fixtures::{Fixture, HOUR, not_payable, open_deposit, pay, pay_and_draw, poll, state};
use crate::node::coins;
use crate::settle::settle;
use alloy_primitives::{Address, Bytes};
use cheque::{Amount, Outcome};
use cheque::{
    payee::{Payee, RedeemOptions},
    payer::{DepositState, Opened, Payer},
    tx::Call,
};
use std::collections::BTreeSet;

/// Pays every payee its whole allowance.
async fn pay_all(payer: &Payer, payees: &[Payee], opened: &Opened) {
    for payee in payees {
        let left = payer.allowances_left(opened.id).await.unwrap();
        pay(payer, payee, opened.id, left[&payee.policy().payee]).await;
    }
}

/// The packed redemptions of all payees.
async fn redemptions(payees: &[Payee], opened: &Opened) -> Vec<Bytes> {
    let mut all = Vec::new();
    for payee in payees {
        let redemption = payee.redemption(opened.id, Address::ZERO, Bytes::new());
        all.push(redemption.await.unwrap().pack().unwrap());
    }
    all
}

/// Sends each redemption from its payee with the proof of a draw, and returns the blocks of the paid ones.
async fn paid(fixture: &Fixture, all: &[Bytes], draw_time: u64) -> Vec<u64> {
    let round = fixture.world.beacon.round(draw_time);
    let mut blocks = Vec::new();
    for (packed, account) in all.iter().zip(&fixture.payees) {
        let call = Call::redeem(fixture.world.reader.bank(), packed.clone(), Some(&round));
        if let Ok(sent) = account.wallet.send(&call).await {
            blocks.push(sent.block);
        }
    }
    blocks
}

#[tokio::test]
async fn proves_seed_a_second_and_a_day_after_draw() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, payees) = fixture.actors();
    let opened = open_deposit(world, &payer, &fixture.request(HOUR)).await;
    pay_all(&payer, &payees, &opened).await;
    let draw = opened.deposit.drawTime;
    let all = redemptions(&payees, &opened).await;
    for distance in [1, 300, 23 * HOUR] {
        let before = world.node.snapshot().await;
        world.mine_at(draw + distance - 1).await;
        let edge = world.node.snapshot().await;
        payees[0].record_seed(draw).await.unwrap().unwrap();
        assert_eq!(world.now().await - draw, distance);
        let seed = world.reader.recorded_seed(draw).await.unwrap();
        assert_eq!(seed, Some(world.beacon.seed(draw)));

        world.node.revert(edge).await;
        let blocks = paid(&fixture, &all, draw).await;
        assert_eq!(blocks.len(), 1, "not one payee was paid");
        world.node.revert(before).await;
    }
}

#[tokio::test]
async fn resends_reorged_redemption_and_is_paid_once() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, payees) = fixture.actors();
    let opened = open_deposit(world, &payer, &fixture.request(HOUR)).await;
    let (winner, payout) = pay_and_draw(world, &payer, &payees, &opened).await;
    let account = payees[winner].policy().payee;
    let before = world.node.snapshot().await;
    let options = RedeemOptions::default();
    payees[winner].redeem(opened.id, &options).await.unwrap();
    assert_eq!(world.balance(account).await, payout.to_u256());

    world.node.revert(before).await;
    world.node.mine(2).await;
    assert_eq!(world.balance(account).await, Amount::ZERO.to_u256());
    let again = payees[winner].redeem(opened.id, &options).await.unwrap();
    assert_eq!(again.payout, payout);
    let once_more = payees[winner].redeem(opened.id, &options).await;
    assert_eq!(not_payable(once_more), Outcome::NotOpen);
    assert_eq!(world.balance(account).await, payout.to_u256());
    assert_eq!(
        state(&payer, opened.id).await,
        DepositState::Redeemed {
            payee: account,
            payout
        }
    );
}

#[tokio::test]
async fn draws_same_winner_whatever_the_blocks() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, payees) = fixture.actors();
    let opened = open_deposit(world, &payer, &fixture.request(HOUR)).await;
    let draw = opened.deposit.drawTime;
    pay_all(&payer, &payees, &opened).await;
    world.mine_at(draw - 2).await;
    let mut winners = BTreeSet::new();
    for time in [draw + 1, draw + 2, draw + 50] {
        let before = world.node.snapshot().await;
        world.mine_at(time).await;
        poll(&payer).await;
        let DepositState::Drawn {
            winner: Some(winner),
        } = payer.deposit(opened.id).await.unwrap().state
        else {
            panic!("no winner, although everything was spent");
        };
        winners.insert(winner);
        let index = fixture.payees.iter().position(|of| of.address == winner);
        let (outcome, _) = payees[index.unwrap()].outcome(opened.id).await.unwrap();
        assert_eq!(outcome, Outcome::Payable);
        world.node.revert(before).await;
    }
    assert_eq!(winners.len(), 1, "{winners:?}");
    world.mine_at(draw + 51).await;
    let settled = settled(&payees).await;
    assert_eq!(settled.len(), 1, "not exactly one winner: {settled:?}");
    assert_eq!(settled[0].get(), opened.deposit.amount);
}

/// Redeems for all payees and returns the payouts.
async fn settled(payees: &[Payee]) -> Vec<Amount> {
    let mut all = Vec::new();
    for payee in payees {
        for (_, redeemed) in settle(payee).await.unwrap() {
            all.push(redeemed.unwrap().payout);
        }
    }
    all
}

#[tokio::test]
async fn counts_reorged_opening_again_once_confirmed() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, payees) = fixture.actors();
    let before = world.node.snapshot().await;
    let opened = open_deposit(world, &payer, &fixture.request(HOUR)).await;
    pay(&payer, &payees[0], opened.id, coins(5)).await;

    world.node.revert(before).await;
    world.node.mine(2).await;
    assert_eq!(state(&payer, opened.id).await, DepositState::Pending);
    // The same terms give the same id, so earlier cheques keep their value.
    payer.open(opened.id).await.unwrap();
    assert_eq!(state(&payer, opened.id).await, DepositState::Active);
    let (payment, accepted) = pay(&payer, &payees[0], opened.id, coins(1)).await;
    assert_eq!((payment.spent, accepted.total), (coins(6), coins(6)));
}
