//! `cheque payer run` and `cheque payee run` are killed with signal 9 at random moments while others have them pay and
//! take payments, and while rounds are opened, drawn and redeemed. Nothing is lost and nothing counts twice.
//!
//! What the callers were told is compared with what the services know after they have started again; at the end, also with
//! what is on the chain.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod books;
mod chain;
#[path = "../common/mod.rs"]
mod common;
mod load;
#[cfg(feature = "postgres")]
#[path = "../../../cheque/tests/postgres/mod.rs"]
mod postgres;
#[path = "../../../cheque/tests/common/repeat.rs"]
mod repeat;

use std::{collections::BTreeSet, fs, sync::Arc, thread};

use books::{Ledger, Units, states, units};
use chain::{assert_nothing_was_sent_twice, find};
use common::{Machine, Node, pause, service::Service};
use load::Load;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

/// What the payee can be paid in a round, in wei: some hundred payments.
const ALLOWANCE: Units = 30_000_000_000_000_000;

/// How many callers there are at once.
const CALLERS: usize = 3;

/// How often a block is mined, in milliseconds. Rounds end by their draw or because they are spent.
const BLOCK: u64 = 200;

/// How long to wait for something that has to come, in tries of 50 milliseconds.
const TRIES: usize = 1_200;

#[test]
fn killed_again_and_again_with_stores_in_files_payer_and_payee_lose_nothing() {
    kill_again_and_again([None, None], 1);
}

#[cfg(feature = "postgres")]
#[test]
fn killed_again_and_again_with_stores_in_postgresql_payer_and_payee_lose_nothing() {
    let Some(server) = postgres::server() else {
        return;
    };
    kill_again_and_again([Some(server.database()), Some(server.database())], 2);
}

fn kill_again_and_again(stores: [Option<String>; 2], seed: u64) {
    let node = Node::start();
    let (payer, payee) = (Arc::new(node.machine(0)), Arc::new(node.machine(1)));
    payer.ok(&["deploy"]);
    let other = node.address(2);
    let list = format!("{},{ALLOWANCE}\n{other},{ALLOWANCE}\n", payee.address);
    fs::write(payer.folder().join("payees.csv"), list).unwrap();
    let [payers_store, payees_store] = stores;
    let rounds = [
        "--allowances",
        "payees.csv",
        "--draw-in",
        "40",
        "--redeem-window",
        "40",
    ];
    let mut payers = start(&payer, "payer", &rounds, payers_store);
    let mut payees = start(&payee, "payee", &[], payees_store);

    let load = Load::new(
        payers.url.clone(),
        payees.url.clone(),
        payee.address.clone(),
    );
    thread::scope(|scope| {
        let _end = Ended(&load);
        for _ in 0..CALLERS {
            scope.spawn(|| load.run());
        }
        scope.spawn(|| {
            while !load.is_stopped() {
                node.mine(1);
                pause(BLOCK);
            }
        });
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for kill in 0..2 * repeat::kills() {
            // Most of the time it works again; sometimes it is killed as it starts.
            if rng.random_ratio(3, 4) {
                wait_for_payments(&load, &[&payers, &payees]);
            }
            pause(rng.random_range(0..100));
            let before = load.books().clone();
            if kill % 2 == 0 {
                payers.kill_and_restart();
                before.assert_kept_by_payer(|id| spent(&payers, id, &payee.address));
            } else {
                payees.kill_and_restart();
                let terms = &payers.get("/deposits")["deposits"];
                let ledger = Ledger::new(&payees.get("/deposits"), terms);
                before.assert_kept_by_payee(&ledger, &load.books());
            }
        }
        wait_for_payments(&load, &[&payers, &payees]);
        load.stop();
    });

    payers.stop();
    let listed = wait_for_draws(&node, &payees);
    payees.stop();
    // Not as the services remember the terms, but as the chain has them.
    let ledger = Ledger::new(&listed, &find(&payer));
    let books = load.books();
    books.assert_kept_by_payee(&ledger, &books);
    books.assert_counted_once(&ledger);
    assert!(books.deposits.len() > 1, "rounds follow one another");
    assert!(
        books.payments() > 2 * repeat::kills(),
        "{}",
        books.payments()
    );
    let balance = payee.json(&["balance"]);
    assert_eq!(
        units(&balance["balance"]),
        ledger.won(),
        "every win is paid once"
    );
    assert_nothing_was_sent_twice(&node, &[&payer.address, &payee.address]);
}

/// Stops the callers also if something fails.
struct Ended<'a>(&'a Load);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

fn start(machine: &Arc<Machine>, who: &str, args: &[&str], store: Option<String>) -> Service {
    let common = ["--json", who, "run", "--listen", "127.0.0.1:0"];
    let args: Vec<_> = common.iter().chain(args).map(ToString::to_string).collect();
    let machine = Arc::clone(machine);
    let log = machine.folder().join("log");
    let command = move || {
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        let mut command = machine.command(&args);
        if let Some(store) = &store {
            command.env("CHEQUE_STORE", store);
        }
        command
    };
    Service::start(command, log)
}

/// Waits until the payee has acknowledged another payment.
fn wait_for_payments(load: &Load, services: &[&Service]) {
    let before = load.books().payments();
    for _ in 0..TRIES {
        if load.books().payments() > before {
            return;
        }
        pause(50);
    }
    let logs: Vec<_> = services.iter().map(|service| service.log()).collect();
    panic!("no payment comes any more: {}", logs.join("\n\n"));
}

/// What the payer says it has paid the payee from a deposit.
fn spent(payer: &Service, id: &str, payee: &str) -> Units {
    let left = &payer.get(&format!("/deposits/{id}"))["allowances_left"][payee];
    ALLOWANCE - units(left)
}

/// Mines until all that the payee holds is drawn, and what it has won is redeemed.
fn wait_for_draws(node: &Node, payees: &Service) -> Value {
    for _ in 0..TRIES {
        let listed = payees.get("/deposits");
        let states: BTreeSet<_> = states(&listed).collect();
        if states.is_subset(&BTreeSet::from(["not_drawn", "redeemed"])) {
            return listed;
        }
        let too_late = states.contains("missed") || states.contains("not_on_chain");
        assert!(!too_late, "{listed}");
        node.mine(1);
        pause(50);
    }
    let listed = payees.get("/deposits");
    panic!("not everything is redeemed: {listed}\n{}", payees.log());
}
