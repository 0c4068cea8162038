//! The payer's service: rounds that follow one another by themselves.

use crate::cast::{Cast, memory};
use crate::node::{Party, World, coins};
use alloy::providers::Provider;
use alloy_primitives::{Address, U256};
use cheque::payer::{Completed, PayerService, PayerStepReport, Rounds, RoundsError};
use cheque::{Amount, DepositId, Purse};
use cheque::{
    bank::Reader,
    payee::Payee,
    payer::{DepositRecord, DepositState},
};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Rounds with 100, 200, 300 thousandths of a coin for the payees, drawn after 40 blocks. Who is paid has a range as wide
/// as its allowance.
pub(crate) fn rounds(cast: &Cast) -> Rounds {
    let list = cast.request(0).allowances;
    let mut rounds = Rounds::new(Rounds::same_list(list), 40);
    rounds.redeem_window = Some(20);
    rounds.min_payout = Some(Amount::ZERO);
    rounds
}

/// The service of the cast's payer, as a process that was started anew has it.
fn service(cast: &Cast, rounds: Option<Rounds>) -> PayerService {
    let (payer, _) = cast.players();
    PayerService::new(payer, rounds)
}

/// A turn of the loop in which everything can be followed.
async fn step(service: &PayerService) -> PayerStepReport {
    let stepped = service.step().await.unwrap();
    for status in service.status().await.unwrap() {
        assert!(!status.reason.is_empty() && !status.next.is_empty());
    }
    stepped
}

/// Steps and mines, block by block, until `found` finds something.
async fn until<T>(
    cast: &Cast,
    service: &PayerService,
    found: impl Fn(&[(DepositId, DepositRecord)]) -> Option<T>,
) -> T {
    for _ in 0..200 {
        step(service).await;
        let deposits = service.payer().deposits().await.unwrap();
        if let Some(found) = found(&deposits) {
            return found;
        }
        cast.world.node.mine(1).await;
    }
    panic!("not within 200 blocks: {:?}", service.status().await);
}

fn in_state(state: DepositState) -> impl Fn(&[(DepositId, DepositRecord)]) -> Option<DepositId> {
    move |deposits| {
        let mut deposits = deposits.iter();
        let found = deposits.find(|(_, record)| record.state == state);
        found.map(|(id, _)| *id)
    }
}

/// What the bank owes in native coin: balances, idle purses and open deposits.
async fn owed(reader: &Reader, parties: &[&Party], lanes: u64) -> U256 {
    let head = reader.head().await.unwrap().number;
    let mut sum = U256::ZERO;
    for party in parties {
        sum += reader.balance(party.address, Address::ZERO).await.unwrap();
        for lane in 1..=lanes {
            let purse = (party.address, Address::ZERO, lane);
            let held = reader.purse(purse, head).await.unwrap();
            sum += match held {
                Purse::Idle(idle) => idle.to_u256(),
                Purse::Open(_) => panic!("lane {lane} still holds a deposit"),
            };
        }
    }
    sum
}

/// What an account's transactions cost, the value excluded, and how many there were. Each has succeeded.
pub(crate) async fn fees(world: &World, account: Address) -> (U256, u64) {
    let (mut sum, mut count) = (U256::ZERO, 0);
    for block in 0..=world.head().await {
        let receipts = world.node.provider.get_block_receipts(block.into());
        for receipt in receipts.await.unwrap().unwrap_or_default() {
            if receipt.from == account {
                assert!(receipt.status(), "{} failed", receipt.transaction_hash);
                sum += U256::from(receipt.gas_used) * U256::from(receipt.effective_gas_price);
                count += 1;
            }
        }
    }
    (sum, count)
}

async fn settle(payees: &[Payee]) {
    for payee in payees {
        for (id, settled) in payee.settle().await.unwrap() {
            settled.unwrap_or_else(|error| panic!("{id}: {error}"));
        }
    }
}

