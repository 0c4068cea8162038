//! Rounds of deposits over months of simulated time: a payer with one purse, thousands of payees, the contract in an
//! EVM, and the library's accounts, positions and stores.
//!
//! `cargo test` runs few rounds, `make soak` many, by `SOAK_PAYEES` and `SOAK_ROUNDS`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod books;
#[path = "../support/evm.rs"]
mod evm;
mod payees;
mod payer;
mod rounds;

use rounds::Soak;
use std::io::Write;

const PAYEES: &str = "SOAK_PAYEES";
const ROUNDS: &str = "SOAK_ROUNDS";

/// The number in an environment variable, else `default`.
fn scale(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is not a number: {text:?}"))
    })
}

#[test]
fn conserves_money_and_memory_over_many_rounds() {
    // The payees' credited values equal their net cash within three standard errors.
    let rounds = scale(ROUNDS, 20);
    let progress = std::env::var_os(ROUNDS).is_some();
    let mut soak = Soak::new(scale(PAYEES, 100));
    let mut early = None;
    for round in 1..=rounds {
        soak.round();
        if round % (rounds / 10).max(1) == 0 {
            soak.assert_conserved();
            let memory = books::resident();
            early = early.or(memory);
            if progress {
                // The harness hides the standard output of a passing test.
                let _ = writeln!(std::io::stderr(), "round {round}: {}", soak.progress());
            }
        }
    }
    soak.assert_nothing_is_left_over();
    soak.books.assert_values_are_the_net_cash();
    if let (Some(early), Some(late)) = (early, books::resident()) {
        books::assert_flat(early, late);
    }
}
