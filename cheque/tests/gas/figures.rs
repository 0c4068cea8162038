//! The figures with their keys, their descriptions and their goals.

use std::collections::BTreeMap;

/// Gas and calldata bytes of a transaction, or of a part of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Figure {
    pub(crate) gas: u64,
    pub(crate) bytes: u64,
}

/// Figures by their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures(BTreeMap<String, Figure>);

impl Figures {
    pub(crate) fn set(&mut self, key: &str, figure: Figure) {
        let known = [KEYS, MORE].concat().iter().any(|row| row.key == key);
        assert!(known, "{key} is in no table");
        let before = self.0.insert(key.to_owned(), figure);
        assert_eq!(before, None, "{key} is measured twice");
    }

    pub(crate) fn get(&self, key: &str) -> Figure {
        *self
            .0
            .get(key)
            .unwrap_or_else(|| panic!("{key} is missing"))
    }

    pub(crate) fn gas(&self, key: &str) -> u64 {
        self.get(key).gas
    }
}

/// A figure of the tables.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    pub(crate) key: &'static str,
    /// Description for the table.
    pub(crate) what: &'static str,
    /// Goal: the most gas that the operation may take.
    pub(crate) max: Option<u64>,
}

const fn row(key: &'static str, what: &'static str) -> Row {
    let max = None;
    Row { key, what, max }
}

const fn bounded(key: &'static str, max: u64, what: &'static str) -> Row {
    let max = Some(max);
    Row { key, what, max }
}

/// The figures of `target/gas.json`, in the steady state: storage slots written to are not zero before.
pub(crate) const KEYS: &[Row] = &[
    row(
        "open_first",
        "`open` in a purse never used, all paid with the call",
    ),
    bounded(
        "open_again",
        34_000,
        "`open` in a purse that holds the amount",
    ),
    row(
        "reopen",
        "`reopen`: takes an expired deposit back and opens the next of the same amount",
    ),
    bounded(
        "redeem_credit_128",
        54_700,
        "`redeem` to the payee's balance, seed recorded",
    ),
    bounded(
        "redeem_direct_128",
        61_000,
        "the same, paid out to the payee's account",
    ),
    row(
        "redeem_inline_proof_128",
        "to the balance, with the proof of the seed in the call",
    ),
    row("redeem_credit_1024", "to the balance, of 1,024 payees"),
    bounded(
        "redeem_batch10_each",
        29_300,
        "a tenth of `redeemBatch`: one payee, ten payers, one draw, 128 payees each",
    ),
    bounded(
        "record_seed",
        166_500,
        "`recordSeed`: the beacon's signature of one draw time",
    ),
    row("reclaim", "`reclaim`"),
    row("fund_eth", "`fund` in the native coin"),
    row("fund_erc20", "`fund` in a token that was approved"),
    row(
        "open_with_authorization",
        "`openWithAuthorization` (ERC-3009): a relayer opens, tokens top the purse up",
    ),
    row(
        "withdraw_eth",
        "`withdraw` of a part of the balance, native coin",
    ),
    row(
        "withdraw_erc20",
        "`withdraw` of a part of the balance, token",
    ),
    row(
        "redeem_relayed_128",
        "to the balance, sent by a relayer with the payee's consent",
    ),
    bounded(
        "stream_256_extra",
        22_000,
        "what 256 steps of a stream add to a redemption",
    ),
];

/// Further figures for the documents.
pub(crate) const MORE: &[Row] = &[
    row(
        "open_topped_up",
        "`open` in a purse that holds half, the rest paid with the call",
    ),
    row(
        "open_from_balance",
        "`open` in a purse that holds half, the rest from the payer's balance",
    ),
    row(
        "redeem_direct_1",
        "`redeem` paid out, seed recorded, 1 payee",
    ),
    row(
        "redeem_direct_10000",
        "`redeem` paid out, seed recorded, 10,000 payees",
    ),
    row(
        "redeem_direct_inline_1",
        "`redeem` paid out, proof in the call, 1 payee",
    ),
    row(
        "redeem_direct_inline_128",
        "`redeem` paid out, proof in the call, 128 payees",
    ),
    row(
        "redeem_direct_inline_10000",
        "`redeem` paid out, proof in the call, 10,000 payees",
    ),
    row(
        "redeem_batch10_inline_each",
        "`redeem_batch10_each` with the proof in the call",
    ),
    row(
        "redeem_direct_erc20_128",
        "`redeem` paid out in a token, seed recorded",
    ),
    row(
        "redeem_whole_128",
        "`redeem` to the balance of the whole deposit: no money stays in the purse",
    ),
    row(
        "redeem_new_balance_128",
        "`redeem_inline_proof_128` to a balance that was empty",
    ),
    row(
        "redeem_worst_128",
        "`redeem_new_balance_128` with a stream of 1,024 steps",
    ),
    row("redeem_worst_10000", "`redeem_worst_128` of 10,000 payees"),
    row(
        "redeem_relayed_new_128",
        "`redeem_new_balance_128` sent by a relayer with the payee's consent",
    ),
    row(
        "redeem_relayed_worst_128",
        "`redeem_worst_128` sent by a relayer with the payee's consent",
    ),
    row(
        "redeem_relayed_worst_10000",
        "`redeem_worst_10000` sent by a relayer with the payee's consent",
    ),
];
