//! Reorgs of 1 to 12 blocks that drop openings, draws, redemptions and seeds.

use crate::fixtures::{Fixture, memory, not_payable, pay, pay_and_draw, poll, rejection, state};
use crate::node::{Account, Snapshot, World, coins};
use crate::settle::{settle, won};
use alloy_primitives::Address;
use cheque::{ChainProfile, Outcome, Rejection};
use cheque::{
    payee::{Payee, RedeemOptions},
    payer::{DepositState, Opened, Payer, PayerError},
};

const DEPTHS: std::ops::RangeInclusive<u64> = 1..=12;

/// A payer and payees with empty stores, and with this many confirmations.
fn actors(fixture: &Fixture, confirmations: u64) -> (Payer, Vec<Payee>) {
    let reader = fixture.world.reader.clone().with_profile(ChainProfile {
        confirmations,
        ..*fixture.world.reader.profile()
    });
    let payer = Payer::new(reader.clone(), memory())
        .with_wallet(fixture.payer.wallet.clone())
        .with_key(fixture.payer.key.clone());
    let payee = |account: &Account| {
        let policy = crate::node::policy(&reader, account.address);
        Payee::new(reader.clone(), policy, memory()).with_wallet(account.wallet.clone())
    };
    (payer, fixture.payees.iter().map(payee).collect())
}

/// Replaces all blocks since the snapshot by `blocks` empty ones.
async fn reorg(world: &World, snapshot: Snapshot, blocks: u64) {
    world.node.revert(snapshot).await;
    // Another second gives other blocks with other randomness.
    world.node.advance_time(7).await;
    world.node.mine(blocks).await;
}

#[tokio::test]
async fn refuses_payments_of_dropped_opening_until_confirmed() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    for depth in DEPTHS {
        let (payer, payees) = actors(&fixture, depth);
        let account = fixture.payees[0].address;
        let before = world.node.snapshot().await;
        let created = payer.create_deposit(&fixture.request(90)).await.unwrap();
        let id = created.id;
        world.node.mine(depth - 1).await;
        assert_eq!(state(&payer, id).await, DepositState::Active);
        pay(&payer, &payees[0], id, coins(1)).await;

        reorg(world, before, depth + 1).await;
        assert_eq!(state(&payer, id).await, DepositState::Pending);
        let refused = payer.write_cheque(id, account, coins(1)).await.unwrap_err();
        assert!(
            matches!(refused, PayerError::NotActive(of) if of == id),
            "{refused}"
        );
        let after = payer.spent_and_left(id, account).await.unwrap();
        assert_eq!(after.map(|(spent, _)| spent), Some(coins(1)));
        payees[0].poll().await.unwrap();
        let again = payer.last_proof(id, account).await.unwrap().unwrap();
        let refused = rejection(payees[0].receive_payment(None, &again).await);
        assert!(matches!(refused, Rejection::NotConfirmed(_)), "{refused}");

        // The block of the new opening needs the same confirmations.
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
async fn resends_opening_dropped_before_confirmation() {
    // The deposit opens once.
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    for depth in DEPTHS {
        let (payer, _) = actors(&fixture, depth + 1);
        let before = world.node.snapshot().await;
        let created = payer.create_deposit(&fixture.request(90)).await.unwrap();
        world.node.mine(depth - 1).await;
        assert_eq!(state(&payer, created.id).await, DepositState::Pending);
        let sent = world.node.transactions(fixture.payer.address).await;
        reorg(world, before, depth + 1).await;
        assert_eq!(state(&payer, created.id).await, DepositState::Pending);
        payer.open(created.id).await.unwrap();
        assert_eq!(world.node.transactions(fixture.payer.address).await, sent);
        world.node.mine(depth).await;
        assert_eq!(state(&payer, created.id).await, DepositState::Active);
        let twice = payer.open(created.id).await;
        assert!(matches!(twice, Err(PayerError::IsOpen(_))), "{twice:?}");
    }
}

#[tokio::test]
async fn marks_dropped_opening_past_its_lead_never_opened() {
    // The payer's money is unspent.
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    for depth in DEPTHS {
        let (payer, _) = actors(&fixture, depth);
        let before = world.node.snapshot().await;
        let owned = world.balance(fixture.payer.address).await;
        let created = payer.create_deposit(&fixture.request(40)).await.unwrap();
        world.node.mine(depth - 1).await;
        assert_eq!(state(&payer, created.id).await, DepositState::Active);
        reorg(world, before, depth + 1).await;
        assert_eq!(state(&payer, created.id).await, DepositState::Pending);
        let last_chance = created.deposit.drawBlock - world.reader.min_lead();
        world.node.mine_to(last_chance).await;
        assert_eq!(state(&payer, created.id).await, DepositState::NeverOpened);
        let late = payer.open(created.id).await;
        assert!(late.is_err(), "{late:?}");
        world.node.mine_to(created.deposit.drawBlock + depth).await;
        assert_eq!(state(&payer, created.id).await, DepositState::NeverOpened);
        assert_eq!(world.balance(fixture.payer.address).await, owned);
    }
}

/// Pays every payee its whole allowance, and mines to two blocks before the draw.
async fn all_paid(
    fixture: &Fixture,
    payer: &Payer,
    payees: &[Payee],
    confirmations: u64,
) -> Opened {
    let created = payer.create_deposit(&fixture.request(60)).await.unwrap();
    fixture.world.node.mine(confirmations - 1).await;
    poll(payer).await;
    for payee in payees {
        payee.poll().await.unwrap();
        let left = payer.allowances_left(created.id).await.unwrap();
        pay(payer, payee, created.id, left[&payee.policy().payee]).await;
    }
    fixture
        .world
        .node
        .mine_to(created.deposit.drawBlock - 2)
        .await;
    created
}

async fn drawn_winner(payer: &Payer, opened: &Opened) -> Address {
    match state(payer, opened.id).await {
        DepositState::Drawn {
            winner: Some(winner),
        } => winner,
        other => panic!("no winner, although everything was spent: {other:?}"),
    }
}

#[tokio::test]
async fn recomputes_winner_of_replaced_draw_block() {
    // Only the new winner redeems.
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let mut changed = 0;
    // Repeats the largest depth until the winner has changed at least once.
    for depth in DEPTHS.chain(std::iter::repeat(12)) {
        let (payer, payees) = actors(&fixture, depth);
        let opened = all_paid(&fixture, &payer, &payees, depth).await;
        let draw = opened.deposit.drawBlock;
        let before = world.node.snapshot().await;
        world.node.mine_to(draw + depth - 1).await;
        let first = drawn_winner(&payer, &opened).await;

        reorg(world, before, depth + 2).await;
        let winner = drawn_winner(&payer, &opened).await;
        changed += usize::from(winner != first);
        for (payee, account) in payees.iter().zip(&fixture.payees) {
            let (outcome, _) = payee.outcome(opened.id).await.unwrap();
            let wins = outcome == Outcome::Payable;
            assert_eq!(wins, account.address == winner, "{outcome:?}");
            let sent = world.node.transactions(account.address).await;
            let settled = settle(payee).await.unwrap();
            assert_eq!(settled.len(), usize::from(wins));
            let more = world.node.transactions(account.address).await - sent;
            assert_eq!(more, u64::from(wins), "a loser has sent a transaction");
        }
        let DepositState::Redeemed { payee, .. } = state(&payer, opened.id).await else {
            panic!("the win is not redeemed");
        };
        assert_eq!(payee, winner);
        if depth == 12 && changed > 0 {
            break;
        }
    }
}

#[tokio::test]
async fn rechecks_loss_until_draw_block_is_final() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, payees) = actors(&fixture, 1);
    let opened = all_paid(&fixture, &payer, &payees, 1).await;
    let mut before = world.node.snapshot().await;
    world.node.mine(12).await;
    let first = drawn_winner(&payer, &opened).await;
    let winners = async || {
        let mut winners = Vec::new();
        for payee in &payees {
            if !won(payee).await.unwrap().is_empty() {
                winners.push(payee.policy().payee);
            }
        }
        winners
    };
    assert_eq!(winners().await, [first]);
    // Far deeper than the confirmations here, and not final.
    loop {
        reorg(world, before, 0).await;
        before = world.node.snapshot().await;
        world.node.mine(13).await;
        let winner = drawn_winner(&payer, &opened).await;
        assert_eq!(winners().await, [winner]);
        if winner != first {
            break;
        }
    }
    // The draw block becomes final.
    world.node.mine(64).await;
    let winner = drawn_winner(&payer, &opened).await;
    assert_eq!(winners().await, [winner]);
}

