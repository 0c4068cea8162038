//! Reorganisations of 1 to 12 blocks, of a second each, that drop openings, redemptions and seeds.

use crate::fixtures::{
    Fixture, HOUR, memory, not_payable, pay, pay_and_draw, poll, rejection, state,
};
use crate::node::{Account, Snapshot, World, coins};
use crate::settle::{settle, won};
use alloy_primitives::Address;
use cheque::{Amount, ChainProfile, Outcome, Rejection};
use cheque::{
    payee::{Payee, RedeemOptions},
    payer::{DepositState, Opened, Payer, PayerError},
};

const DEPTHS: std::ops::RangeInclusive<u64> = 1..=12;

/// A payer and payees with empty stores. Confirmed is what is `confirm` seconds old, or one more, since a poll may miss
/// blocks. The node tells what is final: all but 64 blocks.
fn actors(fixture: &Fixture, confirm: u64) -> (Payer, Vec<Payee>) {
    let beacon = &fixture.world.beacon.client;
    let reader = fixture.world.reader.clone().with_profile(ChainProfile {
        confirm,
        finality: 64,
        ..*fixture.world.reader.profile()
    });
    let payer = Payer::new(reader.clone(), memory())
        .with_beacon(beacon.clone())
        .unwrap()
        .with_wallet(fixture.payer.wallet.clone())
        .with_key(fixture.payer.key.clone());
    let payee = |account: &Account| {
        let mut policy = crate::node::policy(&reader, account.address);
        // These payees trust openings before they are final.
        policy.max_unsettled_costs = u32::MAX;
        let payee = Payee::new(reader.clone(), policy, memory()).unwrap();
        let payee = payee.with_beacon(beacon.clone()).unwrap();
        payee.with_wallet(account.wallet.clone())
    };
    (payer, fixture.payees.iter().map(payee).collect())
}

/// Replaces all blocks since the snapshot by `blocks` empty ones.
async fn reorg(world: &World, snapshot: Snapshot, blocks: u64) {
    world.node.revert(snapshot).await;
    // Another second gives other blocks.
    world.node.advance(7).await;
    world.node.mine(blocks - 1).await;
}

#[tokio::test]
async fn refuses_payments_of_dropped_opening_until_confirmed() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    for depth in DEPTHS {
        let (payer, payees) = actors(&fixture, depth.saturating_sub(2));
        let account = fixture.payees[0].address;
        let before = world.node.snapshot().await;
        let created = payer.create_deposit(&fixture.request(HOUR)).await.unwrap();
        let id = created.id;
        world.node.mine(depth - 1).await;
        assert_eq!(state(&payer, id).await, DepositState::Active);
        pay(&payer, &payees[0], id, coins(1)).await;
        let on_its_way = payer.write_cheque(id, account, coins(1)).await.unwrap();

        reorg(world, before, depth + 1).await;
        assert_eq!(state(&payer, id).await, DepositState::Pending);
        let refused = payer.write_cheque(id, account, coins(1)).await.unwrap_err();
        assert!(
            matches!(refused, PayerError::NotActive(of) if of == id),
            "{refused}"
        );
        let after = payer.spent_and_left(id, account).await.unwrap();
        assert_eq!(after.map(|(spent, _)| spent), Some(coins(2)));
        payees[0].poll().await.unwrap();
        let late = payees[0].receive_payment(None, &on_its_way.proof).await;
        let refused = rejection(late);
        assert!(matches!(refused, Rejection::NotConfirmed(_)), "{refused}");

        // The block of the new opening needs the same age.
        payer.open(id).await.unwrap();
        if depth > 2 {
            world.node.mine(depth - 3).await;
            assert_eq!(state(&payer, id).await, DepositState::Pending);
            world.node.mine(2).await;
        }
        assert_eq!(state(&payer, id).await, DepositState::Active);
        payees[0].poll().await.unwrap();
        let (payment, accepted) = pay(&payer, &payees[0], id, coins(1)).await;
        assert_eq!((payment.spent, accepted.total), (coins(3), coins(3)));
    }
}

