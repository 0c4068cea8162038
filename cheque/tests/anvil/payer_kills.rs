//! The payer's service, interrupted or stuck.

use crate::fixtures::Fixture;
use crate::interrupt::interrupted_payer;
use crate::node::{World, coins};
use crate::transactions::fees;
use alloy_primitives::Address;
use cheque::payer::{PayerService, Rounds};
use cheque::{Amount, PAYER_CUTOFF};
use cheque::{
    bank::FoundDeposit,
    payer::{DepositRecord, DepositState, Draw},
};

/// The payer's cutoff and the lead of its rounds, in seconds: as long before a draw the next round opens.
const CUTOFF_AND_LEAD: u64 = PAYER_CUTOFF + 4;

/// Rounds drawn after a minute and a half, of which every other second is left for payments.
fn rounds(fixture: &Fixture) -> Rounds {
    let mut rounds = fixture.rounds();
    rounds.draw_in = 70;
    rounds.redeem_window = Some(20);
    rounds.lead = Some(CUTOFF_AND_LEAD - PAYER_CUTOFF);
    rounds
}

/// True if the deposit is the next round: active beyond the opening of another, or about to be opened.
fn is_next(record: &DepositRecord, now: u64) -> bool {
    match record.state {
        DepositState::Pending => true,
        DepositState::Active => now + CUTOFF_AND_LEAD < record.deposit.drawTime,
        _ => false,
    }
}

#[test]
fn opens_no_round_twice_after_interruptions() {
    // No payment is forgotten either. Each step and each payment is dropped at another await point.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let fixture = runtime.block_on(Fixture::new());
    let world = &fixture.world;
    let (url, bank) = (&world.node.url, world.reader.bank().address());
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("payer");
    let payee = fixture.payees[2].address;
    let service = |payer| PayerService::new(payer, Some(rounds(&fixture)));
    let (mut paid, mut unsure) = (Amount::ZERO, 0);
    for kill in 0..150 {
        // From the first await point of a step to beyond the last one.
        let steps = 1 + kill * 7 % 90;
        interrupted_payer(url, bank, &store, steps, async |payer| {
            service(payer).step().await
        });
        let payment = interrupted_payer(url, bank, &store, 1 + kill % 40, async |payer| {
            service(payer)
                .pay(payee, Address::ZERO, Amount::new(1))
                .await
        });
        match payment {
            Some(Ok(_)) => paid = paid.checked_add(Amount::new(1)).unwrap(),
            Some(Err(_)) => {}
            None => unsure += 1,
        }
        let now = runtime.block_on(async {
            world.node.mine(1).await;
            world.now().await
        });
        let deposits = interrupted_payer(url, bank, &store, usize::MAX, async |payer| {
            payer.deposits().await.unwrap()
        });
        let next = deposits
            .unwrap()
            .into_iter()
            .filter(|(_, record)| is_next(record, now))
            .count();
        assert!(next <= 1, "{next} rounds to pay from after kill {kill}");
    }
    let spent = interrupted_payer(url, bank, &store, usize::MAX, async |payer| {
        service(payer.clone()).step().await.unwrap();
        let mut spent = Amount::ZERO;
        for (id, _) in payer.deposits().await.unwrap() {
            spent = spent.checked_add(payer.spent(id).await.unwrap()).unwrap();
        }
        (spent, payer.deposits().await.unwrap())
    });
    let (spent, deposits) = spent.unwrap();
    let possible = paid.checked_add(Amount::new(unsure)).unwrap();
    assert!(
        paid <= spent && spent <= possible,
        "{paid} <= {spent} <= {possible}"
    );
    assert!(!paid.is_zero() && unsure > 0);

    let lost = |record: &DepositRecord| record.state == DepositState::NeverOpened;
    let stored = deposits.iter().filter(|(_, record)| !lost(record)).count();
    runtime.block_on(async {
        let opened = deposits_on_chain(world, fixture.payer.address).await;
        assert!(opened.len() >= 5, "{opened:?}");
        assert_eq!(opened.len(), stored, "an open deposit is not in the store");
        // No transaction has failed, or `fees` would panic: each one opened a round, or reclaimed one that no round
        // reopened.
        let (_, count) = fees(world, fixture.payer.address).await;
        let taken_back = deposits
            .iter()
            .filter(|(_, record)| record.state == DepositState::Reclaimed);
        let count = usize::try_from(count).unwrap();
        assert!(
            (stored..=stored + taken_back.count()).contains(&count),
            "{count} transactions"
        );
    });
}