#[tokio::test]
async fn computes_winner_by_final_draw_block_when_late() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, payees) = actors(&fixture, 1);
    let opened = all_paid(&fixture, &payer, &payees, 1).await;
    let mut before = world.node.snapshot().await;
    world.node.mine(6).await;
    let first = drawn_winner(&payer, &opened).await;
    loop {
        // Memory and store refer to a dropped block, and the new block is final already.
        reorg(world, before, 0).await;
        before = world.node.snapshot().await;
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
async fn resends_dropped_redemption_and_is_paid_once() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    for depth in DEPTHS {
        let (payer, payees) = actors(&fixture, 1);
        let opened = payer.create_deposit(&fixture.request(60)).await.unwrap();
        poll(&payer).await;
        let (winner, payout) = pay_and_draw(world, &payer, &payees, &opened).await;
        let account = fixture.payees[winner].address;
        let drawn = DepositState::Drawn {
            winner: Some(account),
        };
        let owned = world.balance(account).await;
        let before = world.node.snapshot().await;
        let redeemed = DepositState::Redeemed {
            payee: account,
            payout,
        };
        let settled = settle(&payees[winner]).await.unwrap();
        assert_eq!(settled.len(), 1);
        world.node.mine(depth - 1).await;
        assert_eq!(state(&payer, opened.id).await, redeemed);
        assert!(settle(&payees[winner]).await.unwrap().is_empty());

        reorg(world, before, depth + 1).await;
        assert_eq!(world.balance(account).await, owned);
        assert_eq!(state(&payer, opened.id).await, drawn);
        let settled = settle(&payees[winner]).await.unwrap();
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
async fn records_dropped_seed_again_with_same_value() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    for depth in DEPTHS {
        let (payer, payees) = actors(&fixture, 1);
        let opened = payer.create_deposit(&fixture.request(60)).await.unwrap();
        poll(&payer).await;
        let (winner, payout) = pay_and_draw(world, &payer, &payees, &opened).await;
        let draw = opened.deposit.drawBlock;
        let payee = &payees[winner];
        let before = world.node.snapshot().await;
        payee.record_seed(draw).await.unwrap().unwrap();
        let seed = world.reader.recorded_seed(draw).await.unwrap();
        world.node.mine(depth - 1).await;
        assert!(payee.record_seed(draw).await.unwrap().is_none());

        reorg(world, before, depth + 1).await;
        assert_eq!(world.reader.recorded_seed(draw).await.unwrap(), None);
        assert!(payee.record_seed(draw).await.unwrap().is_some());
        assert_eq!(world.reader.recorded_seed(draw).await.unwrap(), seed);
        let settled = settle(payee).await.unwrap();
        let [(_, Ok(redeemed))] = &settled[..] else {
            panic!("{settled:?}");
        };
        assert_eq!(redeemed.payout, payout);
    }
}
