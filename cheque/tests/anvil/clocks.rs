//! The three clocks: the machine's, the chain's and the beacon's. Neither side pays where they differ.

use crate::fixtures::{HOUR, memory, open_deposit, rejection};
use crate::node::{beacon, coins, policy};
use crate::over::{self, is_clock_behind, unix_now};
use crate::proxy::{Fault, Proxy};
use cheque::{Amount, Freshness, Rejection};
use cheque::{
    bank::Reader,
    node::connect,
    payee::Payee,
    payer::{Payer, PayerError},
};

#[tokio::test]
async fn refuses_payments_while_clocks_differ_and_loses_none() {
    let fixture = over::by_the_clock(Freshness::DEFAULT).await;
    let world = &fixture.world;
    // The beacon is right all along.
    world.beacon.sync().await;
    world.beacon.stop();
    let (payers, payees) = (memory(), memory());
    // Every call is a restarted process that knows only the stores.
    let payer = || world.payer(&fixture.payer, payers.clone());
    let payee = || world.payee(&fixture.payees[0], payees.clone());
    let request = fixture.request(HOUR);
    let id = open_deposit(world, &payer(), &request).await.id;
    let address = fixture.payees[0].address;
    let write = |amount| {
        let payer = payer();
        async move { payer.write_cheque(id, address, coins(amount)).await }
    };
    let mut credited = Amount::ZERO;
    for round in 1..=3 {
        let proof = write(2).await.unwrap().proof;
        let right = world.node.snapshot().await;
        world.node.advance(5 * HOUR).await;
        let refused = write(1).await.unwrap_err();
        assert!(is_clock_behind(&refused), "{refused}");
        let refused = rejection(payee().receive_payment(None, &proof).await);
        assert_eq!(refused.code(), "stale_view", "{refused}");
        let refused = payer().poll().await.unwrap_err();
        assert!(is_clock_behind(&refused), "{refused}");

        world.node.revert(right).await;
        let taken = payee().receive_payment(None, &proof).await.unwrap();
        assert_eq!(taken.total, coins(2 * round));
        credited = credited.checked_add(taken.value).unwrap();
        let again = payee().receive_payment(None, &proof).await;
        assert_eq!(rejection(again), Rejection::Replay);
    }
    let position = payee().position(id).await.unwrap().unwrap();
    assert_eq!(
        (position.total(), position.credited()),
        (coins(6), credited)
    );
    let last = payer().spent_and_left(id, address).await.unwrap().unwrap();
    assert_eq!(last.0, coins(6), "a refused payment was recorded");
}

#[tokio::test]
async fn pays_only_while_three_clocks_agree() {
    // Seconds by which the chain and the beacon are ahead of the machine's clock, and the refusal of both sides.
    const CASES: [(i64, i64, Option<&str>); 17] = [
        (-50, -50, None),
        (-20, -20, None),
        (-50, 0, None),
        (-20, 0, None),
        (-5, 0, None),
        (0, -50, None),
        (-5, -5, None),
        (0, 0, None),
        (5, 0, None),
        (5, 5, None),
        (-70, 0, Some("stale_view")),
        (0, -70, Some("beacon_stale")),
        (20, 0, Some("stale_view")),
        (0, 20, Some("stale_view")),
        (20, 20, Some("stale_view")),
        (50, 0, Some("stale_view")),
        (50, 50, Some("stale_view")),
    ];
    let fixture = over::by_the_clock(Freshness::DEFAULT).await;
    let world = &fixture.world;
    let (payer, _) = fixture.actors();
    let request = fixture.request(HOUR);
    let id = open_deposit(world, &payer, &request).await.id;
    let account = &fixture.payees[0];
    let proxy = Proxy::start(&world.node.provider).await;
    let bank = world.reader.bank().address();
    for (chain, rounds, refusal) in CASES {
        // The newest block is of this second.
        world.node.mine(1).await;
        world.beacon.shift(rounds);
        proxy.fail("eth_getBlockByNumber", Fault::TimeShift(chain));
        // Processes that know nothing of earlier heads and rounds.
        let client = || beacon::client(&world.beacon.url);
        let reader = Reader::open(connect(&proxy.url).await.unwrap(), bank);
        let reader = reader.await.unwrap().with_profile(*world.reader.profile());
        let payer = Payer::new(reader.clone(), fixture.store.clone());
        let payer = payer.with_beacon(client()).unwrap();
        let payer = payer.with_key(fixture.payer.key.clone());
        let policy = policy(&reader, account.address);
        let payee = Payee::new(reader, policy, memory()).unwrap();
        let payee = payee.with_beacon(client()).unwrap();

        let said = format!("chain {chain} s ahead, beacon {rounds} s ahead");
        let spent = || async { payer.spent_and_left(id, account.address).await };
        let before = spent().await.unwrap().map(|(spent, _)| spent);
        let written = payer.write_cheque(id, account.address, coins(1)).await;
        assert_eq!(refused_by_clocks(&written.map(drop)), refusal, "{said}");
        let after = spent().await.unwrap().map(|(spent, _)| spent);
        assert_eq!(after == before, refusal.is_some(), "{said}");
        let proof = payer.opening_proof(id, account.address).await.unwrap();
        let taken = payee.receive_payment(None, &proof.unwrap()).await;
        let code = match &taken {
            Ok(_) => None,
            Err(_) => Some(rejection(taken)),
        };
        let code = code.as_ref().map(Rejection::code);
        assert_eq!(code, refusal, "{said}");
        proxy.heal();
    }
}

