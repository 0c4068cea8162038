//! Round after round on a node, with payer and payees started anew from their files in between.

use crate::cast::{Cast, opened, pay, poll, rejection};
use crate::node::{World, coins};
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

/// How many: a few, or what the environment variable `SOAK_NODE_ROUNDS` says.
fn rounds() -> u64 {
    std::env::var("SOAK_NODE_ROUNDS").map_or(4, |text| {
        text.parse()
            .expect("SOAK_NODE_ROUNDS is the number of rounds")
    })
}

/// The parties as processes that have just been started.
struct Running {
    payer: Payer,
    payees: Vec<Payee>,
}

impl Running {
    fn start(cast: &Cast, directory: &Path) -> Self {
        let store = |name: &str| Arc::new(Redb::open(directory.join(name)).unwrap());
        let payees = cast.payees.iter();
        Self {
            payer: cast.world.payer(&cast.payer, store("payer")),
            payees: payees
                .map(|party| {
                    let name = party.address.to_string();
                    cast.world.payee(party, store(&name))
                })
                .collect(),
        }
    }
}

#[tokio::test]
async fn through_many_rounds_and_restarts_money_is_conserved_and_every_payment_counts_once() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let directory = tempfile::tempdir().unwrap();
    let start = || Running::start(&cast, directory.path());
    let mut rng = ChaCha8Rng::seed_from_u64(20);
    let mut last: Option<DepositId> = None;
    for round in 1..=rounds() {
        let mut request = cast.request(30);
        request.redeem_window = Some(20);
        let now = start();
        let opened = match last {
            None => opened(world, &now.payer, &request).await,
            Some(last) => now.payer.reopen(last, &request).await.unwrap(),
        };
        assert_eq!(opened.deposit.lane, 1, "one purse serves all rounds");
        drop(now);

        // Payments, each side with another life in the middle. In every third round nobody is paid, so nobody wins.
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
                    let again = payee.receive_payment(None, &payment.proof.unwrap()).await;
                    assert_eq!(rejection(again), Rejection::Replay);
                }
            }
        }
        let now = start();
        for (payee, credited) in now.payees.iter().zip(credited) {
            let held = payee.holding(opened.id).await.unwrap();
            let held = held.map_or(Amount::ZERO, |position| position.credited());
            assert_eq!(held, credited);
        }
        drop(now);

        world.node.mine_to(opened.deposit.drawBlock + 1).await;
        let now = start();
        let mut redeemed = 0;
        for payee in &now.payees {
            for (id, result) in payee.settle().await.unwrap() {
                assert_eq!(id, opened.id);
                result.unwrap();
                redeemed += 1;
            }
            assert!(payee.settle().await.unwrap().is_empty());
        }
        world.node.mine_to(opened.deposit.lastRedeemBlock + 1).await;
        poll(&now.payer).await;
        let state = now.payer.deposit(opened.id).await.unwrap().state;
        // Who is paid something has all of its allowance's range.
        if round % 3 == 0 {
            assert_eq!((state, redeemed), (DepositState::Reclaimable, 0));
        } else {
            assert!(matches!(state, DepositState::Redeemed { .. }), "{state:?}");
            assert_eq!(redeemed, 1);
        }
        for payee in &now.payees {
            payee.prune().await.unwrap();
            assert!(payee.ledger().await.unwrap().is_empty());
        }
        assert_conserved(world, &cast).await;
        last = Some(opened.id);
    }
}

/// Funded = paid out + withdrawn + idle + open, by the bank's events, its purses and its coin.
async fn assert_conserved(world: &World, cast: &Cast) {
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
    let payer = cast.payer.address;
    let purse = (payer, Address::ZERO, 1);
    let mut held = match world.reader.purse(purse, world.head().await).await.unwrap() {
        Purse::Idle(idle) => idle.to_u256(),
        // Every round's deposit is the same sum.
        Purse::Open(_) => coins(600).to_u256(),
    };
    for party in cast.payees.iter().chain([&cast.payer]) {
        held += world.balance(party.address).await;
    }
    assert_eq!(funded, out + held);
    assert_eq!(world.coin(bank).await, held);
}
