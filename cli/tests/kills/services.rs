//! The run of both services under load and kills.

use std::{collections::BTreeSet, fs, sync::Arc, thread};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::{
    chain::{assert_nothing_was_sent_twice, find},
    harness::kills,
    load::Load,
    observations::{PayeeRecords, Units, states, units},
    support::{Node, pause, service::Service},
};

/// The payee's allowance per round, in wei: enough for some hundred payments.
const ALLOWANCE: Units = 30_000_000_000_000_000;

/// Concurrent callers.
const CALLERS: usize = 3;

/// The time between blocks, in milliseconds.
const BLOCK: u64 = 200;

/// The same on the chain, in seconds: rounds end by their draw, or because they are spent.
const BLOCK_ON_CHAIN: u64 = 5;

/// Attempts, 50 milliseconds apart, to wait for an expected event.
const TRIES: usize = 1_200;

/// Kills payer and payee in turn while they pay and are paid. `stores` are those of payer and payee; `None` is a file.
pub(crate) fn kill_repeatedly(stores: [Option<String>; 2], seed: u64) {
    let node = Node::start();
    node.rpc("anvil_setBlockTimestampInterval", json!([BLOCK_ON_CHAIN]));
    let (payer, payee) = (Arc::new(node.machine(0)), Arc::new(node.machine(1)));
    payer.deploy();
    let other = node.address(2);
    let list = format!("{},{ALLOWANCE}\n{other},{ALLOWANCE}\n", payee.address);
    fs::write(payer.folder().join("payees.csv"), list).unwrap();
    let [payer_store, payee_store] = stores;
    let rounds = [
        "--allowances",
        "payees.csv",
        "--draw-in",
        "200",
        "--redeem-window",
        // A payee asks for the newest round every 10 seconds, in which the chain makes 250.
        "1200",
    ];
    let mut payer_service = Service::run(&payer, "payer", &rounds, payer_store);
    let mut payee_service = Service::run(&payee, "payee", &[], payee_store);

    let load = Load::new(
        payer_service.url.clone(),
        payee_service.url.clone(),
        payee.address.clone(),
    );
    thread::scope(|scope| {
        let _stop = StopOnDrop(&load);
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
        for kill in 0..2 * kills() {
            // Three of four kills hit a service that works again; the others hit one that starts.
            if rng.random_ratio(3, 4) {
                wait_for_payments(&load, &[&payer_service, &payee_service]);
            }
            pause(rng.random_range(0..100));
            let before = load.observations().clone();
            if kill % 2 == 0 {
                payer_service.kill_and_restart();
                before.assert_kept_by_payer(|id| spent(&payer_service, id, &payee.address));
            } else {
                payee_service.kill_and_restart();
                let terms = &payer_service.get("/deposits")["deposits"];
                let records = PayeeRecords::new(&payee_service.get("/deposits"), terms);
                before.assert_kept_by_payee(&records, &load.observations());
            }
        }
        wait_for_payments(&load, &[&payer_service, &payee_service]);
        load.stop();
    });

    payer_service.stop();
    let listed = wait_for_draws(&node, &payee_service);
    payee_service.stop();
    // The terms are those of the chain, not those that the services remember.
    let records = PayeeRecords::new(&listed, &find(&payer));
    let observations = load.observations();
    observations.assert_kept_by_payee(&records, &observations);
    observations.assert_counted_once(&records);
    assert!(
        observations.deposits.len() > 1,
        "the payer must open several rounds"
    );
    assert!(
        observations.payments() > 2 * kills(),
        "{}",
        observations.payments()
    );
    let balance = payee.json(&["balance"]);
    assert_eq!(
        units(&balance["balance"]),
        records.won(),
        "every win must be paid once"
    );
    assert_nothing_was_sent_twice(&node, &[&payer.address, &payee.address]);
}

/// Stops the callers even if the test panics.
struct StopOnDrop<'a>(&'a Load);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Waits until the payee acknowledges another payment.
fn wait_for_payments(load: &Load, services: &[&Service]) {
    let before = load.observations().payments();
    for _ in 0..TRIES {
        if load.observations().payments() > before {
            return;
        }
        pause(50);
    }
    let logs: Vec<_> = services.iter().map(|service| service.log()).collect();
    panic!("the payee acknowledges no payment: {}", logs.join("\n\n"));
}

/// The payer's record of its payments to the payee from a deposit.
fn spent(payer: &Service, id: &str, payee: &str) -> Units {
    let left = &payer.get(&format!("/deposits/{id}"))["allowances_left"][payee];
    ALLOWANCE - units(left)
}

/// Mines until all deposits of the payee are drawn and all wins are redeemed.
fn wait_for_draws(node: &Node, payee: &Service) -> Value {
    for _ in 0..TRIES {
        let listed = payee.get("/deposits");
        let states: BTreeSet<_> = states(&listed).collect();
        if states.is_subset(&BTreeSet::from(["not_drawn", "redeemed"])) {
            return listed;
        }
        let too_late = states.contains("missed") || states.contains("not_on_chain");
        assert!(!too_late, "{listed}");
        node.mine(1);
        pause(50);
    }
    let listed = payee.get("/deposits");
    panic!("a deposit is not final: {listed}\n{}", payee.log());
}
