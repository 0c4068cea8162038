//! Relays of the beacon that fail, lie, lag or stop, and what a payee takes and concludes meanwhile.

use crate::fixtures::{Fixture, HOUR, memory, open_deposit, pay, rejection, state};
use crate::node::{
    beacon::{self, LIMITS},
    coins,
};
use crate::over;
use crate::payee_steps::{redeemed, sends, service, step, wins};
use crate::relay::{Fault, TestRelay};
use cheque::Freshness;
use cheque::beacon::{BeaconClient, BeaconLimits};
use cheque::payee::{HoldingState, Payee};
use cheque::payer::{DepositState, PayerError};
use std::time::Duration;

/// A relay that does not answer in this time is slow.
const TIMEOUT: Duration = Duration::from_millis(500);

/// Everything that a relay can do wrong. The last lags by more than a stopped beacon may.
const FAULTS: [Fault; 12] = [
    Fault::Silence,
    Fault::Late(Duration::from_secs(3)),
    Fault::OtherKey,
    Fault::OtherSignature,
    Fault::NoPoint,
    Fault::Html,
    Fault::Endless,
    Fault::Cut,
    Fault::Limited(Some(1)),
    Fault::Status(500),
    Fault::Circle,
    Fault::Behind(500),
];

/// A payee over these relays.
fn payee(fixture: &Fixture, relays: &[&TestRelay]) -> Payee {
    let (world, account) = (&fixture.world, &fixture.payees[0]);
    let urls: Vec<_> = relays.iter().map(|relay| relay.url.as_str()).collect();
    let limits = BeaconLimits {
        timeout: TIMEOUT,
        hedge: TIMEOUT / 4,
        ..LIMITS
    };
    let beacon = world.beacon.local.beacon().clone();
    let hash = beacon.chain_hash();
    let client = BeaconClient::with_limits(beacon, hash, &urls, limits).unwrap();
    let payee = world.payee(account, memory());
    payee.with_beacon(client).unwrap()
}

async fn relay(fixture: &Fixture) -> TestRelay {
    TestRelay::start(&fixture.world.beacon.local, over::unix_now()).await
}

