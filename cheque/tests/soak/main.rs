//! Short rounds over a week of simulated time: a payer with a round every five minutes, thousands of payees, the contract in
//! an EVM, and the library's accounts, positions and stores.
//!
//! `cargo test` runs few rounds, `make soak` many, by `SOAK_PAYEES` and `SOAK_ROUNDS`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod books;
#[path = "../support/evm.rs"]
mod evm;
mod payees;
mod payer;
mod redeem;
mod rounds;
mod win;

use rounds::Soak;
use std::io::Write;

const PAYEES: &str = "SOAK_PAYEES";
const ROUNDS: &str = "SOAK_ROUNDS";

/// The most rounds at a time: for the hour until the draw, an hour and a quarter to redeem, and one that is opened.
const MAX_ROUNDS: usize = 12 + 15 + 2;

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
    let rounds = scale(ROUNDS, 120);
    assert!(rounds >= 30, "too few rounds for all purses to be in use");
    let progress = std::env::var_os(ROUNDS).is_some();
    let mut soak = Soak::new(scale(PAYEES, 100));
    let (mut early, mut rows) = (None, Vec::new());
    for round in 1..=rounds {
        soak.round();
        let (open, purses) = soak.in_use();
        assert!(open <= MAX_ROUNDS && purses <= MAX_ROUNDS as u64);
        if round % (rounds / 10).max(1) == 0 {
            soak.assert_conserved();
            rows.push(soak.most_kept());
            let memory = books::resident();
            // All purses are in use by then.
            if rows.len() > 2 {
                early = early.or(memory);
            }
            if progress {
                // The harness hides the standard output of a passing test.
                let _ = writeln!(std::io::stderr(), "round {round}: {}", soak.progress());
            }
        }
    }
    books::assert_same_rows(rows[2], rows[rows.len() - 1]);
    if let (Some(early), Some(late)) = (early, books::resident()) {
        books::assert_flat(early, late);
    }
    soak.close();
    soak.assert_conserved();
    soak.assert_nothing_is_left_over();
    soak.books.assert_values_are_the_net_cash();
}