/// The payer's refusal by the name that a payee's has.
fn refused_by_clocks(written: &Result<(), PayerError>) -> Option<&'static str> {
    use cheque::bank::{BankError, HeadCheckError};
    match written {
        Ok(()) => None,
        Err(PayerError::Clock(error)) => Some(error.code()),
        Err(PayerError::Bank(BankError::Head(
            HeadCheckError::Ahead { .. } | HeadCheckError::Behind { .. },
        ))) => Some("stale_view"),
        Err(other) => panic!("not refused by the clocks: {other}"),
    }
}

/// The node's final block is 64 blocks of 20 seconds before the newest one.
#[tokio::test]
async fn refuses_payments_while_the_chain_does_not_finalize() {
    let mut fixture = over::behind_the_clock(20).await;
    let profile = *fixture.world.reader.profile();
    fixture.world.reader = fixture.world.bank(HOUR).await.with_profile(profile);
    let world = &fixture.world;
    world.node.mine(64).await;
    let account = &fixture.payees[0];
    let payer = world.payer(&fixture.payer, fixture.store.clone());
    let id = open_deposit(world, &payer, &fixture.request(4 * HOUR))
        .await
        .id;
    let proof = payer.write_cheque(id, account.address, coins(1)).await;
    let proof = proof.unwrap().proof;
    let reader = over::final_after_64_seconds(world);
    let last_final = reader.finalized().await.unwrap().unwrap().time;
    let age = unix_now() - last_final;
    let payee = |finality| {
        let mut policy = policy(&reader, account.address);
        policy.finality = finality;
        over::with_policy(world, &reader, policy, memory())
    };
    let strict = payee(age - 60);
    let refused = rejection(strict.receive_payment(None, &proof).await);
    assert_eq!(refused.code(), "chain_not_final", "{refused}");
    assert_eq!(strict.position(id).await.unwrap(), None);
    payee(age + 60).receive_payment(None, &proof).await.unwrap();
}

#[tokio::test]
async fn sells_nothing_after_draw_with_clock_50_s_slow() {
    // The draw is public, and the payee knows that a bit more would win.
    let fixture = over::by_the_clock(Freshness::DEFAULT).await;
    let world = &fixture.world;
    let (payer, payees) = fixture.actors();
    let request = fixture.request(60);
    let opened = open_deposit(world, &payer, &request).await;
    let (id, draw) = (opened.id, opened.deposit.drawTime);
    let address = fixture.payees[0].address;
    let proof = payer.write_cheque(id, address, coins(1)).await;
    let proof = proof.unwrap().proof;

    // The node lags as much as the clock; then chain and relays are right.
    let by_the_clock = draw - unix_now();
    assert!(by_the_clock > 45, "the own clock is before both cutoffs");
    let ahead = i64::try_from(by_the_clock).unwrap();
    world.beacon.shift(ahead);
    world.beacon.sync().await;
    assert!(world.beacon.client.newest_verified().unwrap().1 >= draw);
    for jump in [false, true] {
        if jump {
            world.node.mine_at(draw + 1).await;
        }
        let refused = payer.write_cheque(id, address, coins(1)).await;
        let refused = refused_by_clocks(&refused.map(drop));
        assert_eq!(refused, Some("stale_view"));
        payees[0].poll().await.unwrap();
        let refused = rejection(payees[0].receive_payment(None, &proof).await);
        assert_eq!(refused.code(), "stale_view", "{refused}");
    }
    let spent = payer.spent_and_left(id, address).await.unwrap().unwrap();
    assert_eq!(spent.0, coins(1), "a refused cheque was recorded");
    assert_eq!(payees[0].position(id).await.unwrap(), None);
}
