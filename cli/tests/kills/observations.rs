//! Payments as the callers observed them, and assertions on the services' records.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::U256;
use serde_json::Value;

/// Token units.
pub(crate) type Units = u128;

/// The observed payments from one deposit.
#[derive(Clone, Debug, Default)]
pub(crate) struct DepositPayments {
    /// The largest total of the payer's cheques.
    pub(crate) written: Units,
    /// The values of acknowledged payments, by total.
    pub(crate) acknowledged: BTreeMap<Units, Units>,
    /// The totals of all cheques sent to the payee.
    pub(crate) sent: BTreeSet<Units>,
    /// The totals of cheques without an answer.
    pub(crate) unanswered: BTreeSet<Units>,
}

/// The observed payments by deposit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observations {
    pub(crate) deposits: BTreeMap<String, DepositPayments>,
}

impl Observations {
    pub(crate) fn of(&mut self, deposit: &str) -> &mut DepositPayments {
        self.deposits.entry(deposit.to_owned()).or_default()
    }

    /// Counts acknowledged payments.
    pub(crate) fn payments(&self) -> usize {
        let deposits = self.deposits.values();
        deposits.map(|payments| payments.acknowledged.len()).sum()
    }

    /// Asserts that the payee's records have every acknowledged payment and no cheque that nobody sent until `now`,
    /// with the value that the total implies.
    pub(crate) fn assert_kept_by_payee(&self, records: &PayeeRecords, now: &Self) {
        for (id, payments) in &self.deposits {
            let Some((largest, _)) = payments.acknowledged.last_key_value() else {
                continue;
            };
            let (total, credited) = (records.units(id, "total"), records.units(id, "credited"));
            assert!(total >= *largest, "{id}: {total} < {largest}");
            let sent = &now.deposits[id].sent;
            assert!(sent.contains(&total), "{id}: no caller sent {total}");
            assert_eq!(credited, records.worth(id, total), "{id} at {total}");
        }
    }

    /// Asserts that the value of each payment is the difference to the payment before, which may be unanswered.
    pub(crate) fn assert_counted_once(&self, records: &PayeeRecords) {
        for (id, payments) in &self.deposits {
            let mut before = 0;
            for (total, value) in &payments.acknowledged {
                let between = payments.unanswered.range(before..*total).copied();
                let mut possible = between.chain([before]);
                let adds = |from| records.worth(id, *total) - records.worth(id, from);
                assert!(
                    possible.any(|from| adds(from) == *value),
                    "{id}: {value} for {total} after {before}: {payments:?}"
                );
                before = *total;
            }
        }
    }

    /// Asserts that the payer's records have every cheque that it wrote.
    pub(crate) fn assert_kept_by_payer(&self, spent: impl Fn(&str) -> Units) {
        for (id, payments) in &self.deposits {
            let recorded = spent(id);
            assert!(
                recorded >= payments.written,
                "{id}: {recorded} < {}",
                payments.written
            );
        }
    }
}

/// The payee's records, with the terms of the deposits.
pub(crate) struct PayeeRecords {
    rows: BTreeMap<String, Value>,
    terms: BTreeMap<String, Value>,
}

impl PayeeRecords {
    /// Reads the payee's list of deposits, and a list of terms.
    pub(crate) fn new(listed: &Value, terms: &Value) -> Self {
        let by = |list: &Value, key: &str| {
            let rows = list.as_array().expect("a list").iter();
            let id = |row: &Value| row[key].as_str().expect("an id").to_owned();
            rows.map(|row| (id(row), row.clone())).collect()
        };
        Self {
            rows: by(&listed["deposits"], "deposit"),
            terms: by(terms, "id"),
        }
    }

    /// Sums the payouts of all redeemed wins.
    pub(crate) fn won(&self) -> Units {
        let rows = self.rows.values();
        let won = rows.filter(|row| row["state"] == "redeemed");
        won.map(|row| units(&row["payout"])).sum()
    }

    fn units(&self, id: &str, name: &str) -> Units {
        let row = self.rows.get(id);
        units(&row.unwrap_or_else(|| panic!("the payee lost deposit {id}"))[name])
    }

    /// Computes the worth of a total to the payee, rounded down: chance * (payout - cost to redeem), as in SPEC.md.
    fn worth(&self, id: &str, total: Units) -> Units {
        let number = |name: &str| U256::from(self.units(id, name));
        let (amount, allowance, cost) =
            (number("amount"), number("allowance"), number("redeem_cost"));
        let min_payout = U256::from(units(&self.terms[id]["min_payout"]));
        let total = U256::from(total);
        let full = total * amount / allowance;
        let (payout, range) = match full >= min_payout {
            true => (full, allowance),
            false => (min_payout, total * amount / min_payout),
        };
        (range * payout.saturating_sub(cost) / amount).to()
    }
}

/// The states of the payee's deposits.
pub(crate) fn states(listed: &Value) -> impl Iterator<Item = &str> {
    let rows = listed["deposits"].as_array().expect("a list").iter();
    rows.map(|row| row["state"].as_str().expect("a state"))
}

/// Parses an amount, which is a string in JSON.
pub(crate) fn units(amount: &Value) -> Units {
    let text = amount
        .as_str()
        .unwrap_or_else(|| panic!("{amount} is not an amount"));
    text.parse().expect("an amount")
}
