//! Eight workers of one payee share a PostgreSQL database. A load balancer deals the cheques of one payer out to them,
//! in any order.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/fixtures.rs"]
mod fixtures;
#[path = "support/harness.rs"]
mod harness;
#[path = "support/node.rs"]
mod node;
#[path = "support/postgres.rs"]
mod postgres;
#[path = "support/process.rs"]
mod process;

use cheque::{
    Amount, DepositId, Proof, Rejection,
    bank::Reader,
    node::connect,
    payee::{Accepted, Payee, ReceiveError},
    payer::Payer,
    store::Postgres,
};
use fixtures::{Fixture, HOUR, open_deposit};
use harness::tests;
use node::{World, coins};
use postgres::Server;
use process::{Process, say};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{
    collections::BTreeSet,
    io::{self, BufRead},
    process::ExitCode,
    sync::Arc,
};
use tokio::runtime::Runtime;

const WORKERS: usize = 8;
const PAYMENTS: usize = 400;
const PAYEE: u8 = 11;

const URL: &str = "CHEQUE_TEST_URL";
const BANK: &str = "CHEQUE_TEST_BANK";
const BEACON: &str = "CHEQUE_TEST_BEACON";
const STORE: &str = "CHEQUE_TEST_STORE";

fn main() -> ExitCode {
    harness::run(&[("worker", run_worker)], || {
        let all = tests![
            credits_each_increment_once_with_eight_workers,
            keeps_acknowledged_payments_of_killed_workers,
        ];
        harness::ignore_if(postgres::missing(), all).collect()
    })
}

/// Total and credited value of a payment, or its rejection.
fn judged(result: Result<Accepted, ReceiveError>) -> Result<(Amount, Amount), Rejection> {
    match result {
        Ok(accepted) => Ok((accepted.total, accepted.value)),
        Err(ReceiveError::Rejected(rejection)) => Err(rejection),
        Err(error) => panic!("{error}"),
    }
}

/// A worker's payee, with connections of its own.
fn worker(world: &World, database: &str) -> Payee {
    let account = node::secret(PAYEE).1;
    let store = Arc::new(Postgres::open(database).unwrap());
    let policy = node::policy(&world.reader, account);
    let payee = Payee::new(world.reader.clone(), policy, store).unwrap();
    payee.with_beacon(world.beacon.client.clone()).unwrap()
}

/// Opens a deposit and writes its opening and the cheques that follow.
async fn payments(fixture: &Fixture, payer: &Payer) -> (DepositId, Vec<Proof>) {
    let mut request = fixture.request(HOUR);
    // Makes a win worth its gas after the smallest payment.
    request.min_payout = Some(coins(100));
    let id = open_deposit(&fixture.world, payer, &request).await.id;
    let mut proofs = Vec::new();
    let unit = Amount::new(coins(100).get() / PAYMENTS as u128);
    for _ in 0..PAYMENTS {
        let payment = payer.write_cheque(id, node::secret(PAYEE).1, unit).await;
        proofs.push(payment.unwrap().proof);
    }
    (id, proofs)
}

/// Deals out all proofs but the first. Each worker keeps their order.
fn deal(proofs: &[Proof], rng: &mut ChaCha8Rng) -> Vec<Vec<Proof>> {
    let mut hands = vec![Vec::new(); WORKERS];
    for proof in &proofs[1..] {
        hands[rng.random_range(0..WORKERS)].push(proof.clone());
    }
    hands
}

/// Checks that the payee holds the newest cheque and has credited its worth: every increment, each once.
async fn assert_all_is_credited(payee: &Payee, id: DepositId) -> Amount {
    let held = payee.position(id).await.unwrap().unwrap();
    assert_eq!(held.total(), coins(100));
    let amount = Amount::new(held.deposit().amount);
    let worth = held.payout().unwrap();
    let worth = worth.expected_value(amount, held.redeem_cost());
    assert_eq!(held.credited(), worth);
    worth
}

