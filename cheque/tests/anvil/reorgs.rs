//! Reorganisations of 1 to 12 blocks that drop or reorder what matters.

use crate::cast::{Cast, memory, not_payable, pay, play, poll, rejection, state};
use crate::node::{Party, World, coins};
use alloy::providers::Provider;
use alloy_primitives::Address;
use cheque::{ChainProfile, Outcome, Rejection};
use cheque::{
    payee::{Payee, RedeemOptions},
    payer::{DepositState, Opened, Payer, PayerError},
};
use serde_json::Value;

const DEPTHS: std::ops::RangeInclusive<u64> = 1..=12;

/// A payer and payees who begin anew, and what has to be how deep for them.
fn players(cast: &Cast, confirmations: u64) -> (Payer, Vec<Payee>) {
    let reader = cast.world.reader.clone().with_profile(ChainProfile {
        confirmations,
        ..*cast.world.reader.profile()
    });
    let payer = Payer::new(reader.clone(), memory())
        .with_wallet(cast.payer.wallet.clone())
        .with_key(cast.payer.key.clone());
    let payee = |party: &Party| {
        let policy = crate::node::policy(&reader, party.address);
        Payee::new(reader.clone(), policy, memory()).with_wallet(party.wallet.clone())
    };
    (payer, cast.payees.iter().map(payee).collect())
}

async fn snapshot(world: &World) -> Value {
    world.node.anvil("evm_snapshot", ()).await
}

/// Replaces all blocks since the snapshot by so many empty ones.
async fn reorganise(world: &World, snapshot: Value, blocks: u64) {
    let dropped = world.node.anvil("evm_revert", [snapshot]).await;
    assert_eq!(dropped, Value::Bool(true));
    // Blocks of another second are others, their randomness included.
    world.node.anvil("evm_increaseTime", [7]).await;
    world.node.mine(blocks).await;
}

async fn transactions(world: &World, party: &Party) -> u64 {
    let count = world.node.provider.get_transaction_count(party.address);
    count.await.unwrap()
}

#[tokio::test]
async fn an_opening_that_is_dropped_is_pending_and_unpaid_until_it_is_as_deep_again() {
    let cast = Cast::new().await;
    let world = &cast.world;
    for depth in DEPTHS {
        let (payer, payees) = players(&cast, depth);
        let account = cast.payees[0].address;
        let before = snapshot(world).await;
        let created = payer.create_deposit(&cast.request(90)).await.unwrap();
        let id = created.id;
        world.node.mine(depth - 1).await;
        assert_eq!(state(&payer, id).await, DepositState::Active);
        pay(&payer, &payees[0], id, coins(1)).await;

        reorganise(world, before, depth + 1).await;
        assert_eq!(state(&payer, id).await, DepositState::Pending);
        let refused = payer.write_cheque(id, account, coins(1)).await.unwrap();
        assert_eq!((refused.proof, refused.spent), (None, coins(1)));
        payees[0].poll().await.unwrap();
        let again = payer.last_proof(id, account).await.unwrap().unwrap();
        let refused = rejection(payees[0].receive_payment(None, &again).await);
        assert!(matches!(refused, Rejection::NotConfirmed(_)), "{refused}");

        // Another block has it now, and has to be as deep.
        payer.open(id).await.unwrap();
        if depth > 1 {
            world.node.mine(depth - 2).await;
            assert_eq!(state(&payer, id).await, DepositState::Pending);
            world.node.mine(1).await;
        }
        assert_eq!(state(&payer, id).await, DepositState::Active);
        payees[0].poll().await.unwrap();
        let (payment, accepted) = pay(&payer, &payees[0], id, coins(1)).await;
        assert_eq!((payment.spent, accepted.total), (coins(2), coins(2)));
    }
}

#[tokio::test]
async fn an_opening_that_is_dropped_before_it_counts_is_sent_again_and_opens_once() {
    let cast = Cast::new().await;
    let world = &cast.world;
    for depth in DEPTHS {
        let (payer, _) = players(&cast, depth + 1);
        let before = snapshot(world).await;
        let created = payer.create_deposit(&cast.request(90)).await.unwrap();
        world.node.mine(depth - 1).await;
        assert_eq!(state(&payer, created.id).await, DepositState::Pending);
        let sent = transactions(world, &cast.payer).await;
        reorganise(world, before, depth + 1).await;
        assert_eq!(state(&payer, created.id).await, DepositState::Pending);
        payer.open(created.id).await.unwrap();
        assert_eq!(transactions(world, &cast.payer).await, sent);
        world.node.mine(depth).await;
        assert_eq!(state(&payer, created.id).await, DepositState::Active);
        let twice = payer.open(created.id).await;
        assert!(matches!(twice, Err(PayerError::IsOpen(_))), "{twice:?}");
    }
}

