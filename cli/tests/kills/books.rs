//! What the outside knows for certain of payments, and what must then be in the services' records.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::U256;
use serde_json::Value;

/// Token units.
pub(crate) type Units = u128;

/// What was seen of one deposit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// The largest total of a cheque that the payer has handed out.
    pub(crate) handed_out: Units,
    /// What the payee has acknowledged: values by total.
    pub(crate) acknowledged: BTreeMap<Units, Units>,
    /// Totals of all cheques that the payee was shown.
    pub(crate) shown: BTreeSet<Units>,
    /// Those of which an answer never came.
    pub(crate) unanswered: BTreeSet<Units>,
}

/// Deposits by id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Books {
    pub(crate) deposits: BTreeMap<String, Seen>,
}

impl Books {
    pub(crate) fn of(&mut self, deposit: &str) -> &mut Seen {
        self.deposits.entry(deposit.to_owned()).or_default()
    }

    pub(crate) fn payments(&self) -> usize {
        let seen = self.deposits.values();
        seen.map(|seen| seen.acknowledged.len()).sum()
    }

    /// What was acknowledged before is in the payee's records, which hold what it was shown up to now, and each of them is
    /// worth what its total is.
    pub(crate) fn assert_kept_by_payee(&self, ledger: &Ledger, now: &Self) {
        for (id, seen) in &self.deposits {
            let Some((largest, _)) = seen.acknowledged.last_key_value() else {
                continue;
            };
            let (total, credited) = (ledger.units(id, "total"), ledger.units(id, "credited"));
            assert!(total >= *largest, "{id}: {total} < {largest}");
            let shown = &now.deposits[id].shown;
            assert!(shown.contains(&total), "{id}: nobody has shown {total}");
            assert_eq!(credited, ledger.worth(id, total), "{id} at {total}");
        }
    }

    /// The value of each payment is what its total adds to the one before it. That one may be unanswered.
    pub(crate) fn assert_counted_once(&self, ledger: &Ledger) {
        for (id, seen) in &self.deposits {
            let mut before = 0;
            for (total, value) in &seen.acknowledged {
                let between = seen.unanswered.range(before..*total).copied();
                let mut possible = between.chain([before]);
                let adds = |from| ledger.worth(id, *total) - ledger.worth(id, from);
                assert!(
                    possible.any(|from| adds(from) == *value),
                    "{id}: {value} for {total} after {before}: {seen:?}"
                );
                before = *total;
            }
        }
    }

    /// The payer knows every cheque that it has handed out.
    pub(crate) fn assert_kept_by_payer(&self, spent: impl Fn(&str) -> Units) {
        for (id, seen) in &self.deposits {
            let known = spent(id);
            assert!(
                known >= seen.handed_out,
                "{id}: {known} < {}",
                seen.handed_out
            );
        }
    }
}

/// What the payee says it holds, with the terms of the deposits.
pub(crate) struct Ledger {
    rows: BTreeMap<String, Value>,
    terms: BTreeMap<String, Value>,
}

impl Ledger {
    /// From what the payee's service lists, and a list of the payer's deposits with their terms.
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

    /// What all wins together have paid.
    pub(crate) fn won(&self) -> Units {
        let rows = self.rows.values();
        let won = rows.filter(|row| row["state"] == "redeemed");
        won.map(|row| units(&row["payout"])).sum()
    }

    fn units(&self, id: &str, name: &str) -> Units {
        let row = self.rows.get(id);
        units(&row.unwrap_or_else(|| panic!("the payee has lost {id}"))[name])
    }

    /// What a total is worth to the payee in all, rounded down: the chance, times what a win pays beyond the cost of
    /// redeeming it. Computed anew from the terms, as SPEC.md defines it.
    fn worth(&self, id: &str, total: Units) -> Units {
        let number = |name: &str| U256::from(self.units(id, name));
        let (amount, allowance, cost) =
            (number("amount"), number("allowance"), number("redeem_cost"));
        let least = U256::from(units(&self.terms[id]["min_payout"]));
        let total = U256::from(total);
        let full = total * amount / allowance;
        let (payout, range) = match full >= least {
            true => (full, allowance),
            false => (least, total * amount / least),
        };
        (range * payout.saturating_sub(cost) / amount).to()
    }
}

/// Where the payee's deposits stand.
pub(crate) fn states(listed: &Value) -> impl Iterator<Item = &str> {
    let rows = listed["deposits"].as_array().expect("a list").iter();
    rows.map(|row| row["state"].as_str().expect("a state"))
}

/// An amount of JSON, which is a text.
pub(crate) fn units(amount: &Value) -> Units {
    let text = amount
        .as_str()
        .unwrap_or_else(|| panic!("{amount} is no amount"));
    text.parse().expect("an amount")
}