fn credits_each_increment_once_with_eight_workers() {
    // A cheque that reaches a worker after a newer one is refused as stale: the newer total includes it.
    let server = Server::shared();
    let database = server.database();
    let work = async {
        let fixture = Fixture::new().await;
        let world = &fixture.world;
        let (payer, _) = fixture.actors();
        let (id, proofs) = payments(&fixture, &payer).await;
        let workers: Vec<_> = (0..WORKERS).map(|_| worker(world, &database)).collect();
        let opening = judged(workers[0].receive_payment(None, &proofs[0]).await);
        let mut accepted = BTreeSet::from([opening.unwrap()]);
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        let hands = deal(&proofs, &mut rng).into_iter().zip(workers.clone());
        let tasks: Vec<_> = hands
            .map(|(hand, worker)| {
                tokio::spawn(async move {
                    let mut results = Vec::new();
                    for proof in &hand {
                        results.push(judged(worker.receive_payment(None, proof).await));
                    }
                    results
                })
            })
            .collect();
        let mut stale = 0;
        for task in tasks {
            for result in task.await.unwrap() {
                match result {
                    Ok(payment) => assert!(accepted.insert(payment)),
                    Err(Rejection::Stale {
                        total,
                        newest_total,
                        ..
                    }) => {
                        assert!(total < newest_total);
                        stale += 1;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
        assert_eq!(accepted.len() + stale, PAYMENTS);
        assert!(stale > 0, "no two workers competed");
        let worth = assert_all_is_credited(&workers[0], id).await;
        let values = accepted.iter().map(|(_, value)| value.get());
        assert_eq!(values.sum::<u128>(), worth.get());
    };
    Runtime::new().unwrap().block_on(work);
}

fn keeps_acknowledged_payments_of_killed_workers() {
    let server = Server::shared();
    let database = server.database();
    let work = async {
        let fixture = Fixture::new().await;
        let world = &fixture.world;
        let (payer, _) = fixture.actors();
        let (id, proofs) = payments(&fixture, &payer).await;
        let payee = worker(world, &database);
        let opening = judged(payee.receive_payment(None, &proofs[0]).await);
        let mut acknowledged = opening.unwrap().1.get();
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let bank = world.reader.bank().address().to_string();
        let variables = [
            (URL, &world.node.url[..]),
            (BANK, &bank),
            (BEACON, &world.beacon.url),
            (STORE, &database),
        ];
        let hands = deal(&proofs, &mut rng);
        let mut processes: Vec<_> = hands
            .iter()
            .map(|hand| {
                let mut process = Process::start("worker", &variables);
                process.give(hand);
                process
            })
            .collect();
        // Half of the workers are killed, each at another place. The others finish their hand.
        let mut unanswered = Vec::new();
        for (number, process) in processes.iter_mut().enumerate() {
            let said = if number < WORKERS / 2 {
                process.kill_after(1 + number, rng.random_range(0..3_000))
            } else {
                std::iter::from_fn(|| process.line()).collect()
            };
            acknowledged += said.iter().map(|line| credited(line)).sum::<u128>();
            unanswered.extend(&hands[number][said.len()..]);
        }
        assert!(
            !unanswered.is_empty(),
            "every kill came after the last payment"
        );
        // The payer sends the unanswered payments again, to another worker. A payment that a killed worker has stored
        // was not acknowledged.
        let mut silent = 0;
        for proof in unanswered {
            match judged(payee.receive_payment(None, proof).await) {
                Ok((_, value)) => acknowledged += value.get(),
                Err(Rejection::Replay | Rejection::Stale { .. }) => silent += 1,
                Err(error) => panic!("{error}"),
            }
        }
        let worth = assert_all_is_credited(&payee, id).await;
        if silent == 0 {
            assert_eq!(acknowledged, worth.get());
        } else {
            assert!(acknowledged <= worth.get());
        }
    };
    Runtime::new().unwrap().block_on(work);
}

/// The value that a worker has credited by its line. A stale cheque adds nothing.
fn credited(line: &str) -> u128 {
    match line.strip_prefix("stale") {
        Some(_) => 0,
        None => line.parse().unwrap(),
    }
}

/// A worker as another process: receives the proofs on its input and prints the credited values.
#[tokio::main(flavor = "current_thread")]
async fn run_worker() {
    let variable = |name| std::env::var(name).unwrap();
    let provider = connect(&variable(URL)).await.unwrap();
    let bank = variable(BANK).parse().unwrap();
    let reader = Reader::open(provider, bank).await.unwrap();
    let store = Arc::new(Postgres::open(&variable(STORE)).unwrap());
    let policy = node::policy(&reader, node::secret(PAYEE).1);
    let payee = Payee::new(reader, policy, store).unwrap();
    let beacon = node::beacon::client(&variable(BEACON));
    let payee = payee.with_beacon(beacon).unwrap();
    for line in io::stdin().lock().lines() {
        let proof = line.unwrap().parse().unwrap();
        match judged(payee.receive_payment(None, &proof).await) {
            Ok((_, value)) => say(&value.to_string()),
            Err(Rejection::Stale { .. }) => say("stale"),
            Err(error) => panic!("{error}"),
        }
    }
}
