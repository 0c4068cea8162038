//! Kinds of state that a killed process writes to a redb file: an acknowledged step survives, and no step survives in
//! part.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../cheque/tests/support/harness.rs"]
mod harness;
mod kinds;
#[path = "../../cheque/tests/support/process.rs"]
mod process;

use cheque::store::Redb;
use cheque_market::store::{ChequeStore, Memory};
use harness::{kills, tests};
use kinds::{KINDS, Kind, MARKET, Shared};
use process::{Process, say};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};
use std::{path::Path, process::ExitCode, sync::Arc};

const STORE: &str = "CHEQUE_TEST_STORE";
const KIND: &str = "CHEQUE_TEST_KIND";
const DONE: &str = "CHEQUE_TEST_DONE";

/// Upper bound of the steps after which a process is killed.
const STEPS: u64 = 40;

fn main() -> ExitCode {
    harness::run(&[("stepper", run_stepper)], || {
        tests![
            balances_and_offsets_survive_kills,
            choice_weights_survive_kills,
            composer_survives_kills,
            operator_settings_survive_kills,
            orders_with_serial_curve_and_issuer_survive_kills,
            payments_survive_kills_with_their_balances,
            peer_flags_and_fields_survive_kills,
            changes_state_in_every_step,
        ]
    })
}

fn kind(name: &str) -> &'static Kind {
    let found = KINDS.iter().find(|kind| kind.name == name);
    found.expect("a kind of state")
}

fn open(path: &Path) -> Shared {
    Arc::new(ChequeStore::new(
        Arc::new(Redb::open(path).unwrap()),
        MARKET,
    ))
}

/// Lets a process take the steps after `done`, kills it, and returns its last acknowledged step.
fn run_and_kill(kind: &Kind, path: &Path, done: u64, steps: u64) -> u64 {
    let variables = [
        (STORE, path.to_str().unwrap()),
        (KIND, kind.name),
        (DONE, &done.to_string()),
    ];
    let lines = steps as usize + 1;
    let acknowledged = Process::start("stepper", &variables).kill_after(lines, 0);
    assert!(
        acknowledged.len() >= lines,
        "the process ended early: {acknowledged:?}"
    );
    acknowledged.last().unwrap().parse().unwrap()
}

fn survives(name: &str) {
    let kind = kind(name);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("market.redb");
    let mut random = ChaCha8Rng::seed_from_u64(7);
    // Takes the same steps without interruption.
    let model: Shared = Arc::new(Memory::new());
    let mut done = 0;
    for _ in 0..kills() {
        let acknowledged = run_and_kill(kind, &path, done, random.next_u64() % STEPS);
        let store = open(&path);
        let found = (kind.state)(&store);
        (done + 1..=acknowledged).for_each(|step| (kind.step)(&model, step));
        done = acknowledged;
        if found != (kind.state)(&model) {
            // The process has stored another step without an acknowledgement.
            done += 1;
            (kind.step)(&model, done);
        }
        let expected = (kind.state)(&model);
        assert_eq!(found, expected, "{name}, {acknowledged} acknowledged");
    }
}

fn balances_and_offsets_survive_kills() {
    survives("balances");
}

fn peer_flags_and_fields_survive_kills() {
    survives("peers");
}

fn choice_weights_survive_kills() {
    survives("weights");
}

fn composer_survives_kills() {
    survives("composer");
}

fn orders_with_serial_curve_and_issuer_survive_kills() {
    survives("orders");
}

fn operator_settings_survive_kills() {
    survives("operator");
}

fn payments_survive_kills_with_their_balances() {
    survives("payments");
}

/// Without this property the tests above could miss a lost step.
fn changes_state_in_every_step() {
    for kind in KINDS {
        let store: Shared = Arc::new(Memory::new());
        let mut before = (kind.state)(&store);
        for step in 1..=30 {
            (kind.step)(&store, step);
            let after = (kind.state)(&store);
            assert_ne!(before, after, "{}, step {step}", kind.name);
            before = after;
        }
    }
}

/// Role: takes and acknowledges one step after another until killed.
fn run_stepper() {
    let kind = kind(&variable(KIND));
    let done: u64 = variable(DONE).parse().unwrap();
    let store = open(Path::new(&variable(STORE)));
    for step in done + 1.. {
        (kind.step)(&store, step);
        say(&step.to_string());
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap()
}
