//! `cheque payee run` and `cheque payer run` under load: waiting times by the number of callers, the distance of the node, the
//! number of open deposits or payees, and connections that are held idle.
//!
//! `make load` measures all of it, on an idle machine, and writes `target/load.json` and docs/performance.md. A small form runs
//! with the other tests, so that the job keeps working; its times mean nothing.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod callers;
mod deposits;
mod payees;
mod plan;
mod report;
#[path = "../support/mod.rs"]
mod support;
mod wire;

use plan::Plan;
use report::Report;

#[test]
fn answers_payments_under_load() {
    // Held connections and 200 callers need descriptors here, too.
    let _limit = cheque::service::http::raise_descriptor_limit();
    let is_job = std::env::var_os("LOAD").is_some();
    let plan = if is_job { Plan::full() } else { Plan::small() };
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().unwrap();
    let mut report = Report::default();
    for size in plan.sizes {
        deposits::measure(&runtime, &plan, *size, &mut report);
        payees::measure(&runtime, &plan, *size, &mut report);
    }
    report.assert_all_answered();
    if is_job {
        report.write();
    }
}
