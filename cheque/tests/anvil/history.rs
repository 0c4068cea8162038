//! The bank's view of past blocks: hashes at the edge of its window, and reorgs.

use crate::fixtures::{Fixture, not_payable, open_deposit, pay, pay_and_draw, poll, state};
use crate::node::{World, coins};
use crate::settle::settle;
use alloy_primitives::{Address, Bytes};
use cheque::{Amount, Outcome, Redemption};
use cheque::{
    payee::{Payee, RedeemOptions},
    payer::{DepositState, Opened, Payer},
    tx::Call,
};

/// Pays every payee its whole allowance and mines up to the draw block.
async fn drawn(world: &World, payer: &Payer, payees: &[Payee], opened: &Opened) {
    for payee in payees {
        let left = payer.allowances_left(opened.id).await.unwrap();
        pay(payer, payee, opened.id, left[&payee.policy().payee]).await;
    }
    world.node.mine_to(opened.deposit.drawBlock).await;
}

/// The redemptions of all payees at the newest block.
async fn redemptions(payees: &[Payee], opened: &Opened) -> Vec<Redemption> {
    let mut all = Vec::new();
    for payee in payees {
        let redemption = payee.redemption(opened.id, Address::ZERO, Bytes::new());
        all.push(redemption.await.unwrap());
    }
    all
}

/// Sends each redemption from its payee, and returns the blocks of the paid ones.
async fn paid(fixture: &Fixture, all: &[Redemption]) -> Vec<u64> {
    let mut blocks = Vec::new();
    for (redemption, account) in all.iter().zip(&fixture.payees) {
        let packed = redemption.pack().unwrap();
        let call = Call::redeem(fixture.world.reader.bank(), packed);
        if let Ok(sent) = account.wallet.send(&call).await {
            blocks.push(sent.block);
        }
    }
    blocks
}

#[tokio::test]
async fn proves_seed_by_header_1_256_and_257_blocks_after_draw() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, payees) = fixture.actors();
    let opened = open_deposit(world, &payer, &fixture.request(60)).await;
    drawn(world, &payer, &payees, &opened).await;
    let draw = opened.deposit.drawBlock;
    let all = redemptions(&payees, &opened).await;
    assert!(all.iter().all(|redemption| !redemption.header.is_empty()));
    let at_the_draw = world.reader.draw_block(draw).await.unwrap().unwrap();
    for distance in [1, 256, 257] {
        let before = world.node.snapshot().await;
        world.node.mine_to(draw + distance - 1).await;
        let edge = world.node.snapshot().await;
        let recorded = payees[0].record_seed(draw).await.unwrap().unwrap();
        assert_eq!(recorded.block - draw, distance);
        let seed = world.reader.recorded_seed(draw).await.unwrap();
        assert_eq!(seed, Some(at_the_draw.seed));

        world.node.revert(edge).await;
        assert_eq!(
            paid(&fixture, &all).await,
            [draw + distance],
            "not one payee was paid"
        );
        world.node.revert(before).await;
    }
}

#[tokio::test]
async fn resends_reorged_redemption_and_is_paid_once() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, payees) = fixture.actors();
    let opened = open_deposit(world, &payer, &fixture.request(60)).await;
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
async fn refuses_header_of_replaced_draw_block() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, payees) = fixture.actors();
    let opened = open_deposit(world, &payer, &fixture.request(60)).await;
    let draw = opened.deposit.drawBlock;
    for payee in &payees {
        let left = payer.allowances_left(opened.id).await.unwrap();
        pay(&payer, payee, opened.id, left[&payee.policy().payee]).await;
    }
    // A snapshot of anvil includes the randomness of the next block, so the draw block must be at least two blocks
    // ahead.
    world.node.mine_to(draw - 2).await;
    let mut winners = Vec::new();
    let mut seconds = (1_u64..).map(|number| 10 * number);
    // A block of the same second would be the same block.
    let mut draw_again = async || {
        let later = seconds.next().unwrap();
        world.node.advance_time(later).await;
        world.node.mine_to(draw + 1).await;
    };
    // Until two payees have won.
    while winners.len() < 2 {
        let before = world.node.snapshot().await;
        draw_again().await;
        let old = redemptions(&payees, &opened).await;
        poll(&payer).await;
        let DepositState::Drawn {
            winner: Some(winner),
        } = payer.deposit(opened.id).await.unwrap().state
        else {
            panic!("no winner, although everything was spent");
        };
        let index = fixture
            .payees
            .iter()
            .position(|account| account.address == winner);
        let winner = index.unwrap();
        let (outcome, _) = payees[winner].outcome(opened.id).await.unwrap();
        assert_eq!(outcome, Outcome::Payable);
        if !winners.contains(&winner) {
            winners.push(winner);
        }
        assert!(payees[winner].record_seed(draw).await.unwrap().is_some());

        world.node.revert(before).await;
        let before = world.node.snapshot().await;
        draw_again().await;
        assert_eq!(world.reader.recorded_seed(draw).await.unwrap(), None);
        let now = world.reader.draw_block(draw).await.unwrap().unwrap();
        assert_ne!(now.header, old[0].header);
        assert_eq!(
            paid(&fixture, &old).await,
            [0_u64; 0],
            "the old header was accepted"
        );
        world.node.revert(before).await;
    }
    draw_again().await;
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
    let opened = open_deposit(world, &payer, &fixture.request(60)).await;
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