async fn deposits_on_chain(world: &World, payer: Address) -> Vec<FoundDeposit> {
    let head = world.head().await;
    world.reader.find_deposits(payer, 0, head).await.unwrap()
}

/// Mines a block whose base fee keeps out all pending transactions.
async fn expensive_block(world: &World) {
    world.node.set_base_fee(10).await;
    world.node.mine(1).await;
}

#[tokio::test]
async fn bumps_fee_of_stuck_opening_while_payments_continue() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, _) = fixture.actors();
    // Another deposit, for the payments.
    let mut request = fixture.request(0);
    request.draw = Draw::At(world.now().await + 300);
    let list: Vec<_> = request.allowances.clone();
    let other = payer.create_deposit(&request).await.unwrap().id;
    let mut of_rounds = fixture.rounds();
    of_rounds.draw_in = 200;
    // The other deposit is nearly spent from the first payment on, so a round is due.
    of_rounds.nearly_spent = (1, u32::MAX);
    let limited = fixture.payer.wallet.clone().with_max_fee(15_000_000_000);
    let service = |wallet, rounds: &Rounds| {
        let payer = payer.clone().with_wallet(wallet);
        PayerService::new(payer, Some(rounds.clone()))
    };
    let frugal = service(limited, &of_rounds);
    frugal.step().await.unwrap();
    let pay = async |service: &PayerService| {
        let paid = service
            .pay(list[0].0, Address::ZERO, coins(1))
            .await
            .unwrap();
        assert_eq!(paid[0].deposit, other);
    };
    pay(&frugal).await;

    world.node.automine(false).await;
    expensive_block(world).await;
    world.node.set_base_fee(1).await;
    world.node.mine(1).await;
    frugal.step().await.unwrap();
    let pending = async |service: &PayerService| {
        let status = service.status().await.unwrap();
        let mut pending = status
            .into_iter()
            .filter(|status| status.record.state == DepositState::Pending);
        let found = pending.next().expect("a pending deposit");
        assert!(pending.next().is_none(), "two pending deposits");
        found
    };
    let waits = pending(&frugal).await;
    assert!(
        waits.reason.contains("waits to be mined"),
        "{}",
        waits.reason
    );
    // The pauses between two attempts double, and the attempt after 31 seconds is to raise the fee.
    for _ in 0..40 {
        expensive_block(world).await;
        frugal.step().await.unwrap();
        pay(&frugal).await;
    }
    let refused = pending(&frugal).await;
    assert_eq!(refused.id, waits.id);
    assert!(
        refused.reason.contains("the limit is 15000000000"),
        "{}",
        refused.reason
    );
    assert!(
        refused.next.contains("tried again at 20"),
        "{}",
        refused.next
    );

    // Another process with a higher fee limit.
    let rich = service(fixture.payer.wallet.clone(), &of_rounds);
    expensive_block(world).await;
    rich.step().await.unwrap();
    let bumped = pending(&rich).await;
    assert_eq!(bumped.id, waits.id);
    assert!(
        bumped.reason.contains("waits to be mined"),
        "{}",
        bumped.reason
    );
    assert_ne!(
        bumped.reason, waits.reason,
        "the same transaction is pending"
    );
    world.node.mine(1).await;
    rich.step().await.unwrap();
    let record = rich.payer().deposit(waits.id).await.unwrap();
    assert_eq!(record.state, DepositState::Active);
    assert_eq!(
        deposits_on_chain(world, fixture.payer.address).await.len(),
        2
    );
    assert_eq!(
        fees(world, fixture.payer.address).await.1,
        2,
        "not nonces 0 and 1"
    );
    let held = world.coin(world.reader.bank().address()).await;
    assert_eq!(
        held,
        coins(1_200).to_u256(),
        "the bank holds more than two deposits"
    );
}
