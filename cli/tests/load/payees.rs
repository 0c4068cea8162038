//! The payer's service with a deposit for many payees.

use std::{fmt::Write as _, fs, sync::Arc, time::Duration};

use alloy::primitives::{Address, keccak256};
use serde_json::json;
use tokio::{runtime::Runtime, time::Instant};

use crate::{
    callers::{Make, call},
    deposits::{Blocks, measure_all},
    plan::Plan,
    report::Report,
    support::{Node, service::Service, wait_for},
    wire::Wire,
};

/// The amount of every payment, in wei.
const PAYMENT: &str = "1000000000";

/// The callers that need the tree of a fresh process at once.
const FIRST: usize = 100;

/// The address of a payee.
fn payee(number: usize) -> Address {
    Address::from_word(keccak256(number.to_be_bytes()))
}

/// Measures the service with a deposit for `size` payees.
pub(crate) fn measure(runtime: &Runtime, plan: &Plan, size: usize, report: &mut Report) {
    let node = Node::keeping_states(64);
    let payer = Arc::new(node.machine(0));
    payer.deploy();
    let mut list = String::new();
    for number in 0..size {
        writeln!(list, "{},0.001ether", payee(number)).unwrap();
    }
    let file = payer.folder().join("payees.csv");
    fs::write(&file, list).unwrap();
    let _blocks = Blocks::begin(&node);
    let wire = runtime.block_on(Wire::to(&node.url()));
    let flags = [
        "--rpc-url",
        &wire.url,
        "--allowances",
        file.to_str().unwrap(),
        "--draw-in",
        "1d",
        "--log-level",
        "warn",
    ];
    let mut service = Service::run(&payer, "payer", &flags, None);
    let is_active =
        |service: &Service| service.get("/deposits?state=active")["deposits"][0].is_object();
    wait_for(|| is_active(&service).then_some(())).unwrap_or_else(|| panic!("{}", service.log()));
    let make: Arc<Make> = Arc::new(move |caller, callers, count| {
        let number = count.wrapping_mul(7_919).wrapping_mul(callers) + caller;
        let body = json!({ "payee": payee(number % size), "amount": PAYMENT });
        ("/cheques", body.to_string())
    });
    // A fresh process has no tree, and the first payments wait for it.
    service.kill_and_restart();
    wait_for(|| is_active(&service).then_some(())).unwrap_or_else(|| panic!("{}", service.log()));
    let begun = Instant::now();
    let (waits, _) = runtime.block_on(call(&service.url.get(), FIRST, Duration::ZERO, &make));
    assert_eq!(waits.failures, Vec::<String>::new());
    let name = "milliseconds of 100 first payments at once, tree included";
    report.add_fact(("payer", size), name, begun.elapsed().as_millis(), "ms");
    measure_all(
        runtime,
        plan,
        ("payer", size),
        (&service, &wire),
        &make,
        report,
    );
}