#[tokio::test]
async fn sells_only_while_relay_shows_newest_rounds() {
    let fixture = over::by_the_clock(Freshness::DEFAULT).await;
    let (payer, _) = fixture.actors();
    let request = fixture.request(HOUR);
    let id = open_deposit(&fixture.world, &payer, &request).await.id;
    let payment = payer.write_cheque(id, fixture.payees[0].address, coins(1));
    let proof = payment.await.unwrap().proof;
    // All faults in parallel, because most of the time is waiting.
    let mut tests = Vec::new();
    for fault in FAULTS {
        let relay = relay(&fixture).await;
        let payee = payee(&fixture, &[&relay]);
        let proof = proof.clone();
        tests.push(tokio::spawn(async move {
            relay.fail(fault);
            let refused = rejection(payee.receive_payment(None, &proof).await);
            assert_eq!(refused.code(), "beacon_stale", "{fault:?}");
            relay.heal();
            relay.set(over::unix_now());
            // A relay that asked for a pause, or has failed, is asked again a little later.
            let mut taken = payee.receive_payment(None, &proof).await;
            for _ in 0..100 {
                if taken.is_ok() {
                    break;
                }
                assert_eq!(rejection(taken).code(), "beacon_stale", "{fault:?}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                taken = payee.receive_payment(None, &proof).await;
            }
            assert_eq!(taken.unwrap().total, coins(1), "{fault:?}");
        }));
    }
    for test in tests {
        test.await.unwrap();
    }
}

#[tokio::test]
async fn sells_by_one_good_relay_of_three() {
    let fixture = over::by_the_clock(Freshness::DEFAULT).await;
    let (payer, _) = fixture.actors();
    let request = fixture.request(HOUR);
    let id = open_deposit(&fixture.world, &payer, &request).await.id;
    let payment = payer.write_cheque(id, fixture.payees[0].address, coins(1));
    let proof = payment.await.unwrap().proof;
    for fault in FAULTS {
        // The newest block is of this second.
        fixture.world.node.mine(1).await;
        let [down, bad, good] = [
            relay(&fixture).await,
            relay(&fixture).await,
            relay(&fixture).await,
        ];
        down.fail(Fault::Silence);
        bad.fail(fault);
        for relays in [[&down, &bad, &good], [&good, &bad, &down]] {
            let payee = payee(&fixture, &relays);
            let taken = payee.receive_payment(None, &proof).await;
            assert_eq!(taken.unwrap().total, coins(1), "{fault:?}");
        }
    }
}

#[tokio::test]
async fn sells_again_after_beacon_was_stopped_for_an_hour() {
    let fixture = over::by_the_clock(Freshness::DEFAULT).await;
    let world = &fixture.world;
    let (payer, payees) = fixture.actors();
    let request = fixture.request(3 * HOUR);
    let id = open_deposit(world, &payer, &request).await.id;
    let address = fixture.payees[0].address;
    let proof = payer.write_cheque(id, address, coins(1)).await;
    let proof = proof.unwrap().proof;
    // Processes that were started while the beacon stood still.
    world.beacon.shift(-3_600);
    let client = beacon::client(&world.beacon.url);
    let payee = payees[0].clone().with_beacon(client.clone()).unwrap();
    let payer = payer.with_beacon(client).unwrap();
    for _ in 0..2 {
        let refused = rejection(payee.receive_payment(None, &proof).await);
        assert_eq!(refused.code(), "beacon_stale", "{refused}");
        assert!(refused.to_string().contains("relays"), "{refused}");
        let refused = payer.write_cheque(id, address, coins(1)).await;
        let refused = refused.unwrap_err();
        assert!(matches!(refused, PayerError::Clock(_)), "{refused}");
        assert!(refused.to_string().contains("relays"), "{refused}");
    }
    // It makes the missed rounds, and goes on.
    world.beacon.shift(0);
    world.node.mine(1).await;
    payee.receive_payment(None, &proof).await.unwrap();
    let (payment, accepted) = pay(&payer, &payee, id, coins(1)).await;
    assert_eq!((payment.spent, accepted.total), (coins(2), coins(2)));
}

#[tokio::test]
async fn draws_after_beacon_was_stopped_for_an_hour() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let service = service(world, &fixture.payees[0], memory());
    let draw = world.now().await + HOUR;
    let all = wins(&fixture, &service, &[draw, draw + 600], 24 * HOUR).await;
    world.mine_at(draw - 1).await;
    world.beacon.stop();
    for seconds in [0, 1_000, HOUR] {
        world.node.mine_at(draw + seconds).await;
        for (opened, drawn) in [(&all[0], draw), (&all[1], draw + 600)] {
            let state = step(&service, opened.id).await;
            let expected = HoldingState::Drawn { draw_time: drawn };
            assert_eq!(state == expected, draw + seconds >= drawn, "{state:?}");
        }
    }
    world.beacon.resume();
    world.advance(1).await;
    sends(&service, all[0].id).await;
    for opened in &all {
        assert_eq!(redeemed(&service, opened.id).await.0, coins(100));
    }
    let sent = world.node.transactions(fixture.payees[0].address).await;
    assert_eq!(sent, 1, "not one transaction for both draws");
}

#[tokio::test]
async fn misses_win_if_beacon_has_ended() {
    // The payer gets its money back.
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, _) = fixture.actors();
    let service = service(world, &fixture.payees[0], memory());
    let draw = world.now().await + HOUR;
    let opened = wins(&fixture, &service, &[draw], HOUR).await.remove(0);
    let id = opened.id;
    world.mine_at(draw - 1).await;
    world.beacon.stop();
    world.node.mine_at(draw + HOUR).await;
    assert_eq!(step(&service, id).await.name(), "drawn");
    world.node.mine(1).await;
    let missed = step(&service, id).await;
    assert_eq!(missed.name(), "missed");
    assert!(missed.to_string().contains("round"), "{missed}");
    let _polled = payer.poll().await.unwrap();
    payer.reclaim(id).await.unwrap();
    assert_eq!(state(&payer, id).await, DepositState::Reclaimed);
    // The purse's money pays for the next deposit.
    let next = payer.plan_deposit(&fixture.request(HOUR), None).await;
    assert_eq!(next.unwrap().deposit.lane, opened.deposit.lane);
    assert_eq!(world.node.transactions(fixture.payees[0].address).await, 0);
}
