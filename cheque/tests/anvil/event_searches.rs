//! Searches for events at a node that tells those of few blocks at a time.

use crate::fixtures::{Fixture, HOUR, memory, open_deposit, pay_and_draw};
use crate::node::coins;
use crate::over;
use crate::payee_steps::{overtaken, status, step};
use crate::proxied::through;
use crate::proxy::{Fault, Proxy};
use cheque::ChainProfile;
use cheque::bank::{Closed, Reader};
use cheque::payee::{HoldingState, PayeeService, PayeeSettings, RedeemOptions};

/// The blocks that the node tells the events of at once, and those since the opening.
const LIMIT: u64 = 10;
const BLOCKS: u64 = 300;

#[tokio::test]
async fn searches_new_blocks_only() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let proxy = Proxy::start(&world.node.provider).await;
    proxy.fail("eth_getLogs", Fault::LogRange(LIMIT));
    let reader = through(world, &proxy).await;
    let (payer, payees) = fixture.actors();
    let opened = open_deposit(world, &payer, &fixture.request(HOUR)).await;
    let (winner, _) = pay_and_draw(world, &payer, &payees, &opened).await;
    world.node.mine(BLOCKS).await;
    let look = async || {
        let asked = (proxy.asked("eth_getLogs"), proxy.requests());
        let head = reader.head().await.unwrap();
        let closed = reader.closed(opened.id, 1, &head).await.unwrap();
        let logs = proxy.asked("eth_getLogs") - asked.0;
        (closed, logs, proxy.requests() - asked.1)
    };
    let (closed, first, _) = look().await;
    assert_eq!(closed, None);
    assert!(first >= 30, "the node has a limit: {first} requests");
    // The same head, then a new one.
    assert_eq!(look().await.1, 0);
    world.node.mine(1).await;
    assert_eq!(look().await.1, 1);
    world.node.mine(LIMIT).await;
    let (_, logs, _) = look().await;
    assert!(logs <= 3, "the limit is learned: {logs} requests");

    payees[winner]
        .redeem(opened.id, &RedeemOptions::default())
        .await
        .unwrap();
    let found = look().await.0;
    assert!(matches!(found, Some(Closed::Redeemed { .. })), "{found:?}");
    for _ in 0..3 {
        world.node.mine(1).await;
        let (closed, logs, requests) = look().await;
        assert_eq!((closed, logs), (found, 0));
        assert!(requests <= 3, "{requests} requests for a known end");
    }
}

#[tokio::test]
async fn searches_again_after_a_reorganisation() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, payees) = fixture.actors();
    let opened = open_deposit(world, &payer, &fixture.request(HOUR)).await;
    let (winner, payout) = pay_and_draw(world, &payer, &payees, &opened).await;
    world.node.mine(3).await;
    let reader = &world.reader;
    let closed = async || {
        let head = reader.head().await.unwrap();
        reader.closed(opened.id, 1, &head).await.unwrap()
    };
    let redeem = async || {
        let options = RedeemOptions::default();
        payees[winner].redeem(opened.id, &options).await.unwrap()
    };
    let before = world.node.snapshot().await;
    redeem().await;
    world.node.mine(2).await;
    let first = closed().await;
    let Some(Closed::Redeemed { block, .. }) = first else {
        panic!("not redeemed: {first:?}");
    };

    // The redemption comes again in a later block, and the new chain is longer than the searched one.
    world.node.revert(before).await;
    world.node.mine(1).await;
    redeem().await;
    world.node.mine(4).await;
    let again = Closed::Redeemed {
        payee: payees[winner].policy().payee,
        payout,
        block: block + 1,
    };
    assert_eq!(closed().await, Some(again));
}

#[tokio::test]
async fn looks_at_a_closed_win_without_a_search() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let account = &fixture.payees[0];
    let store = memory();
    let reader = over::final_after_64_seconds(world);
    let mut policy = world.policy(account);
    policy.max_unsettled_costs = u32::MAX;
    let settings = PayeeSettings::new(&policy, reader.profile());
    let serve = |reader: &Reader| {
        let payee = over::with_policy(world, reader, policy.clone(), store.clone());
        PayeeService::new(payee.with_wallet(account.wallet.clone()), settings)
    };
    let service = serve(&reader);
    let (id, _) = overtaken(&fixture, &service).await;
    world.node.automine(true).await;
    world.node.mine(40).await;

    // Another service of the same store, which has seen nothing, and for which the redemption is not confirmed yet: each
    // step looks at the purse and asks for the end of the deposit.
    let proxy = Proxy::start(&world.node.provider).await;
    proxy.fail("eth_getLogs", Fault::LogRange(LIMIT));
    let patient = ChainProfile {
        confirm: 60,
        ..*reader.profile()
    };
    let reader = through(world, &proxy).await.with_profile(patient);
    let service = serve(&reader);
    let mut asked = Vec::new();
    for _ in 0..4 {
        let before = proxy.asked("eth_getLogs");
        let state = step(&service, id).await;
        let HoldingState::Redeemed { payout, block } = state else {
            panic!("{state:?}: {:?}", status(&service, id).await);
        };
        assert_eq!(payout, coins(100));
        let head = reader.head().await.unwrap();
        let confirmed = reader.confirmed(&head).await.unwrap();
        assert!(block > confirmed, "a confirmed end needs no look at all");
        asked.push(proxy.asked("eth_getLogs") - before);
        world.node.mine(1).await;
    }
    assert!(asked[0] > 1, "{asked:?}");
    assert_eq!(asked[1..], [0, 0, 0]);
}
