//! Rounds of deposits over months of simulated time: a payer with one purse, thousands of payees, the contract in an EVM,
//! and the library's own accounts, metas and stores.
//!
//! `cargo test` runs it small, `make soak` large, by `SOAK_PAYEES` and `SOAK_ROUNDS`. All else is the same.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod books;
#[path = "../differential/evm.rs"]
mod evm;
mod payees;
mod payer;
mod rounds;

use rounds::Soak;
use std::io::Write;

const PAYEES: &str = "SOAK_PAYEES";
const ROUNDS: &str = "SOAK_ROUNDS";

/// What an environment variable says, else `usual`.
fn scale(variable: &str, usual: usize) -> usize {
    std::env::var(variable).map_or(usual, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}"))
    })
}

#[test]
fn over_many_rounds_money_is_conserved_values_are_the_net_cash_and_memory_is_flat() {
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
                // Straight to the terminal: the harness keeps to itself what a passing test prints.
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