#[tokio::test]
async fn three_rounds_follow_one_another_while_payments_go_on_and_no_money_is_lost() {
    let cast = Cast::new().await;
    let (_, payees) = cast.players();
    let mut rounds = rounds(&cast);
    rounds.draw_in = 60;
    let service = service(&cast, Some(rounds));
    let wallet = cast.world.coin(cast.payer.address).await;
    until(&cast, &service, in_state(DepositState::Active)).await;
    let mut paid_from = BTreeSet::new();
    while paid_from.len() < 5 {
        step(&service).await;
        // The first two rounds end by time, the others by money.
        let part = if paid_from.len() < 3 { 1 } else { 5 };
        for (share, payee) in (1..).zip(&payees) {
            let amount = coins(share * part);
            let paid = service.pay(payee.policy().payee, Address::ZERO, amount);
            for part in paid.await.expect("there is always a round to pay from") {
                let proof = part.proof.unwrap();
                payee.poll().await.unwrap();
                payee.receive_payment(None, &proof).await.unwrap();
                paid_from.insert(part.deposit);
            }
        }
        settle(&payees).await;
        cast.world.node.mine(1).await;
    }

    // The end: no more rounds, everything is redeemed or taken back.
    let last = PayerService::new(service.payer().clone(), None);
    for _ in 0..100 {
        step(&last).await;
        settle(&payees).await;
        cast.world.node.mine(1).await;
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
    assert!(lanes <= 3, "purses are used again: {lanes}");

    let mut parties: Vec<_> = cast.payees.iter().collect();
    parties.push(&cast.payer);
    let bank = cast.world.coin(cast.world.reader.bank().address()).await;
    assert_eq!(owed(&cast.world.reader, &parties, lanes).await, bank);
    let (fees, _) = fees(&cast.world, cast.payer.address).await;
    assert_eq!(
        wallet - cast.world.coin(cast.payer.address).await,
        bank + fees
    );
}

#[tokio::test]
async fn an_expired_round_is_taken_back_by_the_transaction_that_opens_the_next_in_its_purse() {
    let cast = Cast::new().await;
    let mut rounds = rounds(&cast);
    // Nothing is spent, so the next round comes at the end of the one before; and that can be taken back at once.
    rounds.redeem_window = Some(1);
    rounds.lead = Some(0);
    let service = service(&cast, Some(rounds));
    let first = until(&cast, &service, in_state(DepositState::Active)).await;
    until(&cast, &service, |deposits| deposits.get(2).map(|_| ())).await;
    let deposits = service.payer().deposits().await.unwrap();
    let lanes: BTreeSet<_> = deposits
        .iter()
        .map(|(_, record)| record.deposit.lane)
        .collect();
    assert_eq!(lanes, BTreeSet::from([1, 2]));
    let reclaimed = until(&cast, &service, in_state(DepositState::Reclaimed)).await;
    assert_eq!(reclaimed, first);
    assert_eq!(
        fees(&cast.world, cast.payer.address).await.1,
        3,
        "one transaction a round"
    );
    let held = cast.world.coin(cast.world.reader.bank().address()).await;
    assert_eq!(
        held,
        coins(1_200).to_u256(),
        "its money went into the third"
    );
}

#[tokio::test]
async fn without_rounds_everything_stored_is_opened_followed_and_taken_back() {
    let mut cast = Cast::new().await;
    let mut profile = *cast.world.reader.profile();
    profile.confirmations = 3;
    cast.world.reader = cast.world.reader.clone().with_profile(profile);
    let (payer, _) = cast.players();
    let service = service(&cast, None);
    assert_eq!(service.round().await.unwrap(), None);
    let mut request = cast.request(30);
    request.redeem_window = Some(5);
    let planned = payer.prepare_deposit(&request).await.unwrap();
    let (mut states, mut done) = (Vec::new(), Vec::new());
    for _ in 0..60 {
        let stepped = step(&service).await;
        states.extend(
            stepped
                .events
                .iter()
                .map(|event| (event.id, event.state.name())),
        );
        done.extend(stepped.done);
        cast.world.node.mine(1).await;
    }
    let id = planned.id;
    assert_eq!(done, [Completed::Opened(id), Completed::Reclaimed(id)]);
    let life = ["active", "past_cutoff", "drawn", "reclaimable", "reclaimed"];
    assert_eq!(states, life.map(|state| (id, state)));
    let held = cast.world.coin(cast.world.reader.bank().address()).await;
    assert_eq!(held, coins(600).to_u256(), "idle in its purse");
    assert_eq!(fees(&cast.world, cast.payer.address).await.1, 2);
}

#[tokio::test]
async fn a_round_over_the_budget_of_a_day_is_not_opened_and_says_so_also_after_a_restart() {
    let mut cast = Cast::new().await;
    let mut profile = *cast.world.reader.profile();
    // 100 blocks are a day.
    profile.block_time = 864;
    cast.world.reader = cast.world.reader.clone().with_profile(profile);
    let mut rounds = rounds(&cast);
    rounds.daily_budget = Some(coins(1_199));
    let first = service(&cast, Some(rounds.clone()));
    let id = until(&cast, &first, in_state(DepositState::Active)).await;
    let since = first.payer().deposit(id).await.unwrap().since;
    until(&cast, &first, in_state(DepositState::PastCutoff)).await;
    drop(first);
    let again = service(&cast, Some(rounds));
    cast.world.node.mine(1).await;
    step(&again).await;
    let round = again.round().await.unwrap().unwrap();
    let room = format!("there is room from block {} on", since + 100);
    assert!(round.blocked && round.reason.contains(&room), "{round:?}");
    assert!(round.next.contains("tried again at block"), "{round:?}");
    let head = cast.world.head().await;
    cast.world.node.mine(since + 98 - head).await;
    step(&again).await;
    assert_eq!(again.payer().deposits().await.unwrap().len(), 1);
    let opened = until(&cast, &again, |deposits| deposits.get(1).map(|_| ()));
    opened.await;
    assert!(cast.world.head().await >= since + 100);
    assert!(!again.round().await.unwrap().unwrap().blocked);
}

#[tokio::test]
async fn a_round_without_money_or_list_or_below_the_fee_says_so_and_is_opened_as_soon_as_it_can_be()
{
    let cast = Cast::new().await;
    let poor = format!("{:#x}", coins(600).to_u256());
    let account = cast.payer.address;
    cast.world
        .node
        .anvil("anvil_setBalance", (account, poor))
        .await;
    let list = Arc::new(std::sync::Mutex::new(None));
    let mut rounds = rounds(&cast);
    let next = list.clone();
    rounds.allowances = Arc::new(move || {
        let list = next.lock().unwrap().clone();
        list.ok_or_else(|| "the file is gone".into())
    });
    let (payer, _) = cast.players();
    let frugal = payer.with_wallet(cast.payer.wallet.clone().with_max_fee(10_000_000_000));
    let service = PayerService::new(frugal, Some(rounds));
    let blocked = async || {
        step(&service).await;
        let round = service.round().await.unwrap().unwrap();
        assert!(round.blocked && service.payer().deposits().await.unwrap().is_empty());
        assert_eq!(service.health().last_error.as_ref(), Some(&round.reason));
        assert!(service.health().ok, "the service is well");
        round.reason
    };
    assert!(blocked().await.contains("the file is gone"));
    *list.lock().unwrap() = Some(cast.request(0).allowances);
    cast.world.node.mine(1).await;
    assert!(blocked().await.contains("needs"), "fees included");
    let dear = "0x2540be400";
    cast.world
        .node
        .anvil("anvil_setNextBlockBaseFeePerGas", [dear])
        .await;
    cast.world.node.mine(2).await;
    assert!(blocked().await.contains("the limit is 10000000000"));
    cast.world.node.endow(account).await;
    let cheap = "0x3b9aca00";
    cast.world
        .node
        .anvil("anvil_setNextBlockBaseFeePerGas", [cheap])
        .await;
    until(&cast, &service, in_state(DepositState::Active)).await;
}

#[tokio::test]
async fn rounds_that_could_not_follow_one_another_are_refused_before_anything_is_done() {
    let cast = Cast::new().await;
    let (payer, _) = cast.players();
    let refused = |change: fn(&mut Rounds)| {
        let mut rounds = rounds(&cast);
        change(&mut rounds);
        rounds.check(&payer)
    };
    // 1 block until it is included, 1 confirmation, the cutoff of 16, 1 block to pay, the lead of 4.
    assert_eq!(refused(|rounds| rounds.draw_in = 23), Ok(()));
    let too_soon = RoundsError::DrawTooSoon {
        draw_in: 22,
        least: 23,
    };
    assert_eq!(refused(|rounds| rounds.draw_in = 22), Err(too_soon));
    assert_eq!(
        refused(|rounds| rounds.lead = Some(u64::MAX)),
        Err(RoundsError::LeadTooLong { lead: u64::MAX })
    );
    let no_time = refused(|rounds| rounds.redeem_window = Some(0));
    assert_eq!(no_time, Err(RoundsError::NoTimeToRedeem));
    for (part, whole) in [(0, 1), (2, 1), (0, 0)] {
        let mut rounds = rounds(&cast);
        rounds.nearly_spent = (part, whole);
        assert_eq!(
            rounds.check(&payer),
            Err(RoundsError::NotAPart { part, whole })
        );
    }
    let bare = cheque::payer::Payer::new(cast.world.reader.clone(), memory());
    assert_eq!(rounds(&cast).check(&bare), Err(RoundsError::NoWallet));
    let keyless = bare.with_wallet(cast.payer.wallet.clone());
    assert_eq!(rounds(&cast).check(&keyless), Err(RoundsError::NoKey));
    let mut bad = rounds(&cast);
    bad.draw_in = 22;
    let service = service(&cast, Some(bad));
    assert!(service.step().await.is_err());
    assert!(service.run(std::future::pending()).await.is_err());
}

#[tokio::test]
async fn a_running_service_opens_a_round_and_ends_when_it_is_told_to() {
    let cast = Cast::new().await;
    let (payer, _) = cast.players();
    let service = PayerService::new(payer.clone(), Some(rounds(&cast)));
    assert!(!service.health().ok, "it has seen nothing yet");
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
    // The event comes before the look that found it is over.
    let _nothing_more = service.payer().poll().await.unwrap();
    let health = service.health();
    assert!(health.ok, "{health:?}");
    let paid = service
        .pay(cast.payees[0].address, Address::ZERO, coins(1))
        .await;
    assert!(paid.unwrap()[0].proof.is_some());
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
    assert_eq!(payer.deposits().await.unwrap().len(), 1);
}
