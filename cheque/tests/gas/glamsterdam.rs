//! Projects the figures to the gas schedule announced for the Glamsterdam fork, from the slots and bytes that an
//! operation touches. The prices are proposals.

use crate::figures::{Figure, Figures};
use crate::numbers::grouped;
use std::fmt::Write;

/// EIP-2780: base of a transaction. Base and access to the called contract ([`COLD_ACCOUNT`]) are 21,000 today.
const BASE: u64 = 12_000;
const COLD_ACCOUNT: u64 = 3_000;
/// EIP-2780: coin sent with the transaction; today part of the 21,000.
const VALUE_IN: u64 = 6_000;
/// EIP-8038: writing to a slot beyond a cold access (2,100, as today); today 2,900.
const STORAGE_WRITE: u64 = 10_000;
/// EIP-8037: 64 bytes of new state at 1,530 gas each, on top of the write; today 20,000 with the write.
const NEW_SLOT: u64 = 64 * 1_530;
/// EIP-8038: coin sent by a call; today 6,700 beyond the stipend.
const VALUE_OUT: u64 = 9_000;
/// EIP-7976: minimum cost of a byte of calldata, zero or not.
const BYTE: u64 = 64;

/// State that a transaction touches beside the called contract.
struct Touches {
    key: &'static str,
    /// Equal parts of the transaction; the figure is for a single part.
    parts: u64,
    new: u64,
    rewritten: u64,
    value_in: u64,
    value_out: u64,
    /// Number of tokens called.
    tokens: u64,
}

const fn touches(key: &'static str, new: u64, rewritten: u64) -> Touches {
    Touches {
        key,
        parts: 1,
        new,
        rewritten,
        value_in: 0,
        value_out: 0,
        tokens: 0,
    }
}

impl Touches {
    const fn value_in(mut self) -> Self {
        self.value_in = 1;
        self
    }

    const fn value_out(mut self) -> Self {
        self.value_out = 1;
        self
    }

    const fn token(mut self) -> Self {
        self.tokens = 1;
        self
    }

    const fn a_part_of(mut self, parts: u64) -> Self {
        self.parts = parts;
        self
    }

    /// Gas of execution and calldata, and the floor for calldata (EIP-7623). The larger figure is charged.
    fn cost(&self, today: Figure) -> (u64, u64) {
        let before = 21_000
            + self.new * 20_000
            + self.rewritten * 2_900
            + self.value_out * 6_700
            + self.tokens * 2_600;
        let after = BASE
            + COLD_ACCOUNT
            + self.new * (NEW_SLOT + STORAGE_WRITE)
            + self.rewritten * STORAGE_WRITE
            + self.value_in * VALUE_IN
            + self.value_out * VALUE_OUT
            + self.tokens * COLD_ACCOUNT;
        let executed = today.gas * self.parts - before + after;
        let floor = BASE + today.bytes * self.parts * BYTE;
        (executed / self.parts, floor / self.parts)
    }
}

const TOUCHES: &[Touches] = &[
    touches("open_first", 1, 0).value_in(),
    touches("open_again", 0, 1),
    touches("reopen", 0, 1),
    touches("redeem_credit_128", 0, 2),
    touches("redeem_direct_128", 0, 1).value_out(),
    touches("redeem_inline_proof_128", 0, 2),
    touches("redeem_credit_1024", 0, 2),
    touches("redeem_batch10_each", 0, 11).a_part_of(10),
    touches("record_seed", 1, 0),
    touches("reclaim", 0, 1),
    touches("fund_eth", 0, 1).value_in(),
    touches("fund_erc20", 0, 4).token(),
    touches("open_with_authorization", 1, 3).token(),
    touches("withdraw_eth", 0, 1).value_out(),
    touches("withdraw_erc20", 0, 3).token(),
    touches("redeem_relayed_128", 0, 2),
];

/// The table of `docs/gas.md`.
pub(crate) fn table(figures: &Figures) -> String {
    let mut table = String::from(
        "| operation | today | slots: new / rewritten | by execution | calldata, at least | Glamsterdam |\n\
         |---|--:|--:|--:|--:|--:|\n",
    );
    for touches in TOUCHES {
        let today = figures.get(touches.key);
        let (executed, floor) = touches.cost(today);
        let slots = match touches.parts {
            1 => format!("{} / {}", touches.new, touches.rewritten),
            parts => format!("{} / {} for {parts}", touches.new, touches.rewritten),
        };
        writeln!(
            table,
            "| `{}` | {} | {slots} | {} | {} | **{}** |",
            touches.key,
            grouped(today.gas),
            grouped(executed),
            grouped(floor),
            grouped(executed.max(floor)),
        )
        .unwrap();
    }
    table
}
