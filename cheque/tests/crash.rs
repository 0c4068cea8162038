//! Payer and payee are killed at random moments and lose nothing. Each runs as another process of this test binary.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/harness.rs"]
mod harness;
#[path = "support/host_balance.rs"]
mod host_balance;
#[path = "support/node.rs"]
mod node;
#[path = "support/process.rs"]
mod process;

use alloy_primitives::Address;
use cheque::{
    Amount, DepositId, Proof, Rejection, SignedCheque,
    bank::Reader,
    node::connect,
    payee::{Payee, ReceiveError},
    payer::{DepositRequest, Draw, Payer},
    store::{Redb, Store, Table},
};
use harness::{kills, tests};
use host_balance::{BALANCE, credit, units};
use node::{Account, World, coins};
use process::{Process, say};
use rand::{Rng, SeedableRng};
use std::{
    collections::BTreeMap,
    io::{self, BufRead},
    path::Path,
    process::ExitCode,
    sync::Arc,
};

const URL: &str = "CHEQUE_TEST_URL";
const BANK: &str = "CHEQUE_TEST_BANK";
const BEACON: &str = "CHEQUE_TEST_BEACON";
const STORE: &str = "CHEQUE_TEST_STORE";
const DEPOSIT: &str = "CHEQUE_TEST_DEPOSIT";

/// Old proofs shown again after each kill.
const AGAIN: usize = 200;
const PAYMENT: Amount = Amount::new(1_000_000_000_000);

fn main() -> ExitCode {
    harness::run(&[("payer", run_payer), ("payee", run_payee)], || {
        tests![killed_payer_and_payee_lose_nothing_and_count_nothing_twice]
    })
}

#[tokio::main(flavor = "current_thread")]
async fn killed_payer_and_payee_lose_nothing_and_count_nothing_twice() {
    let world = World::new().await;
    let (payer, payee) = (world.account(1).await, world.account(11).await);
    let directory = tempfile::tempdir().unwrap();
    let payers = directory.path().join("payer.redb");
    let payees = directory.path().join("payee.redb");
    let mut request = DepositRequest::new(
        vec![(payee.address, coins(900))],
        payer.address,
        Draw::In(3_600),
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
        // The payer pays until killed.
        let mut process = start(&world, "payer", &payers, id);
        for line in process.kill_after(rng.random_range(1..40), rng.random_range(0..3_000)) {
            let proof: Proof = line.parse().unwrap();
            let cheque = match &proof {
                Proof::Opening(opening) => opening.cheque,
                Proof::Cheque(_, cheque) => *cheque,
                Proof::Step { .. } => panic!("a step without a stream"),
            };
            let twice = handed_out.insert(cheque.spent, cheque);
            assert_eq!(twice, None, "two cheques promise the same total");
            proofs.push(proof);
        }
        let restarted = open_payer(&world, &payer, &payers);
        let known = restarted.spent_and_left(id, payee.address).await.unwrap();
        let (known, _) = known.unwrap();
        let newest = *handed_out.keys().next_back().unwrap();
        assert!(
            known >= newest,
            "handed out {newest}, but the payer has only {known}"
        );
        let max = newest.checked_add(PAYMENT).unwrap();
        assert!(known <= max, "more than one payment was not handed out");
        drop(restarted);

        // The payee receives payments until killed.
        let mut process = start(&world, "payee", &payees, id);
        process.give(&proofs[given..]);
        // At any moment of a payment, which takes some milliseconds.
        let micros = rng.random_range(0..12_000);
        for line in process.kill_after(rng.random_range(1..30), micros) {
            let (total, value) = line.split_once(' ').unwrap();
            last_acknowledged = Amount::new(total.parse().unwrap());
            let value = Amount::new(value.parse().unwrap());
            values = values.checked_add(value).unwrap();
        }
        let store = Arc::new(Redb::open(&payees).unwrap());
        let balance = store.get(Table::App, BALANCE).unwrap();
        let restarted = world.payee(&payee, store);
        let held = restarted.position(id).await.unwrap().unwrap();
        assert_eq!(
            units(balance.as_deref()),
            held.credited().get(),
            "position and balance differ"
        );
        assert!(
            held.total() >= last_acknowledged,
            "an acknowledged payment is lost"
        );
        assert!(
            held.credited() >= values,
            "an acknowledged value is not stored"
        );
        // A payment stored without acknowledgement does not count a second time.
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
            kept => panic!("{kept} payments were stored without acknowledgement"),
        }
        values = held.credited();
        drop(restarted);
        released(&payees).await;
    }

    // The rest arrives. The credited sum is the value of a single cheque over the total.
    let restarted = open_payee(&world, &payee, &payees);
    for proof in &proofs[given..] {
        let taken = restarted.receive_payment_with(None, proof, credit).await;
        taken.unwrap();
    }
    let balance = restarted.app_records().get(BALANCE).await.unwrap();
    let held = restarted.position(id).await.unwrap().unwrap();
    assert_eq!(held.total(), total(proofs.last().unwrap()));
    let worth = held.payout().unwrap();
    let worth = worth.expected_value(coins(900), held.redeem_cost());
    assert_eq!(held.credited(), worth);
    assert_eq!(units(balance.as_deref()), worth.get());
    assert!(proofs.len() > kills);
}