#[tokio::test]
async fn an_opening_that_is_dropped_and_does_not_come_again_is_lost_with_its_money_unspent() {
    let cast = Cast::new().await;
    let world = &cast.world;
    for depth in DEPTHS {
        let (payer, _) = players(&cast, depth);
        let before = snapshot(world).await;
        let owned = world.balance(cast.payer.address).await;
        let created = payer.create_deposit(&cast.request(40)).await.unwrap();
        world.node.mine(depth - 1).await;
        assert_eq!(state(&payer, created.id).await, DepositState::Active);
        reorganise(world, before, depth + 1).await;
        assert_eq!(state(&payer, created.id).await, DepositState::Pending);
        let last_chance = created.deposit.drawBlock - world.reader.min_lead();
        world.node.mine_to(last_chance).await;
        assert_eq!(state(&payer, created.id).await, DepositState::NeverOpened);
        let late = payer.open(created.id).await;
        assert!(late.is_err(), "{late:?}");
        world.node.mine_to(created.deposit.drawBlock + depth).await;
        assert_eq!(state(&payer, created.id).await, DepositState::NeverOpened);
        assert_eq!(world.balance(cast.payer.address).await, owned);
    }
}

/// Everybody is paid everything, and the draw block is the next but one.
async fn all_paid(cast: &Cast, payer: &Payer, payees: &[Payee], confirmations: u64) -> Opened {
    let created = payer.create_deposit(&cast.request(60)).await.unwrap();
    cast.world.node.mine(confirmations - 1).await;
    poll(payer).await;
    for payee in payees {
        payee.poll().await.unwrap();
        let left = payer.allowances_left(created.id).await.unwrap();
        pay(payer, payee, created.id, left[&payee.policy().payee]).await;
    }
    cast.world.node.mine_to(created.deposit.drawBlock - 2).await;
    created
}

async fn drawn_winner(payer: &Payer, opened: &Opened) -> Address {
    match state(payer, opened.id).await {
        DepositState::Drawn {
            winner: Some(winner),
        } => winner,
        other => panic!("everything was spent, so somebody wins: {other:?}"),
    }
}

#[tokio::test]
async fn a_draw_block_that_is_replaced_has_its_winner_computed_again_and_nobody_else_redeems() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let mut changed = 0;
    // Until somebody else has won at least once.
    for depth in DEPTHS.chain(std::iter::repeat(12)) {
        let (payer, payees) = players(&cast, depth);
        let opened = all_paid(&cast, &payer, &payees, depth).await;
        let draw = opened.deposit.drawBlock;
        let before = snapshot(world).await;
        world.node.mine_to(draw + depth - 1).await;
        let first = drawn_winner(&payer, &opened).await;

        reorganise(world, before, depth + 2).await;
        let winner = drawn_winner(&payer, &opened).await;
        changed += usize::from(winner != first);
        for (payee, party) in payees.iter().zip(&cast.payees) {
            let (outcome, _) = payee.outcome(opened.id).await.unwrap();
            let wins = outcome == Outcome::Payable;
            assert_eq!(wins, party.address == winner, "{outcome:?}");
            let sent = transactions(world, party).await;
            let settled = payee.settle().await.unwrap();
            assert_eq!(settled.len(), usize::from(wins));
            let more = transactions(world, party).await - sent;
            assert_eq!(more, u64::from(wins), "losers send nothing");
        }
        let DepositState::Redeemed { payee, .. } = state(&payer, opened.id).await else {
            panic!("the winner has redeemed");
        };
        assert_eq!(payee, winner);
        if depth == 12 && changed > 0 {
            break;
        }
    }
}

