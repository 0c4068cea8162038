//! Each kind of state, written by a process that is killed: what its store acknowledged is there afterwards, and half a
//! change never is.

#![cfg(all(feature = "redb", feature = "rpc"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod kinds;
#[path = "../../cheque/tests/common/repeat.rs"]
mod repeat;

use cheque_market::store::{Memory, Redb, Store};
use kinds::{KINDS, Kind};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};
use std::{
    io::{self, BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

const FILE: &str = "CHEQUE_MARKET_KILLED_STORE";
const KIND: &str = "CHEQUE_MARKET_KILLED_KIND";
const DONE: &str = "CHEQUE_MARKET_KILLED_DONE";

/// A process is killed after at most so many steps more.
const STEPS: u64 = 40;

/// Lets a process do its steps after `done`, and kills it: the last step that it acknowledged.
fn killed(kind: &Kind, path: &Path, done: u64, steps: u64) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "the_process",
            "--nocapture",
            "--test-threads",
            "1",
        ])
        .env(FILE, path)
        .env(KIND, kind.name)
        .env(DONE, done.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = lines.filter_map(|line| line.ok()?.strip_prefix("> ")?.parse().ok());
    let last = said.nth(steps as usize).expect("the process works");
    child.kill().unwrap();
    child.wait().unwrap();
    said.last().unwrap_or(last)
}

fn survives(name: &str) {
    let kind = KINDS.iter().find(|kind| kind.name == name).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("market.redb");
    let mut random = ChaCha8Rng::seed_from_u64(7);
    // What nothing interrupts.
    let model: kinds::Shared = Arc::new(Memory::new());
    let mut done = 0;
    for _ in 0..repeat::kills() {
        let acknowledged = killed(kind, &path, done, random.next_u64() % STEPS);
        let store: kinds::Shared = Arc::new(Redb::open(&path).unwrap());
        let found = (kind.state)(&store);
        (done + 1..=acknowledged).for_each(|step| (kind.step)(&model, step));
        done = acknowledged;
        if found != (kind.state)(&model) {
            // One more was made that had no time to be acknowledged.
            done += 1;
            (kind.step)(&model, done);
        }
        let expected = (kind.state)(&model);
        assert_eq!(found, expected, "{name}, {acknowledged} acknowledged");
    }
}

#[test]
fn offsets_and_balances_survive() {
    survives("balances");
}

#[test]
fn flags_and_fields_of_nodes_survive() {
    survives("nodes");
}

#[test]
fn weights_of_a_choice_survive() {
    survives("weights");
}

#[test]
fn what_a_composer_has_learned_survives() {
    survives("composer");
}

#[test]
fn an_order_its_serial_number_the_curve_and_the_issuer_survive_together() {
    survives("orders");
}

#[test]
fn what_the_operator_has_set_survives() {
    survives("operator");
}

/// A state that does not tell one number of steps from the next could be lost unnoticed.
#[test]
fn every_step_shows_in_the_state() {
    for kind in KINDS {
        let store: kinds::Shared = Arc::new(Memory::new());
        let mut before = (kind.state)(&store);
        for step in 1..=30 {
            (kind.step)(&store, step);
            let after = (kind.state)(&store);
            assert_ne!(before, after, "{}, step {step}", kind.name);
            before = after;
        }
    }
}

/// Not a statement of its own: what the tests above run as another process.
#[test]
fn the_process() {
    let Ok(path) = std::env::var(FILE) else {
        return;
    };
    let name = std::env::var(KIND).unwrap();
    let kind = KINDS.iter().find(|kind| kind.name == name).unwrap();
    let done: u64 = std::env::var(DONE).unwrap().parse().unwrap();
    let store: Arc<dyn Store + Send + Sync> = Arc::new(Redb::open(path).unwrap());
    for step in done + 1.. {
        (kind.step)(&store, step);
        let mut out = io::stdout().lock();
        // The test harness may have begun a line of its own.
        writeln!(out, "\n> {step}").unwrap();
        out.flush().unwrap();
    }
}
