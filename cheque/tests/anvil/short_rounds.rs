//! Short rounds on a node in simulated time: a deposit every five minutes, each drawn after an hour.

use crate::fixtures::{Fixture, HOUR};
use crate::node::coins;
use crate::proxy::Proxy;
use crate::settle::settle;
use alloy_primitives::Address;
use cheque::{
    Amount, ChainProfile, DepositId, PAYER_CUTOFF,
    bank::Reader,
    node::connect,
    payer::{Payer, PayerService, Rounds},
};
use std::{collections::BTreeSet, time::Duration};

/// The payees of each deposit. Three of them are paid.
const PAYEES: usize = 10_000;

/// Seconds between the openings of two deposits.
const EVERY: u64 = 300;

/// Seconds after a draw in which a win can be redeemed.
const WINDOW: u64 = HOUR / 2;

/// Seconds between two steps of the service.
const STEP: u64 = 60;

/// Seconds for which the daily budget counts a deposit.
const DAY: u64 = 24 * HOUR;

/// Number of rounds: 40, or the environment variable `SOAK_SHORT_ROUNDS`.
fn rounds() -> usize {
    std::env::var("SOAK_SHORT_ROUNDS").map_or(40, |text| {
        text.parse()
            .expect("SOAK_SHORT_ROUNDS is the number of rounds")
    })
}

/// The most lanes at a time: one for each deposit from its opening to the end of its window, two that are left to the next
/// rounds, and those that are not confirmed.
fn max_lanes() -> usize {
    let in_use = HOUR.div_ceil(EVERY) + WINDOW.div_ceil(EVERY);
    usize::try_from(in_use + 4).unwrap()
}

/// The payees that are never paid.
fn others() -> impl Iterator<Item = Address> {
    (3..PAYEES).map(|number| Address::left_padding_from(&(1 << 32 | number).to_be_bytes()))
}

/// The median of a step's requests to the node.
fn median(requests: &[usize]) -> usize {
    let mut sorted = requests.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

#[tokio::test]
async fn short_rounds_pay_without_a_gap_and_are_pruned() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (_, payees) = fixture.actors();
    let proxy = Proxy::start(&world.node.provider).await;
    let reader = Reader::open(
        connect(&proxy.url).await.unwrap(),
        world.reader.bank().address(),
    );
    // A step of a busy machine would outlast the snapshot at its begin, and ask for another one.
    let profile = ChainProfile {
        poll: Duration::from_secs(60),
        ..*world.reader.profile()
    };
    let reader = reader.await.unwrap().with_profile(profile);
    let payer = Payer::new(reader, fixture.store.clone())
        .with_beacon(world.beacon.client.clone())
        .unwrap()
        .with_wallet(fixture.payer.wallet.clone())
        .with_key(fixture.payer.key.clone());
    let mut list = fixture.request(0).allowances;
    list.extend(others().map(|payee| (payee, Amount::new(1_000))));
    assert_eq!(list.len(), PAYEES);
    let mut settings = Rounds::new(Rounds::same_list(list), HOUR);
    settings.every = Some(EVERY);
    settings.redeem_window = Some(WINDOW);
    let service = PayerService::new(payer, Some(settings));

    service.step().await.unwrap();
    world.advance(1).await;
    let (mut opened, mut paid_from) = (BTreeSet::<DepositId>::new(), BTreeSet::new());
    let (mut requests, mut most_kept, mut last_turn) = (Vec::new(), 0, 0);
    while opened.len() < rounds() {
        let before = proxy.requests();
        service.step().await.unwrap();
        requests.push(proxy.requests() - before);
        let now = world.now().await;
        let deposits = service.payer().deposits().await.unwrap();
        most_kept = most_kept.max(deposits.len());
        let lanes = deposits.iter().map(|(_, record)| record.deposit.lane);
        assert!(lanes.max().unwrap() <= u64::try_from(max_lanes()).unwrap());
        opened.extend(deposits.iter().map(|(id, _)| *id));
        // Payees in turn, so that some rounds have a winner and others have none.
        let turn = usize::try_from(now / EVERY).unwrap() % payees.len();
        let payee = &payees[turn];
        let paid = service.pay(payee.policy().payee, Address::ZERO, coins(15));
        let parts = paid.await.expect("a deposit to pay from at any time");
        payee.poll().await.unwrap();
        for part in parts {
            let terms = payee.receive_payment(None, &part.proof).await.unwrap();
            let draw = terms.position.deposit().drawTime;
            assert!(now + PAYER_CUTOFF < draw);
            paid_from.insert(part.deposit);
        }
        if turn != last_turn {
            last_turn = turn;
            for (_, settled) in settle(payee).await.unwrap() {
                settled.unwrap();
            }
            payee.prune().await.unwrap();
        }
        world.advance(STEP).await;
    }
    // Every round is paid from once it is the next to be drawn, and not before.
    let waiting = usize::try_from(HOUR / EVERY).unwrap();
    assert!(paid_from.len() + waiting + 2 >= opened.len());

    // A step costs no more in the end than at first, once as many deposits are open as at any time, and as many wait for the
    // end of their windows.
    let steady = usize::try_from((HOUR + WINDOW) / STEP).unwrap();
    let (early, late) = requests.split_at(steady + (requests.len() - steady) / 2);
    let (early, late) = (median(&early[steady..]), median(late));
    assert!(late <= early + early / 8, "{early} requests, then {late}");
    // The budget counts a deposit for a day. Then nothing of it is kept, but for the last of each purse.
    let of_a_day = usize::try_from(DAY / EVERY).unwrap();
    assert!(most_kept <= max_lanes() + of_a_day, "{most_kept} deposits");
    for _ in 0..3 {
        world.advance(DAY).await;
        service.step().await.unwrap();
    }
    let kept = service.payer().deposits().await.unwrap().len();
    assert!(kept <= max_lanes(), "{kept} deposits");
}
