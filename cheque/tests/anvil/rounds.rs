//! Consecutive rounds on a node. Payer and payees restart from their files in between.

use crate::fixtures::{Fixture, open_deposit, pay, poll, rejection};
use crate::node::{World, coins};
use crate::settle::settle;
use alloy::{providers::Provider, rpc::types::Filter};
use alloy_primitives::{Address, U256};
use alloy_sol_types::SolEvent;
use cheque::store::Redb;
use cheque::{Amount, DepositId, Purse, Rejection};
use cheque::{
    payee::Payee,
    payer::{DepositState, Payer},
};
use cheque_bindings::{Funded, Redeemed, Withdrawn};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{path::Path, sync::Arc};

/// Number of rounds: 4, or the environment variable `SOAK_NODE_ROUNDS`.
fn rounds() -> u64 {
    std::env::var("SOAK_NODE_ROUNDS").map_or(4, |text| {
        text.parse()
            .expect("SOAK_NODE_ROUNDS is the number of rounds")
    })
}

/// Payer and payees as freshly started processes.
struct Running {
    payer: Payer,
    payees: Vec<Payee>,
}

impl Running {
    fn start(fixture: &Fixture, directory: &Path) -> Self {
        let store = |name: &str| Arc::new(Redb::open(directory.join(name)).unwrap());
        let payees = fixture.payees.iter();
        Self {
            payer: fixture.world.payer(&fixture.payer, store("payer")),
            payees: payees
                .map(|account| {
                    let name = account.address.to_string();
                    fixture.world.payee(account, store(&name))
                })
                .collect(),
        }
    }
}

#[tokio::test]
async fn conserves_money_through_rounds_and_restarts() {
    // Every payment counts once.
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let directory = tempfile::tempdir().unwrap();
    let start = || Running::start(&fixture, directory.path());
    let mut rng = ChaCha8Rng::seed_from_u64(20);
    let mut last: Option<DepositId> = None;
    for round in 1..=rounds() {
        let mut request = fixture.request(60);
        request.redeem_window = Some(20);
        let now = start();
        let opened = match last {
            None => open_deposit(world, &now.payer, &request).await,
            Some(last) => now.payer.reopen(last, &request).await.unwrap(),
        };
        assert_eq!(opened.deposit.lane, 1, "another purse was used");
        drop(now);

        // Payments, with a restart of all processes in the middle. In every third round no payee is paid, so none wins.
        let payments = if round % 3 == 0 { 0..=0 } else { 1..=3 };
        let mut credited = [Amount::ZERO; 3];
        for _ in 0..2 {
            let now = start();
            poll(&now.payer).await;
            for (payee, credited) in now.payees.iter().zip(&mut credited) {
                for _ in 0..rng.random_range(payments.clone()) {
                    let amount = coins(rng.random_range(5..12));
                    let (payment, taken) = pay(&now.payer, payee, opened.id, amount).await;
                    *credited = credited.checked_add(taken.value).unwrap();
                    let again = payee.receive_payment(None, &payment.proof).await;
                    assert_eq!(rejection(again), Rejection::Replay);
                }
            }
        }
        let now = start();
        for (payee, credited) in now.payees.iter().zip(credited) {
            let held = payee.position(opened.id).await.unwrap();
            let held = held.map_or(Amount::ZERO, |position| position.credited());
            assert_eq!(held, credited);
        }
        drop(now);

        world.draw(&opened.deposit).await;
        let now = start();
        let mut redeemed = 0;
        for payee in &now.payees {
            for (id, result) in settle(payee).await.unwrap() {
                assert_eq!(id, opened.id);
                result.unwrap();
                redeemed += 1;
            }
            assert!(settle(payee).await.unwrap().is_empty());
        }
        world.mine_at(opened.deposit.redeemUntil + 1).await;
        poll(&now.payer).await;
        let state = now.payer.deposit(opened.id).await.unwrap().state;
        // Any payment reserves the range of the whole allowance.
        if round % 3 == 0 {
            assert_eq!((state, redeemed), (DepositState::Reclaimable, 0));
        } else {
            assert!(matches!(state, DepositState::Redeemed { .. }), "{state:?}");
            assert_eq!(redeemed, 1);
        }
        for payee in &now.payees {
            payee.prune().await.unwrap();
            assert!(payee.positions().await.unwrap().is_empty());
        }
        assert_conserved(world, &fixture).await;
        last = Some(opened.id);
    }
}

/// Checks that funded = paid out + withdrawn + idle + open, by the bank's events, purses and coin.
async fn assert_conserved(world: &World, fixture: &Fixture) {
    let bank = world.reader.bank().address();
    let logs = Filter::new().address(bank).from_block(0);
    let logs = world.node.provider.get_logs(&logs).await.unwrap();
    let (mut funded, mut out) = (U256::ZERO, U256::ZERO);
    for log in logs {
        let log = log.inner;
        if let Ok(event) = Funded::decode_log(&log) {
            funded += event.amount;
        }
        if let Ok(event) = Withdrawn::decode_log(&log) {
            out += event.amount;
        }
        if let Ok(event) = Redeemed::decode_log(&log)
            && !event.to.is_zero()
        {
            out += U256::from(event.payout);
        }
    }
    let payer = fixture.payer.address;
    let purse = (payer, Address::ZERO, 1);
    let mut held = match world.reader.purse(purse, world.head().await).await.unwrap() {
        Purse::Idle(idle) => idle.to_u256(),
        // All rounds have the same deposit.
        Purse::Open(_) => coins(600).to_u256(),
    };
    for account in fixture.payees.iter().chain([&fixture.payer]) {
        held += world.balance(account.address).await;
    }
    assert_eq!(funded, out + held);
    assert_eq!(world.coin(bank).await, held);
}