#[tokio::test]
async fn resends_opening_dropped_before_confirmation() {
    // The deposit opens once.
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    for depth in DEPTHS {
        let (payer, _) = actors(&fixture, depth);
        let before = world.node.snapshot().await;
        let created = payer.create_deposit(&fixture.request(HOUR)).await.unwrap();
        world.node.mine(depth - 1).await;
        assert_eq!(state(&payer, created.id).await, DepositState::Pending);
        let sent = world.node.transactions(fixture.payer.address).await;
        reorg(world, before, depth + 1).await;
        assert_eq!(state(&payer, created.id).await, DepositState::Pending);
        payer.open(created.id).await.unwrap();
        assert_eq!(world.node.transactions(fixture.payer.address).await, sent);
        world.node.mine(depth + 1).await;
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
        let (payer, _) = actors(&fixture, depth.saturating_sub(2));
        let before = world.node.snapshot().await;
        let owned = world.balance(fixture.payer.address).await;
        let created = payer.create_deposit(&fixture.request(60)).await.unwrap();
        world.node.mine(depth - 1).await;
        assert_eq!(state(&payer, created.id).await, DepositState::Active);
        reorg(world, before, depth + 1).await;
        assert_eq!(state(&payer, created.id).await, DepositState::Pending);
        let last_chance = created.deposit.drawTime - world.reader.min_lead();
        world.mine_at(last_chance).await;
        assert_eq!(state(&payer, created.id).await, DepositState::Pending);
        world.mine_at(last_chance + 1).await;
        assert_eq!(state(&payer, created.id).await, DepositState::NeverOpened);
        let late = payer.open(created.id).await;
        assert!(late.is_err(), "{late:?}");
        world.mine_at(created.deposit.drawTime + depth).await;
        assert_eq!(state(&payer, created.id).await, DepositState::NeverOpened);
        assert_eq!(world.balance(fixture.payer.address).await, owned);
    }
}

/// Pays every payee its whole allowance, once the opening is so many blocks deep, and mines to two seconds before the
/// draw.
async fn all_paid(fixture: &Fixture, payer: &Payer, payees: &[Payee], depth: u64) -> Opened {
    let created = payer.create_deposit(&fixture.request(HOUR)).await.unwrap();
    fixture.world.node.mine(depth - 1).await;
    poll(payer).await;
    for payee in payees {
        payee.poll().await.unwrap();
        let left = payer.allowances_left(created.id).await.unwrap();
        pay(payer, payee, created.id, left[&payee.policy().payee]).await;
    }
    fixture.world.mine_at(created.deposit.drawTime - 2).await;
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
async fn keeps_winner_when_blocks_after_the_draw_are_replaced() {
    // Only the winner sends a transaction, and the payer writes no cheque on a chain that is back before the draw.
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    for depth in DEPTHS {
        let (payer, payees) = actors(&fixture, depth.saturating_sub(2));
        let opened = all_paid(&fixture, &payer, &payees, depth).await;
        let before = world.node.snapshot().await;
        world.draw(&opened.deposit).await;
        world.node.mine(depth - 1).await;
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

        world.node.revert(before).await;
        assert!(world.now().await < opened.deposit.drawTime - 1);
        assert_eq!(drawn_winner(&payer, &opened).await, first);
        let late = payer.write_cheque(opened.id, first, Amount::new(1)).await;
        assert!(matches!(late, Err(PayerError::NotActive(_))), "{late:?}");
        world.node.advance(7).await;
        world.node.mine(depth + 1).await;
        assert_eq!(drawn_winner(&payer, &opened).await, first);
        assert_eq!(winners().await, [first]);
        for (payee, account) in payees.iter().zip(&fixture.payees) {
            let (outcome, _) = payee.outcome(opened.id).await.unwrap();
            let wins = outcome == Outcome::Payable;
            assert_eq!(wins, account.address == first, "{outcome:?}");
            let sent = world.node.transactions(account.address).await;
            let settled = settle(payee).await.unwrap();
            assert_eq!(settled.len(), usize::from(wins));
            let more = world.node.transactions(account.address).await - sent;
            assert_eq!(more, u64::from(wins), "a loser has sent a transaction");
        }
        // The payer looks at drawn deposits at that interval only.
        world.node.mine(depth).await;
        let DepositState::Redeemed { payee, .. } = state(&payer, opened.id).await else {
            panic!("the win is not redeemed");
        };
        assert_eq!(payee, first);
    }
}

#[tokio::test]
async fn resends_dropped_redemption_and_is_paid_once() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    for depth in DEPTHS {
        let (payer, payees) = actors(&fixture, 0);
        let opened = payer.create_deposit(&fixture.request(HOUR)).await.unwrap();
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
        let (payer, payees) = actors(&fixture, 0);
        let opened = payer.create_deposit(&fixture.request(HOUR)).await.unwrap();
        poll(&payer).await;
        let (winner, payout) = pay_and_draw(world, &payer, &payees, &opened).await;
        let draw = opened.deposit.drawTime;
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
