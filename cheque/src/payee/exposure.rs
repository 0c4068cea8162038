//! Exposure: the deposits in a payee's store, and the sums decided by a single draw.

use crate::{
    bank::reader::PurseKey,
    protocol::{amount::Amount, terms::DepositId},
};
use alloy_primitives::{Address, B256, U256};
use cheque_bindings::Deposit;
use std::collections::BTreeMap;

/// The deposits in the store, with a sum of amounts per signer, token and draw block: one manipulated draw decides all
/// of them.
///
/// Uses trees, because a hash table is half empty right after it grows: a million deposits would take twice the memory.
#[derive(Debug, Default)]
pub(super) struct ExposureIndex {
    /// Ordered by key, so the deposits of a key are neighbours.
    deposits: BTreeMap<(ExposureKey, DepositId), Entry>,
    /// The sum of each key with at least two deposits. Most signers have one deposit.
    sums: BTreeMap<ExposureKey, U256>,
}

/// The common properties of the deposits in a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ExposureKey {
    signer: Address,
    token: Address,
    draw_block: u64,
}

/// The other terms of a deposit.
#[derive(Clone, Copy, Debug)]
struct Entry {
    payer: Address,
    lane: u64,
    amount: Amount,
}

impl ExposureIndex {
    /// Adds a deposit. Idempotent, because the terms follow from the id.
    pub(super) fn insert(&mut self, id: DepositId, terms: &Deposit) {
        let key = ExposureKey::of(terms);
        let entry = Entry {
            payer: terms.payer,
            lane: terms.lane,
            amount: Amount::new(terms.amount),
        };
        let before = self.sum(key);
        if self.deposits.insert((key, id), entry).is_none() {
            // Cannot overflow: amounts are below 2^128, and there are fewer than 2^128 deposits.
            self.store_sum(key, before + entry.amount.to_u256());
        }
    }

    /// Removes a deposit.
    pub(super) fn remove(&mut self, id: DepositId, terms: &Deposit) {
        let key = ExposureKey::of(terms);
        let before = self.sum(key);
        if let Some(entry) = self.deposits.remove(&(key, id)) {
            self.store_sum(key, before - entry.amount.to_u256());
        }
    }

    /// True if the index has the deposit.
    pub(super) fn contains(&self, id: DepositId, terms: &Deposit) -> bool {
        self.deposits.contains_key(&(ExposureKey::of(terms), id))
    }

    /// The sum of the amounts of all other deposits with the signer, token and draw block of this deposit, but at most
    /// [`Amount::MAX`].
    pub(super) fn of_others(&self, id: DepositId, terms: &Deposit) -> Amount {
        let key = ExposureKey::of(terms);
        let own = self.deposits.get(&(key, id));
        let sum = self.sum(key) - own.map_or(U256::ZERO, |own| own.amount.to_u256());
        u128::try_from(sum).map_or(Amount::MAX, Amount::new)
    }

    /// All deposits with a draw after `head`, with their purses.
    pub(super) fn purses_drawn_after(
        &self,
        head: u64,
    ) -> impl Iterator<Item = (DepositId, PurseKey)> {
        let deposits = self.deposits.iter();
        deposits
            .filter(move |((key, _), _)| key.draw_block > head)
            .map(|((key, id), entry)| (*id, (entry.payer, key.token, entry.lane)))
    }

    fn sum(&self, key: ExposureKey) -> U256 {
        let stored = self.sums.get(&key).copied();
        stored.unwrap_or_else(|| self.entries(key).map(|entry| entry.amount.to_u256()).sum())
    }

    fn store_sum(&mut self, key: ExposureKey, sum: U256) {
        if self.entries(key).nth(1).is_some() {
            self.sums.insert(key, sum);
        } else {
            self.sums.remove(&key);
        }
    }

