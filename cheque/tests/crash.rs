//! Payer and payee are killed at random moments, and lose nothing.
//!
//! Each runs as a process of its own: this test binary, started again with a role in its environment.

#![cfg(all(feature = "client", feature = "redb"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod node;
#[path = "common/process.rs"]
mod process;
#[path = "common/repeat.rs"]
mod repeat;

use alloy_primitives::Address;
use cheque::{
    Amount, DepositId, Proof, Rejection, SignedCheque,
    bank::Reader,
    node::connect,
    payee::{Payee, ReceiveError},
    payer::{DepositRequest, Draw, Payer},
    store::Redb,
};
use node::{Party, World, coins};
use process::{Process, say};
use rand::{Rng, SeedableRng};
use repeat::kills;
use std::{
    collections::BTreeMap,
    io::{self, BufRead},
    path::Path,
    sync::Arc,
};

const ROLE: &str = "CHEQUE_TEST_ROLE";
const URL: &str = "CHEQUE_TEST_URL";
const BANK: &str = "CHEQUE_TEST_BANK";
const STORE: &str = "CHEQUE_TEST_STORE";
const DEPOSIT: &str = "CHEQUE_TEST_DEPOSIT";

/// How many old proofs are shown again after each kill.
const AGAIN: usize = 200;
const PAYMENT: Amount = Amount::new(1_000_000_000_000);

#[tokio::test]
async fn killed_at_random_payer_and_payee_lose_nothing_and_count_nothing_twice() {
    let world = World::new().await;
    let (payer, payee) = (world.party(1).await, world.party(11).await);
    let directory = tempfile::tempdir().unwrap();
    let payers = directory.path().join("payer.redb");
    let payees = directory.path().join("payee.redb");
    let mut request = DepositRequest::new(
        vec![(payee.address, coins(900))],
        payer.address,
        Draw::In(100),
    );
    request.min_payout = Some(coins(900));
    let first = open_payer(&world, &payer, &payers);
    let id = first.create_deposit(&request).await.unwrap().id;
    drop(first);

    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    let mut handed_out = BTreeMap::<Amount, SignedCheque>::new();
    let mut proofs = Vec::new();
    let (mut last_acknowledged, mut values) = (Amount::ZERO, Amount::ZERO);
    let mut given = 0;
    let kills = kills();
    for _ in 0..kills {
        // The payer pays until it is killed.
        let mut process = start(&world, "payer", &payers, id);
        for line in process.kill_after(rng.random_range(1..40), rng.random_range(0..3_000)) {
            let proof: Proof = line.parse().unwrap();
            let cheque = match &proof {
                Proof::Opening(opening) => opening.cheque,
                Proof::Cheque(_, cheque) => *cheque,
                Proof::Step { .. } => panic!("there is no stream"),
            };
            let twice = handed_out.insert(cheque.spent, cheque);
            assert_eq!(twice, None, "no total is promised by two cheques");
            proofs.push(proof);
        }
        let restarted = open_payer(&world, &payer, &payers);
        let known = restarted.last_cheque(id, payee.address).await.unwrap();
        let (known, _) = known.unwrap();
        let newest = *handed_out.keys().next_back().unwrap();
        assert!(
            known >= newest,
            "handed out {newest}, the payer knows {known}"
        );
        let most = newest.checked_add(PAYMENT).unwrap();
        assert!(known <= most, "at most one payment had no time to leave");
        drop(restarted);

        // The payee takes payments until it is killed.
        let mut process = start(&world, "payee", &payees, id);
        process.give(&proofs[given..]);
        for line in process.kill_after(rng.random_range(1..30), rng.random_range(0..3_000)) {
            let (total, value) = line.split_once(' ').unwrap();
            last_acknowledged = Amount::new(total.parse().unwrap());
            let value = Amount::new(value.parse().unwrap());
            values = values.checked_add(value).unwrap();
        }
        let restarted = open_payee(&world, &payee, &payees);
        let held = restarted.holding(id).await.unwrap().unwrap();
        assert!(
            held.total() >= last_acknowledged,
            "no acknowledged payment is lost"
        );
        assert!(
            held.credited() >= values,
            "nothing is acknowledged that is not kept"
        );
        // What is kept but was not acknowledged is not counted a second time.
        given = proofs
            .iter()
            .position(|proof| total(proof) > held.total())
            .unwrap_or(proofs.len());
        for proof in &proofs[given.saturating_sub(AGAIN)..given] {
            let again = restarted.receive_payment(None, proof).await.unwrap_err();
            let known = matches!(
                again,
                ReceiveError::Rejected(Rejection::Replay | Rejection::Stale { .. })
            );
            assert!(known, "{again}");
        }
        let kept =
            |proof: &&Proof| (last_acknowledged < total(proof)) && (total(proof) <= held.total());
        match proofs.iter().filter(kept).count() {
            0 => assert_eq!(held.credited(), values),
            1 => assert!(held.credited() > values),
            kept => panic!("{kept} payments were kept without a word"),
        }
        values = held.credited();
    }

    // The rest arrives, and all of it is worth what one cheque of this total is.
    let restarted = open_payee(&world, &payee, &payees);
    for proof in &proofs[given..] {
        restarted.receive_payment(None, proof).await.unwrap();
    }
    let held = restarted.holding(id).await.unwrap().unwrap();
    assert_eq!(held.total(), total(proofs.last().unwrap()));
    let worth = held.payout().unwrap();
    let worth = worth.expected_value(coins(900), held.redeem_cost());
    assert_eq!(held.credited(), worth);
    assert!(proofs.len() > kills);
}

