//! Cost of a round in this bank and in other systems: lock money for a number of payees, pay them, and move their
//! money into their accounts.
//!
//! The peers' figures were measured by the same rules (receipts on anvil, steady state), each with its own compiler
//! settings. `docs/gas.md` explains how a round follows from them.

use crate::figures::Figures;
use crate::numbers::grouped;
use std::fmt::Write;

/// The numbers of payees in the table.
const PAYEES: [u64; 3] = [1, 128, 10_000];

/// Builds the table of `COMPARE.md` and of `docs/gas.md`.
pub(crate) fn table(figures: &Figures) -> String {
    let mut table = String::from(
        "| system | 1 payee | 128 payees | 10,000 payees | who gets paid |\n|---|--:|--:|--:|---|\n",
    );
    for (name, cost, paid) in rows(figures) {
        let [one, some, many] = PAYEES.map(|payees| grouped(cost(payees)));
        writeln!(table, "| {name} | {one} | {some} | {many} | {paid} |").unwrap();
    }
    table
}

type Cost<'a> = Box<dyn Fn(u64) -> u64 + 'a>;

fn rows(figures: &Figures) -> [(&'static str, Cost<'_>, &'static str); 12] {
    let gas = |key: &str| figures.gas(key);
    let with_proof = move |payees: u64| gas(&format!("redeem_direct_inline_{payees}"));
    let recorded = move |payees: u64| gas(&format!("redeem_direct_{payees}"));
    let more_for_token = gas("redeem_direct_erc20_128") - gas("redeem_direct_128");
    let in_tokens = move |n: u64| recorded(n) + more_for_token;
    [
        (
            "**this bank**, seed recorded by another",
            Box::new(move |n| gas("open_topped_up") + recorded(n)),
            "one, by lot",
        ),
        (
            "**this bank**, proof of the seed in the call",
            Box::new(move |n| gas("open_topped_up") + with_proof(n)),
            "one, by lot",
        ),
        (
            "**this bank**, token, seed recorded",
            Box::new(move |n| gas("open_with_authorization") + in_tokens(n)),
            "one, by lot",
        ),
        (
            "**this bank**, token kept in the bank, seed recorded",
            Box::new(move |n| gas("open_from_balance") + in_tokens(n)),
            "one, by lot",
        ),
        ("lotterybook", Box::new(lotterybook), "one of 1,024, by lot"),
        (
            "Orchid (ETH)",
            Box::new(|_| 29_512 + 68_479 + 36_589),
            "one on average, by lot, if covered",
        ),
        (
            "Livepeer",
            Box::new(|_| 65_832 + 200_617 + 195_117),
            "one on average, by lot, if covered",
        ),
        (
            "HOPR",
            Box::new(|n| 84_818 * n + 129_290),
            "one on average, by lot",
        ),
        (
            "Swarm SWAP",
            Box::new(|n| 36_830 + 73_718 * n),
            "all, if covered",
        ),
        ("The Graph TAP", Box::new(|n| (53_416 + 115_049) * n), "all"),
        (
            "x402 batch-settlement (token)",
            Box::new(|n| (60_355 + 48_220 + 46_120) * n),
            "all",
        ),
        (
            "MPP channel (token)",
            Box::new(|n| (57_443 + 63_357) * n),
            "all",
        ),
    ]
}

/// Cost in lotterybook, with at most 1,024 payees in a lottery. Redemptions were measured with 1 payee and with 256
/// (eight more levels), and interpolated.
fn lotterybook(payees: u64) -> u64 {
    let lotteries = payees.div_ceil(1_024);
    let levels = u64::from(payees.div_ceil(lotteries).next_power_of_two().ilog2());
    lotteries * (70_112 + 37_936 + (44_617 - 37_936) * levels / 8)
}
