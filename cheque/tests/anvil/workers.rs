//! Eight workers of one payee that share a PostgreSQL database, and get the cheques of one payer as a load balancer deals
//! them out: to any of them, and in the order in which they happen to come.

use crate::{
    cast::{Cast, opened},
    node::{self, World, coins},
    postgres::server,
    process::{Process, say},
};
use cheque::{
    Amount, DepositId, Proof, Rejection,
    bank::Reader,
    node::connect,
    payee::{Accepted, Payee, ReceiveError},
    payer::Payer,
    store::Postgres,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{
    collections::BTreeSet,
    io::{self, BufRead},
    sync::Arc,
};
use tokio::runtime::Runtime;

const WORKERS: usize = 8;
const PAYMENTS: usize = 400;
const PAYEE: u8 = 11;

const URL: &str = "CHEQUE_TEST_URL";
const BANK: &str = "CHEQUE_TEST_BANK";
const STORE: &str = "CHEQUE_TEST_STORE";

/// What became of a payment.
fn judged(result: Result<Accepted, ReceiveError>) -> Result<(Amount, Amount), Rejection> {
    match result {
        Ok(taken) => Ok((taken.total, taken.value)),
        Err(ReceiveError::Rejected(rejection)) => Err(rejection),
        Err(error) => panic!("{error}"),
    }
}

/// A worker's payee, with connections of its own.
fn worker(world: &World, database: &str) -> Payee {
    let party = node::secret(PAYEE).1;
    let store = Arc::new(Postgres::open(database).unwrap());
    Payee::new(
        world.reader.clone(),
        node::policy(&world.reader, party),
        store,
    )
}

/// A deposit, an opening, and cheques after it.
async fn payments(cast: &Cast, payer: &Payer) -> (DepositId, Vec<Proof>) {
    let mut request = cast.request(60);
    // However little is paid, a win is worth its gas.
    request.min_payout = Some(coins(100));
    let id = opened(&cast.world, payer, &request).await.id;
    let mut proofs = Vec::new();
    let unit = Amount::new(coins(100).get() / PAYMENTS as u128);
    for _ in 0..PAYMENTS {
        let payment = payer.write_cheque(id, node::secret(PAYEE).1, unit).await;
        proofs.push(payment.unwrap().proof.unwrap());
    }
    (id, proofs)
}

/// Deals out all proofs but the first, keeping their order at each worker.
fn dealt(proofs: &[Proof], rng: &mut ChaCha8Rng) -> Vec<Vec<Proof>> {
    let mut hands = vec![Vec::new(); WORKERS];
    for proof in &proofs[1..] {
        hands[rng.random_range(0..WORKERS)].push(proof.clone());
    }
    hands
}

/// The payee holds the newest cheque, and has credited what that is worth: all increments, each once.
async fn assert_all_is_credited(payee: &Payee, id: DepositId) -> Amount {
    let held = payee.holding(id).await.unwrap().unwrap();
    assert_eq!(held.total(), coins(100));
    let amount = Amount::new(held.deposit().amount);
    let worth = held.payout().unwrap();
    let worth = worth.expected_value(amount, held.redeem_cost());
    assert_eq!(held.credited(), worth);
    worth
}

#[test]
fn eight_workers_credit_every_increment_of_one_payer_once_and_refuse_the_rest_as_stale() {
    let Some(server) = server() else { return };
    let database = server.database();
    let work = async {
        let cast = Cast::new().await;
        let world = &cast.world;
        let (payer, _) = cast.players();
        let (id, proofs) = payments(&cast, &payer).await;
        let workers: Vec<_> = (0..WORKERS).map(|_| worker(world, &database)).collect();
        let opening = judged(workers[0].receive_payment(None, &proofs[0]).await);
        let mut taken = BTreeSet::from([opening.unwrap()]);
        let mut rng = ChaCha8Rng::seed_from_u64(8);
        let hands = dealt(&proofs, &mut rng).into_iter().zip(workers.clone());
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
                    Ok(taken_now) => assert!(taken.insert(taken_now)),
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
        assert_eq!(taken.len() + stale, PAYMENTS);
        assert!(stale > 0, "they were in each other's way");
        let worth = assert_all_is_credited(&workers[0], id).await;
        let values = taken.iter().map(|(_, value)| value.get());
        assert_eq!(values.sum::<u128>(), worth.get());
    };
    Runtime::new().unwrap().block_on(work);
}

#[test]
fn workers_killed_in_the_middle_lose_nothing_and_the_others_go_on() {
    let Some(server) = server() else { return };
    let database = server.database();
    let work = async {
        let cast = Cast::new().await;
        let world = &cast.world;
        let (payer, _) = cast.players();
        let (id, proofs) = payments(&cast, &payer).await;
        let payee = worker(world, &database);
        let opening = judged(payee.receive_payment(None, &proofs[0]).await);
        let mut acknowledged = opening.unwrap().1.get();
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let bank = world.reader.bank().address().to_string();
        let variables = [
            (URL, &world.node.url[..]),
            (BANK, &bank),
            (STORE, &database),
        ];
        let hands = dealt(&proofs, &mut rng);
        let mut processes: Vec<_> = hands
            .iter()
            .map(|hand| {
                let mut process = Process::start("workers::process", &variables);
                process.give(hand);
                process
            })
            .collect();
        // Half of them are killed, each at another place. The others come to their end.
        let mut unanswered = Vec::new();
        for (number, process) in processes.iter_mut().enumerate() {
            let said = if number < WORKERS / 2 {
                process.kill_after(1 + number, rng.random_range(0..3_000))
            } else {
                std::iter::from_fn(|| process.line()).collect()
            };
            acknowledged += said.iter().map(|line| value_of(line)).sum::<u128>();
            unanswered.extend(&hands[number][said.len()..]);
        }
        assert!(!unanswered.is_empty(), "some were killed too late");
        // What was not answered is sent again, to another one. What is kept of it was not acknowledged.
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

/// What a worker has credited with a line that it says; an older cheque adds nothing.
fn value_of(line: &str) -> u128 {
    match line.strip_prefix("stale") {
        Some(_) => 0,
        None => line.parse().unwrap(),
    }
}

/// Not a statement of its own: a worker as another process.
#[tokio::test]
async fn process() {
    let Ok(url) = std::env::var(URL) else {
        return;
    };
    let variable = |name| std::env::var(name).unwrap();
    let provider = connect(&url).await.unwrap();
    let bank = variable(BANK).parse().unwrap();
    let reader = Reader::open(provider, bank).await.unwrap();
    let store = Arc::new(Postgres::open(&variable(STORE)).unwrap());
    let policy = node::policy(&reader, node::secret(PAYEE).1);
    let payee = Payee::new(reader, policy, store);
    for line in io::stdin().lock().lines() {
        let proof = line.unwrap().parse().unwrap();
        match judged(payee.receive_payment(None, &proof).await) {
            Ok((_, value)) => say(&value.to_string()),
            Err(Rejection::Stale { .. }) => say("stale"),
            Err(error) => panic!("{error}"),
        }
    }
}
