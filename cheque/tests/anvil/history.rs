//! What the bank makes of the chain's past: hashes at the edges of what it knows, and reorganisations.

use crate::cast::{Cast, not_payable, opened, pay, play, poll, state};
use crate::node::{World, coins};
use alloy_primitives::{Address, Bytes};
use cheque::{Amount, Outcome, Redemption};
use cheque::{
    payee::{Payee, RedeemOptions},
    payer::{DepositState, Opened, Payer},
    tx::Call,
};

/// Pays everybody everything and mines the draw block, which is the head then.
async fn drawn(world: &World, payer: &Payer, payees: &[Payee], opened: &Opened) {
    for payee in payees {
        let left = payer.allowances_left(opened.id).await.unwrap();
        pay(payer, payee, opened.id, left[&payee.policy().payee]).await;
    }
    world.node.mine_to(opened.deposit.drawBlock).await;
}

/// Everybody's redemption, as of now.
async fn redemptions(payees: &[Payee], opened: &Opened) -> Vec<Redemption> {
    let mut all = Vec::new();
    for payee in payees {
        let redemption = payee.redemption(opened.id, Address::ZERO, Bytes::new());
        all.push(redemption.await.unwrap());
    }
    all
}

/// Sends the redemptions one after the other, each by its payee: the blocks of those that were paid.
async fn paid(cast: &Cast, all: &[Redemption]) -> Vec<u64> {
    let mut blocks = Vec::new();
    for (redemption, party) in all.iter().zip(&cast.payees) {
        let packed = redemption.pack().unwrap();
        let call = Call::redeem(cast.world.reader.bank(), packed);
        if let Ok(sent) = party.wallet.send(&call).await {
            blocks.push(sent.block);
        }
    }
    blocks
}

async fn snapshot(world: &World) -> serde_json::Value {
    world.node.anvil("evm_snapshot", ()).await
}

/// Drops all blocks since the snapshot, and what was in them.
async fn drop_since(world: &World, snapshot: serde_json::Value) {
    let dropped = world.node.anvil("evm_revert", [snapshot]).await;
    assert_eq!(dropped, serde_json::Value::Bool(true));
}

#[tokio::test]
async fn a_header_proves_the_seed_1_256_and_257_blocks_after_the_draw() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, payees) = cast.players();
    let opened = opened(world, &payer, &cast.request(60)).await;
    drawn(world, &payer, &payees, &opened).await;
    let draw = opened.deposit.drawBlock;
    let all = redemptions(&payees, &opened).await;
    assert!(all.iter().all(|redemption| !redemption.header.is_empty()));
    let at_the_draw = world.reader.draw_block(draw).await.unwrap().unwrap();
    for distance in [1, 256, 257] {
        let before = snapshot(world).await;
        world.node.mine_to(draw + distance - 1).await;
        let edge = snapshot(world).await;
        let recorded = payees[0].record_seed(draw).await.unwrap().unwrap();
        assert_eq!(recorded.block - draw, distance);
        let seed = world.reader.recorded_seed(draw).await.unwrap();
        assert_eq!(seed, Some(at_the_draw.seed));

        drop_since(world, edge).await;
        assert_eq!(paid(&cast, &all).await, [draw + distance], "one payee wins");
        drop_since(world, before).await;
    }
}

#[tokio::test]
async fn a_redemption_that_a_reorganisation_drops_is_sent_again_and_paid_once() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, payees) = cast.players();
    let opened = opened(world, &payer, &cast.request(60)).await;
    let (winner, payout) = play(world, &payer, &payees, &opened).await;
    let account = payees[winner].policy().payee;
    let before = snapshot(world).await;
    let options = RedeemOptions::default();
    payees[winner].redeem(opened.id, &options).await.unwrap();
    assert_eq!(world.balance(account).await, payout.to_u256());

    drop_since(world, before).await;
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
async fn a_draw_block_that_is_replaced_draws_again_and_the_old_header_is_worth_nothing() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, payees) = cast.players();
    let opened = opened(world, &payer, &cast.request(60)).await;
    let draw = opened.deposit.drawBlock;
    for payee in &payees {
        let left = payer.allowances_left(opened.id).await.unwrap();
        pay(&payer, payee, opened.id, left[&payee.policy().payee]).await;
    }
    // The node takes the randomness of the block that it is about to mine along in a snapshot, and no further.
    world.node.mine_to(draw - 2).await;
    let mut winners = Vec::new();
    let mut seconds = (1_u64..).map(|number| 10 * number);
    // At another time, for a block of the same second as before is the same one.
    let mut draw_again = async || {
        let later = seconds.next().unwrap();
        world.node.anvil("evm_increaseTime", [later]).await;
        world.node.mine_to(draw + 1).await;
    };
    // Until somebody else has won.
    while winners.len() < 2 {
        let before = snapshot(world).await;
        draw_again().await;
        let old = redemptions(&payees, &opened).await;
        poll(&payer).await;
        let DepositState::Drawn {
            winner: Some(winner),
        } = payer.deposit(opened.id).await.unwrap().state
        else {
            panic!("everything was spent, so somebody wins");
        };
        let index = cast.payees.iter().position(|party| party.address == winner);
        let winner = index.unwrap();
        let (outcome, _) = payees[winner].outcome(opened.id).await.unwrap();
        assert_eq!(outcome, Outcome::Payable);
        if !winners.contains(&winner) {
            winners.push(winner);
        }
        assert!(payees[winner].record_seed(draw).await.unwrap().is_some());

        drop_since(world, before).await;
        let before = snapshot(world).await;
        draw_again().await;
        assert_eq!(world.reader.recorded_seed(draw).await.unwrap(), None);
        let now = world.reader.draw_block(draw).await.unwrap().unwrap();
        assert_ne!(now.header, old[0].header);
        assert_eq!(paid(&cast, &old).await, [0_u64; 0], "by the old header");
        drop_since(world, before).await;
    }
    draw_again().await;
    let settled = settled(&payees).await;
    assert_eq!(settled.len(), 1, "exactly one payee wins: {settled:?}");
    assert_eq!(settled[0].get(), opened.deposit.amount);
}

/// What all payees together redeem.
async fn settled(payees: &[Payee]) -> Vec<Amount> {
    let mut all = Vec::new();
    for payee in payees {
        for (_, redeemed) in payee.settle().await.unwrap() {
            all.push(redeemed.unwrap().payout);
        }
    }
    all
}

#[tokio::test]
async fn an_opening_that_a_reorganisation_moves_counts_again_when_it_is_as_deep_as_before() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, payees) = cast.players();
    let before = snapshot(world).await;
    let opened = opened(world, &payer, &cast.request(60)).await;
    pay(&payer, &payees[0], opened.id, coins(5)).await;

    drop_since(world, before).await;
    world.node.mine(2).await;
    assert_eq!(state(&payer, opened.id).await, DepositState::Pending);
    // The same terms, so the same id: what was paid is worth what it was.
    payer.open(opened.id).await.unwrap();
    assert_eq!(state(&payer, opened.id).await, DepositState::Active);
    let (payment, accepted) = pay(&payer, &payees[0], opened.id, coins(1)).await;
    assert_eq!((payment.spent, accepted.total), (coins(6), coins(6)));
}
