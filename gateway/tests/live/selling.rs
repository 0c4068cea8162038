//! From the deposit to the win: parallel requests in between.

use crate::node::World;
use alloy_primitives::{Address, B128, B256};
use cheque::{
    Amount, Outcome as Redeemed,
    payer::{DepositRequest, DepositState, Draw},
    store::Memory,
};
use cheque_gateway::ledger::{
    Admitted, Ask, Currencies, Currency, Fingerprint, Ledger, LiveJudge, MaxPrice, Outcome,
    Payment, Room, RoomFor, Settings, Terms,
};
use std::{collections::BTreeMap, sync::Arc};

/// 0.01 coins: more than a win must pay at the node's gas price.
const PRICE: Amount = Amount::new(10_000_000_000_000_000);
const NOW: u64 = 1_800_000_000;

fn ask(request: u8, currency: Currency) -> Ask {
    Ask {
        fingerprint: Fingerprint(B256::repeat_byte(request)),
        prices: vec![(currency, PRICE.into())],
        key: None,
        now: NOW,
    }
}

fn paying(proof: cheque::Proof) -> Payment {
    Payment {
        proofs: vec![proof],
        max: Some(MaxPrice {
            currency: None,
            amount: PRICE,
        }),
    }
}

/// The payer writes 40 cheques, and shows the newest first. The deposit has one payee and pays its totals in full.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sells_parallel_requests_and_wins_what_they_paid() {
    let world = World::new().await;
    let (payer, payee) = (world.account(1).await, world.account(11).await);
    let allowance = Amount::new(1_000_000_000_000_000_000);
    let allowances = BTreeMap::from([(payee.address, allowance)]);
    let mut request = DepositRequest::new(
        allowances.into_iter().collect(),
        payer.address,
        Draw::In(3_600),
    );
    request.min_payout = Some(Amount::ZERO);
    let payer = world.payer(&payer, Arc::new(Memory::new()));
    let opened = payer.create_deposit(&request).await.unwrap();
    let polled = payer.poll().await.unwrap();
    assert!(polled.errors.is_empty());
    let deposit = payer.deposit(opened.id).await.unwrap();
    assert_eq!(deposit.state, DepositState::Active);

    let store = Arc::new(Memory::new());
    let address = payee.address;
    let payee = world.payee(&payee, store.clone());
    let currency = Currency {
        chain_id: payee.reader().bank().chain_id(),
        token: Address::ZERO,
    };
    let judge = Arc::new(LiveJudge::new(vec![payee.clone()]).unwrap());
    let settings = Settings::new(B128::repeat_byte(1));
    let ledger = Ledger::new(store, judge, Currencies::distinct(), settings);
    let room: RoomFor = Arc::new(|_| Room::Free);

    let mut proofs = Vec::new();
    for _ in 0..40 {
        let written = payer.write_cheque(opened.id, address, PRICE).await.unwrap();
        proofs.push(written.proof);
    }
    // The opening comes first, because a payee knows no deposit without it.
    let opening = proofs.remove(0);
    let first = ledger
        .admit(&ask(0, currency), &paying(opening), &room)
        .await
        .unwrap();
    let Admitted::Forward(first) = first else {
        panic!("{first:?}");
    };
    let served = Outcome::Answered {
        status: 200,
        cost: None,
    };
    let serve = (served, Terms::default());
    ledger
        .settle(&first, serve, None, NOW)
        .await
        .unwrap()
        .unwrap();
    let tasks: Vec<_> = (1..)
        .zip(proofs.into_iter().rev())
        .map(|(request, proof)| {
            let (ledger, room) = (ledger.clone(), room.clone());
            tokio::spawn(async move {
                let admitted = ledger
                    .admit(&ask(request, currency), &paying(proof), &room)
                    .await;
                let Ok(Admitted::Forward(admission)) = admitted else {
                    panic!("{admitted:?}");
                };
                ledger
                    .settle(&admission, serve, None, NOW)
                    .await
                    .unwrap()
                    .unwrap()
                    .charged
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), PRICE);
    }
    let sums = ledger.sums(*first.account()).await.unwrap();
    let paid = Amount::new(40 * PRICE.get());
    assert_eq!(
        (sums.balance, sums.charged, sums.credited),
        (Amount::ZERO, paid, paid)
    );

    // The payee redeems by the position that the ledger has stored.
    let late = payer
        .write_cheque(opened.id, address, PRICE)
        .await
        .unwrap()
        .proof;
    world.draw(&opened.deposit).await;
    let refused = ledger
        .admit(&ask(99, currency), &paying(late), &room)
        .await
        .unwrap();
    let Admitted::Refused(refusal) = refused else {
        panic!("{refused:?}");
    };
    assert!(
        matches!(refusal.code(), "past_cutoff" | "not_confirmed"),
        "{refusal}"
    );
    assert_eq!(
        payee.outcome(opened.id).await.unwrap(),
        (Redeemed::Payable, paid)
    );
}