fn total(proof: &Proof) -> Amount {
    match proof {
        Proof::Opening(opening) => opening.cheque.spent,
        Proof::Cheque(_, cheque) => cheque.spent,
        Proof::Step { .. } => panic!("a step without a stream"),
    }
}

/// Waits until this process has closed a store: a look at the chain that began meanwhile keeps it open for a moment.
async fn released(store: &Path) {
    for _ in 0..500 {
        if Redb::open(store).is_ok() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the store stays open");
}

fn open_payer(world: &World, account: &Account, store: &Path) -> Payer {
    world.payer(account, Arc::new(Redb::open(store).unwrap()))
}

fn open_payee(world: &World, account: &Account, store: &Path) -> Payee {
    world.payee(account, Arc::new(Redb::open(store).unwrap()))
}

/// Starts a payer or payee as another process.
fn start(world: &World, role: &str, store: &Path, id: DepositId) -> Process {
    let bank = world.reader.bank().address();
    Process::start(
        role,
        &[
            (URL, &world.node.url),
            (BANK, &bank.to_string()),
            (BEACON, &world.beacon.url),
            (STORE, store.to_str().unwrap()),
            (DEPOSIT, &id.to_string()),
        ],
    )
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap()
}

/// Reader, store and deposit of a role.
async fn setting() -> (Reader, Arc<Redb>, DepositId) {
    let provider = connect(&variable(URL)).await.unwrap();
    let bank: Address = variable(BANK).parse().unwrap();
    let reader = Reader::open(provider, bank).await.unwrap();
    let store = Arc::new(Redb::open(variable(STORE)).unwrap());
    (reader, store, variable(DEPOSIT).parse().unwrap())
}

#[tokio::main(flavor = "current_thread")]
async fn run_payer() {
    let (reader, store, id) = setting().await;
    let payer = Payer::new(reader, store)
        .with_beacon(node::beacon::client(&variable(BEACON)))
        .unwrap()
        .with_key(node::secret(1).0);
    loop {
        let payment = payer.write_cheque(id, node::secret(11).1, PAYMENT).await;
        say(&payment.unwrap().proof.to_string());
    }
}

#[tokio::main(flavor = "current_thread")]
async fn run_payee() {
    let (reader, store, _) = setting().await;
    let policy = node::policy(&reader, node::secret(11).1);
    let payee = Payee::new(reader, policy, store).unwrap();
    let beacon = node::beacon::client(&variable(BEACON));
    let payee = payee.with_beacon(beacon).unwrap();
    for line in io::stdin().lock().lines() {
        let proof = line.unwrap().parse().unwrap();
        let taken = payee.receive_payment_with(None, &proof, credit).await;
        let taken = taken.unwrap();
        say(&format!("{} {}", taken.total, taken.value));
    }
}