fn total(proof: &Proof) -> Amount {
    match proof {
        Proof::Opening(opening) => opening.cheque.spent,
        Proof::Cheque(_, cheque) => cheque.spent,
        Proof::Step { .. } => panic!("there is no stream"),
    }
}

fn open_payer(world: &World, party: &Party, store: &Path) -> Payer {
    world.payer(party, Arc::new(Redb::open(store).unwrap()))
}

fn open_payee(world: &World, party: &Party, store: &Path) -> Payee {
    world.payee(party, Arc::new(Redb::open(store).unwrap()))
}

/// A payer or payee as a process of its own.
fn start(world: &World, role: &str, store: &Path, id: DepositId) -> Process {
    let bank = world.reader.bank().address();
    Process::start(
        "role",
        &[
            (ROLE, role),
            (URL, &world.node.url),
            (BANK, &bank.to_string()),
            (STORE, store.to_str().unwrap()),
            (DEPOSIT, &id.to_string()),
        ],
    )
}

/// Not a statement of its own: what the test above runs as other processes.
#[tokio::test]
async fn role() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let variable = |name| std::env::var(name).unwrap();
    let provider = connect(&variable(URL)).await.unwrap();
    let bank: Address = variable(BANK).parse().unwrap();
    let reader = Reader::open(provider, bank).await.unwrap();
    let store = Arc::new(Redb::open(variable(STORE)).unwrap());
    let id: DepositId = variable(DEPOSIT).parse().unwrap();
    let payee = node::secret(11).1;
    match &role[..] {
        "payer" => {
            let payer = Payer::new(reader, store).with_key(node::secret(1).0);
            loop {
                let payment = payer.write_cheque(id, payee, PAYMENT).await.unwrap();
                say(&payment.proof.unwrap().to_string());
            }
        }
        _ => {
            let policy = node::policy(&reader, payee);
            let payee = Payee::new(reader, policy, store);
            for line in io::stdin().lock().lines() {
                let proof = line.unwrap().parse().unwrap();
                let taken = payee.receive_payment(None, &proof).await.unwrap();
                say(&format!("{} {}", taken.total, taken.value));
            }
        }
    }
}
