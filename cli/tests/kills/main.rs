//! `cheque payer run`, `cheque payee run` and `cheque gateway run` are killed with signal 9 at random moments, while callers pay
//! and rounds are opened, drawn and redeemed. No payment is lost and none counts twice.
//!
//! Answers to the callers are compared with the services' records after each restart, and at the end with the chain.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chain;
mod gateway;
#[path = "../../../cheque/tests/support/harness.rs"]
mod harness;
mod load;
mod observations;
#[cfg(all(feature = "postgres", unix))]
#[path = "../../../cheque/tests/support/postgres.rs"]
mod postgres;
mod services;
#[path = "../support/mod.rs"]
mod support;

use harness::tests;
use services::kill_repeatedly;
use std::process::ExitCode;

fn main() -> ExitCode {
    harness::run(&[], || {
        let mut all = Vec::new();
        all.extend(harness::ignore_if(
            support::missing_signals(),
            tests![
                loses_nothing_when_killed_with_file_stores,
                gateway_charges_each_answer_once_when_killed
            ],
        ));
        #[cfg(all(feature = "postgres", unix))]
        all.extend(harness::ignore_if(
            postgres::missing(),
            tests![loses_nothing_when_killed_with_postgresql_stores],
        ));
        all
    })
}

fn loses_nothing_when_killed_with_file_stores() {
    kill_repeatedly([None, None], 1);
}

fn gateway_charges_each_answer_once_when_killed() {
    gateway::kill_gateway_repeatedly(3);
}

#[cfg(all(feature = "postgres", unix))]
fn loses_nothing_when_killed_with_postgresql_stores() {
    let server = postgres::Server::shared();
    kill_repeatedly([Some(server.database()), Some(server.database())], 2);
}