    fn entries(&self, key: ExposureKey) -> impl Iterator<Item = &Entry> {
        let first = (key, DepositId(B256::ZERO));
        let last = (key, DepositId(B256::repeat_byte(0xff)));
        self.deposits.range(first..=last).map(|(_, entry)| entry)
    }
}

impl ExposureKey {
    const fn of(terms: &Deposit) -> Self {
        Self {
            signer: terms.signer,
            token: terms.token,
            draw_block: terms.drawBlock,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;
    use proptest::prelude::*;

    fn id(number: u64) -> DepositId {
        DepositId(keccak256(number.to_be_bytes()))
    }

    fn deposit(signer: u8, token: u8, draw_block: u64, amount: u128) -> Deposit {
        Deposit {
            payer: Address::repeat_byte(1),
            signer: Address::repeat_byte(signer),
            token: Address::repeat_byte(token),
            lane: 1,
            amount,
            minPayout: 0,
            drawBlock: draw_block,
            lastRedeemBlock: draw_block + 1,
            root: B256::ZERO,
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u64),
        Remove(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0u64..40).prop_map(Step::Insert),
            1 => (0u64..40).prop_map(Step::Remove),
        ]
    }

    /// The terms of a deposit, a function of its number as real terms are of their id.
    fn terms(number: u64) -> Deposit {
        let amount = u128::from(number) << (number * 3);
        deposit(number as u8 % 3, number as u8 % 2, 100 + number % 2, amount)
    }

    proptest! {
        #[test]
        fn sums_exposure_like_a_scan_of_all_deposits(
            steps in prop::collection::vec(step(), 0..80), queried in 0u64..40
        ) {
            let mut index = ExposureIndex::default();
            let mut plain = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Insert(number) => {
                        index.insert(id(number), &terms(number));
                        plain.insert(id(number), terms(number));
                    }
                    Step::Remove(number) => {
                        index.remove(id(number), &terms(number));
                        plain.remove(&id(number));
                    }
                }
            }
            let own = terms(queried);
            let others = plain.iter().filter(|(other, terms)| {
                **other != id(queried) && ExposureKey::of(terms) == ExposureKey::of(&own)
            });
            let sum = others.fold(U256::ZERO, |sum, (_, terms)| sum + U256::from(terms.amount));
            let sum = u128::try_from(sum).map_or(Amount::MAX, Amount::new);
            prop_assert_eq!(index.of_others(id(queried), &own), sum);
            let later = plain.values().filter(|terms| terms.drawBlock > 100).count();
            prop_assert_eq!(index.purses_drawn_after(100).count(), later);
            prop_assert!(index.sums.keys().all(|key| index.entries(*key).count() > 1));
        }
    }

    #[test]
    fn caps_exposure_at_the_largest_amount_and_recovers() {
        let terms = deposit(1, 0, 100, u128::MAX);
        let mut index = ExposureIndex::default();
        for number in 0..3 {
            index.insert(id(number), &terms);
        }
        assert_eq!(index.of_others(id(9), &terms), Amount::MAX);
        assert_eq!(index.of_others(id(0), &terms), Amount::MAX);
        index.remove(id(0), &terms);
        index.remove(id(1), &terms);
        assert_eq!(index.of_others(id(9), &terms), Amount::MAX);
        assert_eq!(index.of_others(id(2), &terms), Amount::ZERO);
        index.remove(id(2), &terms);
        assert_eq!(index.of_others(id(9), &terms), Amount::ZERO);
    }

    #[test]
    fn takes_less_than_220_bytes_per_deposit_and_signer() {
        const DEPOSITS: u64 = 100_000;
        let mut index = ExposureIndex::default();
        let taken = allocation_counter::measure(|| {
            for number in 0..DEPOSITS {
                let mut terms = deposit(0, 0, 100, 1);
                terms.signer = Address::from_slice(&id(number).0[12..]);
                index.insert(id(number), &terms);
            }
        });
        let each = taken.bytes_current / DEPOSITS as i64;
        assert!((128..220).contains(&each), "{each} bytes");
    }
}