#[tokio::test]
async fn a_loss_is_looked_at_again_until_its_draw_block_is_final() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, payees) = players(&cast, 1);
    let opened = all_paid(&cast, &payer, &payees, 1).await;
    let mut before = snapshot(world).await;
    world.node.mine(12).await;
    let first = drawn_winner(&payer, &opened).await;
    let winners = async || {
        let mut winners = Vec::new();
        for payee in &payees {
            if !payee.won().await.unwrap().is_empty() {
                winners.push(payee.policy().payee);
            }
        }
        winners
    };
    assert_eq!(winners().await, [first]);
    // Far deeper than what counts as confirmed here, and not final.
    loop {
        reorganise(world, before, 0).await;
        before = snapshot(world).await;
        world.node.mine(13).await;
        let winner = drawn_winner(&payer, &opened).await;
        assert_eq!(winners().await, [winner]);
        if winner != first {
            break;
        }
    }
    // Now it is.
    world.node.mine(64).await;
    let winner = drawn_winner(&payer, &opened).await;
    assert_eq!(winners().await, [winner]);
}

#[tokio::test]
async fn a_payer_that_comes_back_late_computes_the_winner_by_the_final_draw_block() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, payees) = players(&cast, 1);
    let opened = all_paid(&cast, &payer, &payees, 1).await;
    let mut before = snapshot(world).await;
    world.node.mine(6).await;
    let first = drawn_winner(&payer, &opened).await;
    loop {
        // What it has kept in memory and in the store is of a block that is gone, and the new one is final already.
        reorganise(world, before, 0).await;
        before = snapshot(world).await;
        world.node.mine(70).await;
        let mut by_bank = Vec::new();
        for payee in &payees {
            if payee.outcome(opened.id).await.unwrap().0 == Outcome::Payable {
                by_bank.push(payee.policy().payee);
            }
        }
        if by_bank != [first] {
            assert_eq!(by_bank, [drawn_winner(&payer, &opened).await]);
            break;
        }
    }
}

#[tokio::test]
async fn a_redemption_that_is_dropped_is_sent_again_and_paid_once() {
    let cast = Cast::new().await;
    let world = &cast.world;
    for depth in DEPTHS {
        let (payer, payees) = players(&cast, 1);
        let opened = payer.create_deposit(&cast.request(60)).await.unwrap();
        poll(&payer).await;
        let (winner, payout) = play(world, &payer, &payees, &opened).await;
        let account = cast.payees[winner].address;
        let drawn = DepositState::Drawn {
            winner: Some(account),
        };
        let owned = world.balance(account).await;
        let before = snapshot(world).await;
        let redeemed = DepositState::Redeemed {
            payee: account,
            payout,
        };
        let settled = payees[winner].settle().await.unwrap();
        assert_eq!(settled.len(), 1);
        world.node.mine(depth - 1).await;
        assert_eq!(state(&payer, opened.id).await, redeemed);
        assert!(payees[winner].settle().await.unwrap().is_empty());

        reorganise(world, before, depth + 1).await;
        assert_eq!(world.balance(account).await, owned);
        assert_eq!(state(&payer, opened.id).await, drawn);
        let settled = payees[winner].settle().await.unwrap();
        let [(_, Ok(again))] = &settled[..] else {
            panic!("{settled:?}");
        };
        assert_eq!(again.payout, payout);
        let twice = payees[winner]
            .redeem(opened.id, &RedeemOptions::default())
            .await;
        assert_eq!(not_payable(twice), Outcome::NotOpen);
        assert_eq!(state(&payer, opened.id).await, redeemed);
        assert_eq!(world.balance(account).await, owned + payout.to_u256());
    }
}

#[tokio::test]
async fn a_recorded_seed_that_is_dropped_is_recorded_again_and_is_the_same() {
    let cast = Cast::new().await;
    let world = &cast.world;
    for depth in DEPTHS {
        let (payer, payees) = players(&cast, 1);
        let opened = payer.create_deposit(&cast.request(60)).await.unwrap();
        poll(&payer).await;
        let (winner, payout) = play(world, &payer, &payees, &opened).await;
        let draw = opened.deposit.drawBlock;
        let payee = &payees[winner];
        let before = snapshot(world).await;
        payee.record_seed(draw).await.unwrap().unwrap();
        let seed = world.reader.recorded_seed(draw).await.unwrap();
        world.node.mine(depth - 1).await;
        assert!(payee.record_seed(draw).await.unwrap().is_none());

        reorganise(world, before, depth + 1).await;
        assert_eq!(world.reader.recorded_seed(draw).await.unwrap(), None);
        assert!(payee.record_seed(draw).await.unwrap().is_some());
        assert_eq!(world.reader.recorded_seed(draw).await.unwrap(), seed);
        let settled = payee.settle().await.unwrap();
        let [(_, Ok(redeemed))] = &settled[..] else {
            panic!("{settled:?}");
        };
        assert_eq!(redeemed.payout, payout);
    }
}
