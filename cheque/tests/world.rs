//! A chain in simulated time with a beacon that follows it: the stage of the other tests, and one play from deposit to
//! payout.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/fixtures.rs"]
mod fixtures;
#[path = "support/node.rs"]
mod node;

use cheque::{Amount, Outcome, payee::RedeemOptions};
use fixtures::{Fixture, HOUR, open_deposit, pay};
use node::{
    Node, World, coins,
    draw::{lost_by, won_by},
};

#[tokio::test]
async fn beacon_follows_the_chain_over_years() {
    let world = World::new().await;
    let first = world.now().await;
    world.node.mine(3).await;
    assert_eq!(world.now().await, first + 3);
    for seconds in [1, HOUR, 3 * 365 * 24 * HOUR] {
        let before = world.now().await;
        world.advance(seconds).await;
        assert_eq!(world.now().await, before + seconds);
        let (_, newest) = world.beacon.client.newest_verified().unwrap();
        assert_eq!(newest, before + seconds);
    }
}

#[tokio::test]
async fn beacon_goes_on_through_a_reorganisation() {
    let world = World::new().await;
    let before = world.node.snapshot().await;
    let start = world.now().await;
    world.advance(HOUR).await;
    world.node.revert(before).await;
    assert_eq!(world.now().await, start);
    let newest = world.beacon.client.newest().await.unwrap();
    assert_eq!(newest.time(), start + HOUR);
}

#[tokio::test]
async fn beacon_stops_for_an_hour_and_shifts_its_clock() {
    let world = World::on(Node::start().await, 3).await;
    world.beacon.sync().await;
    let newest = async || world.beacon.client.newest().await.unwrap().time();
    let stopped = newest().await;
    world.beacon.stop();
    world.advance(HOUR).await;
    assert_eq!(newest().await, stopped);
    world.beacon.resume();
    world.beacon.sync().await;
    let behind = world.now().await - newest().await;
    assert!(behind < 3, "the newest round is {behind} s old");
    world.beacon.shift(20);
    world.beacon.sync().await;
    let ahead = newest().await - world.now().await;
    assert!(
        (18..=20).contains(&ahead),
        "the newest round is {ahead} s early"
    );
}

#[tokio::test]
async fn pays_who_was_chosen_to_win_and_nobody_else() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, payees) = fixture.actors();
    for wins in [true, false] {
        // The last of three payees, paid a tenth of its allowance of a half.
        let payment = (fixture.payees[2].address, coins(30));
        let request = fixture.request(HOUR);
        let request = if wins {
            won_by(&world.beacon, &payer, &request, payment).await
        } else {
            lost_by(&world.beacon, &payer, &request, payment).await
        };
        let opened = open_deposit(world, &payer, &request).await;
        // A view of the chain stays in use for a second.
        payees[2].poll().await.unwrap();
        pay(&payer, &payees[2], opened.id, payment.1).await;
        world.draw(&opened.deposit).await;
        let (outcome, payout) = payees[2].outcome(opened.id).await.unwrap();
        let redeemed = payees[2].redeem(opened.id, &RedeemOptions::default()).await;
        if wins {
            assert_eq!(outcome, Outcome::Payable);
            assert_eq!(redeemed.unwrap().payout, payout);
            assert!(payout > Amount::ZERO);
        } else {
            assert_eq!(outcome, Outcome::Loses);
            assert!(redeemed.is_err(), "a loser was paid");
        }
    }
}

#[tokio::test]
async fn chain_by_the_clock_has_fresh_heads_and_rounds() {
    let world = World::by_the_clock(|profile| {
        profile.freshness = Some(cheque::Freshness::DEFAULT);
    })
    .await;
    let head = world.reader.checked_head().await.unwrap();
    world.beacon.sync().await;
    let (_, round) = world.beacon.client.newest_verified().unwrap();
    assert_eq!(round, head.time);
}
