//! The payer's service: rounds that follow one another.

use crate::fixtures::{Fixture, HOUR, memory};
use crate::node::{Account, coins};
use crate::settle::settle;
use crate::transactions::fees;
use crate::utc::utc;
use alloy_primitives::{Address, U256};
use cheque::payer::{Completed, PayerService, PayerStepReport, Rounds, RoundsError};
use cheque::{DepositId, Purse};
use cheque::{
    bank::Reader,
    payee::Payee,
    payer::{DepositRecord, DepositState},
};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Seconds of a budget's day.
const DAY: u64 = 86_400;

/// A freshly started service of the fixture's payer.
fn service(fixture: &Fixture, rounds: Option<Rounds>) -> PayerService {
    let (payer, _) = fixture.actors();
    PayerService::new(payer, rounds)
}

/// Makes a step and checks that each status has a reason and a next action.
async fn step(service: &PayerService) -> PayerStepReport {
    let stepped = service.step().await.unwrap();
    for status in service.status().await.unwrap() {
        assert!(!status.reason.is_empty() && !status.next.is_empty());
    }
    stepped
}

/// Steps second by second until `found` returns a value.
async fn until<T>(
    fixture: &Fixture,
    service: &PayerService,
    found: impl Fn(&[(DepositId, DepositRecord)]) -> Option<T>,
) -> T {
    for _ in 0..200 {
        step(service).await;
        let deposits = service.payer().deposits().await.unwrap();
        if let Some(found) = found(&deposits) {
            return found;
        }
        fixture.world.advance(1).await;
    }
    panic!("not within 200 seconds: {:?}", service.status().await);
}

fn in_state(state: DepositState) -> impl Fn(&[(DepositId, DepositRecord)]) -> Option<DepositId> {
    move |deposits| {
        let mut deposits = deposits.iter();
        let found = deposits.find(|(_, record)| record.state == state);
        found.map(|(id, _)| *id)
    }
}

/// The bank's debts in native coin: balances and idle purses. Panics at an open deposit.
async fn owed(reader: &Reader, accounts: &[&Account], lanes: u64) -> U256 {
    let head = reader.head().await.unwrap().number;
    let mut sum = U256::ZERO;
    for account in accounts {
        sum += reader
            .balance(account.address, Address::ZERO)
            .await
            .unwrap();
        for lane in 1..=lanes {
            let purse = (account.address, Address::ZERO, lane);
            let held = reader.purse(purse, head).await.unwrap();
            sum += match held {
                Purse::Idle(idle) => idle.to_u256(),
                Purse::Open(_) => panic!("lane {lane} still holds a deposit"),
            };
        }
    }
    sum
}

async fn settle_all(payees: &[Payee]) {
    for payee in payees {
        for (id, settled) in settle(payee).await.unwrap() {
            settled.unwrap_or_else(|error| panic!("{id}: {error}"));
        }
    }
}

#[tokio::test]
async fn opens_rounds_while_paying_and_loses_no_money() {
    let fixture = Fixture::new().await;
    let (_, payees) = fixture.actors();
    let mut rounds = fixture.rounds();
    rounds.draw_in = 100;
    rounds.redeem_window = Some(20);
    // Each transaction makes a block, a second later.
    rounds.lead = Some(10);
    let service = service(&fixture, Some(rounds));
    let wallet = fixture.world.coin(fixture.payer.address).await;
    until(&fixture, &service, in_state(DepositState::Active)).await;
    let mut paid_from = BTreeSet::new();
    while paid_from.len() < 5 {
        step(&service).await;
        // The first two rounds end at their draw, the others when they are spent.
        let part = if paid_from.len() < 3 { 1 } else { 3 };
        for (share, payee) in (1..).zip(&payees) {
            let amount = coins(share * part);
            let paid = service.pay(payee.policy().payee, Address::ZERO, amount);
            for part in paid.await.expect("an active round") {
                let proof = part.proof;
                payee.poll().await.unwrap();
                payee.receive_payment(None, &proof).await.unwrap();
                paid_from.insert(part.deposit);
            }
        }
        settle_all(&payees).await;
        fixture.world.advance(1).await;
    }

    // The end: without more rounds, every deposit is redeemed or reclaimed.
    let last = PayerService::new(service.payer().clone(), None);
    for _ in 0..130 {
        step(&last).await;
        settle_all(&payees).await;
        fixture.world.advance(1).await;
    }
    let deposits = last.payer().deposits().await.unwrap();
    let closed = |record: &DepositRecord| {
        let state = record.state;
        matches!(
            state,
            DepositState::Redeemed { .. } | DepositState::Reclaimed
        )
    };
    assert!(
        deposits.iter().all(|(_, record)| closed(record)),
        "{deposits:?}"
    );
    assert!(deposits.len() >= 5);
    let won =
        |(_, record): &(_, DepositRecord)| matches!(record.state, DepositState::Redeemed { .. });
    assert!(deposits.iter().any(won));
    let lanes = deposits
        .iter()
        .map(|(_, record)| record.deposit.lane)
        .max()
        .unwrap();
    assert!(lanes <= 3, "purses are not reused: {lanes} lanes");

    let mut accounts: Vec<_> = fixture.payees.iter().collect();
    accounts.push(&fixture.payer);
    let bank = fixture
        .world
        .coin(fixture.world.reader.bank().address())
        .await;
    assert_eq!(owed(&fixture.world.reader, &accounts, lanes).await, bank);
    let (fees, _) = fees(&fixture.world, fixture.payer.address).await;
    assert_eq!(
        wallet - fixture.world.coin(fixture.payer.address).await,
        bank + fees
    );
}

