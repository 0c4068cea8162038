//! Measures the gas of every operation of the bank from receipts of a real node, and compares the figures with
//! `docs/gas.md` and `COMPARE.md`.
//!
//! `make gas` writes the tables, `make gas-check` compares them. Keys, salts, trees, amounts, times and the beacon are
//! fixed, and so are the figures.

#![cfg(all(feature = "client", feature = "redb"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chain;
mod document;
mod draws;
mod estimate;
mod figures;
mod glamsterdam;
#[path = "../support/node.rs"]
mod node;
mod numbers;
mod peers;
mod rounds;
mod tokens;

use figures::Figures;

#[tokio::test]
async fn matches_gas_figures_of_the_documents() {
    let chain = chain::Chain::start().await;
    let mut measured = Figures::default();
    rounds::measure(&chain, &mut measured).await;
    tokens::measure(&chain, &mut measured).await;
    draws::measure(&chain, &mut measured).await;

    document::write_json(&measured);
    if std::env::var_os("WRITE_GAS").is_some() {
        document::write(&measured);
    }
    document::check(&measured);
    estimate::check(&measured);
}
