//! Growth of the throughput from one core to two.

use crate::measure::{Case, median};
use crate::ours;
use std::{
    sync::Barrier,
    time::{Duration, Instant},
};

/// Duration of a measurement, short so that other load on the machine usually affects both of a pair.
const SLICE: Duration = Duration::from_millis(40);
const PAIRS: usize = 31;

/// Returns the growth of receiving from one thread to two, divided by the growth of libsecp256k1's verification.
pub fn scaling() -> f64 {
    let pairs = (0..PAIRS).map(|_| growth("receive cheque") / growth("libsecp256k1 verify"));
    median(pairs.collect())
}

/// Returns the throughput of two threads divided by the throughput of one thread.
fn growth(name: &'static str) -> f64 {
    let one = throughput(name, 1);
    throughput(name, 2) / one
}

/// Operations per second of wall-clock time.
fn throughput(name: &'static str, threads: usize) -> f64 {
    let ready = Barrier::new(threads);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| work(name, &ready)))
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .sum()
    })
}

fn work(name: &'static str, ready: &Barrier) -> f64 {
    // Each thread has its own case, so that threads share only the state that the library shares.
    let cases = ours::primitives().into_iter().chain(ours::payments());
    let mut case: Case = cases.into_iter().find(|case| case.name() == name).unwrap();
    case.run();
    ready.wait();
    let (start, mut operations) = (Instant::now(), 0.0);
    while start.elapsed() < SLICE {
        operations += f64::from(case.run());
    }
    operations / start.elapsed().as_secs_f64()
}