#[tokio::test]
async fn reclaims_expired_round_by_opening_next_in_its_purse() {
    let fixture = Fixture::new().await;
    let mut rounds = fixture.rounds();
    rounds.draw_in = 120;
    // Nothing is spent, so the next round opens at the end of the last one, which can be reclaimed at once.
    rounds.redeem_window = Some(1);
    rounds.lead = Some(0);
    let service = service(&fixture, Some(rounds));
    let first = until(&fixture, &service, in_state(DepositState::Active)).await;
    until(&fixture, &service, |deposits| deposits.get(2).map(|_| ())).await;
    let deposits = service.payer().deposits().await.unwrap();
    let lanes: BTreeSet<_> = deposits
        .iter()
        .map(|(_, record)| record.deposit.lane)
        .collect();
    assert_eq!(lanes, BTreeSet::from([1, 2]));
    let reclaimed = until(&fixture, &service, in_state(DepositState::Reclaimed)).await;
    assert_eq!(reclaimed, first);
    assert_eq!(
        fees(&fixture.world, fixture.payer.address).await.1,
        3,
        "not one transaction per round"
    );
    let held = fixture
        .world
        .coin(fixture.world.reader.bank().address())
        .await;
    assert_eq!(
        held,
        coins(1_200).to_u256(),
        "the third round did not take the money of the first"
    );
}

#[tokio::test]
async fn opens_follows_and_reclaims_stored_deposits_without_rounds() {
    let mut fixture = Fixture::new().await;
    let mut profile = *fixture.world.reader.profile();
    profile.confirm = 3;
    fixture.world.reader = fixture.world.reader.clone().with_profile(profile);
    let (payer, _) = fixture.actors();
    let service = service(&fixture, None);
    assert_eq!(service.round().await.unwrap(), None);
    let mut request = fixture.request(60);
    request.redeem_window = Some(5);
    let planned = payer.prepare_deposit(&request).await.unwrap();
    let (mut states, mut done) = (Vec::new(), Vec::new());
    for _ in 0..80 {
        let stepped = step(&service).await;
        states.extend(
            stepped
                .events
                .iter()
                .map(|event| (event.id, event.state.name())),
        );
        done.extend(stepped.completed);
        fixture.world.advance(1).await;
    }
    let id = planned.id;
    assert_eq!(done, [Completed::Opened(id), Completed::Reclaimed(id)]);
    let life = ["active", "past_cutoff", "drawn", "reclaimable", "reclaimed"];
    assert_eq!(states, life.map(|state| (id, state)));
    let held = fixture
        .world
        .coin(fixture.world.reader.bank().address())
        .await;
    assert_eq!(
        held,
        coins(600).to_u256(),
        "the money is not idle in its purse"
    );
    assert_eq!(fees(&fixture.world, fixture.payer.address).await.1, 2);
}

#[tokio::test]
async fn keeps_daily_budget_across_restart() {
    // A round over the budget waits, and reports from which time on there is room.
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let mut rounds = fixture.rounds();
    rounds.draw_in = 60;
    rounds.daily_budget = Some(coins(1_199));
    let first = service(&fixture, Some(rounds.clone()));
    let id = until(&fixture, &first, in_state(DepositState::Active)).await;
    let room = first.payer().deposit(id).await.unwrap().created + DAY;
    until(&fixture, &first, in_state(DepositState::PastCutoff)).await;
    drop(first);
    let again = service(&fixture, Some(rounds));
    world.node.mine(1).await;
    step(&again).await;
    let round = again.round().await.unwrap().unwrap();
    let said = format!("there is room from {} on", utc(room));
    assert!(round.blocked && round.reason.contains(&said), "{round:?}");
    let next = format!("tried again at {}", utc(world.now().await + 1));
    assert!(round.next.contains(&next), "{round:?}");
    // A day is 86,400 seconds, however many blocks they have.
    world.mine_at(room - 1).await;
    step(&again).await;
    assert_eq!(again.payer().deposits().await.unwrap().len(), 1);
    let opened = until(&fixture, &again, |deposits| deposits.get(1).map(|_| ()));
    opened.await;
    assert!(world.now().await >= room);
    assert!(!again.round().await.unwrap().unwrap().blocked);
}

#[tokio::test]
async fn reports_blocked_round_and_opens_it_once_possible() {
    // Blocked by the lack of a list, of money, or by a fee above the limit.
    let fixture = Fixture::new().await;
    let poor = coins(600).to_u256();
    let account = fixture.payer.address;
    fixture.world.node.set_coin(account, poor).await;
    let list = Arc::new(std::sync::Mutex::new(None));
    let mut rounds = fixture.rounds();
    let next = list.clone();
    rounds.allowances = Arc::new(move || {
        let list = next.lock().unwrap().clone();
        list.ok_or_else(|| "the file is gone".into())
    });
    let (payer, _) = fixture.actors();
    let frugal = payer.with_wallet(fixture.payer.wallet.clone().with_max_fee(10_000_000_000));
    let service = PayerService::new(frugal, Some(rounds));
    let blocked = async || {
        step(&service).await;
        let round = service.round().await.unwrap().unwrap();
        assert!(round.blocked && service.payer().deposits().await.unwrap().is_empty());
        assert_eq!(service.health().last_error.as_ref(), Some(&round.reason));
        assert!(service.health().ok, "the service is not healthy");
        round.reason
    };
    assert!(blocked().await.contains("the file is gone"));
    *list.lock().unwrap() = Some(fixture.request(0).allowances.into());
    fixture.world.node.mine(1).await;
    assert!(
        blocked().await.contains("needs"),
        "the message names no needed sum"
    );
    fixture.world.node.set_base_fee(10).await;
    fixture.world.node.mine(2).await;
    assert!(blocked().await.contains("the limit is 10000000000"));
    fixture.world.node.endow(account).await;
    fixture.world.node.set_base_fee(1).await;
    until(&fixture, &service, in_state(DepositState::Active)).await;
}

#[tokio::test]
async fn refuses_impossible_rounds_before_acting() {
    let fixture = Fixture::new().await;
    let (payer, _) = fixture.actors();
    let refused = |change: fn(&mut Rounds)| {
        let mut rounds = fixture.rounds();
        change(&mut rounds);
        rounds.check(&payer)
    };
    // A second until inclusion, none to confirm, the cutoff of 45, a second to pay, the lead of one second.
    assert_eq!(refused(|rounds| rounds.draw_in = 48), Ok(()));
    let too_soon = |draw_in, min_draw_in| {
        Err(RoundsError::DrawTooSoon {
            draw_in,
            min_draw_in,
        })
    };
    assert_eq!(refused(|rounds| rounds.draw_in = 47), too_soon(47, 48));
    // Where rounds overlap, each has to pay until the next is opened.
    let every = |every, draw_in| {
        let mut rounds = fixture.rounds();
        (rounds.every, rounds.draw_in) = (Some(every), draw_in);
        rounds.check(&payer)
    };
    assert_eq!(every(300, 348), Ok(()));
    assert_eq!(every(300, 347), too_soon(347, 348));
    assert_eq!(every(0, HOUR), Err(RoundsError::NoInterval));
    assert_eq!(
        refused(|rounds| rounds.lead = Some(u64::MAX)),
        Err(RoundsError::LeadTooLong { lead: u64::MAX })
    );
    let no_time = refused(|rounds| rounds.redeem_window = Some(0));
    assert_eq!(no_time, Err(RoundsError::NoTimeToRedeem));
    for (part, whole) in [(0, 1), (2, 1), (0, 0)] {
        let mut rounds = fixture.rounds();
        rounds.nearly_spent = (part, whole);
        assert_eq!(
            rounds.check(&payer),
            Err(RoundsError::NotAPart { part, whole })
        );
    }
    let bare = cheque::payer::Payer::new(fixture.world.reader.clone(), memory());
    assert_eq!(fixture.rounds().check(&bare), Err(RoundsError::NoWallet));
    let keyless = bare.with_wallet(fixture.payer.wallet.clone());
    assert_eq!(fixture.rounds().check(&keyless), Err(RoundsError::NoKey));
    let mut bad = fixture.rounds();
    bad.draw_in = 47;
    let service = service(&fixture, Some(bad));
    assert!(service.step().await.is_err());
    assert!(service.run(std::future::pending()).await.is_err());
}

#[tokio::test]
async fn opens_round_while_running_and_stops_on_request() {
    let fixture = Fixture::new().await;
    let (payer, _) = fixture.actors();
    let service = PayerService::new(payer.clone(), Some(fixture.rounds()));
    assert!(!service.health().ok, "healthy before the first head");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn({
        let service = service.clone();
        async move { service.run(async { drop(stopped.await) }).await }
    });
    let mut events = service.payer().subscribe_deposit_events();
    loop {
        let event = tokio::time::timeout(Duration::from_secs(20), events.recv());
        if event.await.unwrap().unwrap().state == DepositState::Active {
            break;
        }
    }
    // The event comes before the end of its poll.
    let _nothing_more = service.payer().poll().await.unwrap();
    let health = service.health();
    assert!(health.ok, "{health:?}");
    let paid = service
        .pay(fixture.payees[0].address, Address::ZERO, coins(1))
        .await;
    paid.unwrap();
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
    assert_eq!(payer.deposits().await.unwrap().len(), 1);
}
