//! The deposits that a payee holds cheques of, and what they come to.

use crate::{
    bank::reader::PurseKey,
    protocol::{amount::Amount, terms::DepositId},
};
use alloy_primitives::{Address, B256, U256};
use cheque_bindings::Deposit;
use std::collections::BTreeMap;

/// The deposits in the store, and what those come to whose draw could be influenced at once.
///
/// Trees and not hash tables: right after growing, those are half empty, which at a million deposits is as much again.
#[derive(Debug, Default)]
pub(super) struct ExposureIndex {
    /// Ordered so that a group's deposits stand together.
    deposits: BTreeMap<(Group, DepositId), Known>,
    /// The sum of each group of two or more. Of most signers there is one deposit.
    sums: BTreeMap<Group, U256>,
}

/// Deposits whose amounts count as one exposure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    signer: Address,
    token: Address,
    draw_block: u64,
}

/// What a payee has to remember of a deposit beside its group.
#[derive(Clone, Copy, Debug)]
struct Known {
    payer: Address,
    lane: u64,
    amount: Amount,
}

impl ExposureIndex {
    /// Takes a deposit in. Once more has no effect: the terms follow from the id.
    pub(super) fn insert(&mut self, id: DepositId, terms: &Deposit) {
        let group = Group::of(terms);
        let known = Known {
            payer: terms.payer,
            lane: terms.lane,
            amount: Amount::new(terms.amount),
        };
        let before = self.sum(group);
        if self.deposits.insert((group, id), known).is_none() {
            // Exact: 2^128 deposits would have to come to 2^256.
            self.keep_sum(group, before + known.amount.to_u256());
        }
    }

    /// Forgets a deposit.
    pub(super) fn remove(&mut self, id: DepositId, terms: &Deposit) {
        let group = Group::of(terms);
        let before = self.sum(group);
        if let Some(known) = self.deposits.remove(&(group, id)) {
            self.keep_sum(group, before - known.amount.to_u256());
        }
    }

    /// Whether a deposit is in it.
    pub(super) fn contains(&self, id: DepositId, terms: &Deposit) -> bool {
        self.deposits.contains_key(&(Group::of(terms), id))
    }

    /// The sum of the amounts of all other deposits with the signer, token and draw block of this one. More than
    /// [`Amount::MAX`] becomes [`Amount::MAX`].
    pub(super) fn exposure_beside(&self, id: DepositId, terms: &Deposit) -> Amount {
        let group = Group::of(terms);
        let own = self.deposits.get(&(group, id));
        let sum = self.sum(group) - own.map_or(U256::ZERO, |own| own.amount.to_u256());
        u128::try_from(sum).map_or(Amount::MAX, Amount::new)
    }

    /// All deposits that are drawn after `head`, with their purses.
    pub(super) fn purses_after(&self, head: u64) -> impl Iterator<Item = (DepositId, PurseKey)> {
        let deposits = self.deposits.iter();
        deposits
            .filter(move |((group, _), _)| group.draw_block > head)
            .map(|((group, id), known)| (*id, (known.payer, group.token, known.lane)))
    }

    fn sum(&self, group: Group) -> U256 {
        let kept = self.sums.get(&group).copied();
        kept.unwrap_or_else(|| self.of(group).map(|known| known.amount.to_u256()).sum())
    }

    fn keep_sum(&mut self, group: Group, sum: U256) {
        if self.of(group).nth(1).is_some() {
            self.sums.insert(group, sum);
        } else {
            self.sums.remove(&group);
        }
    }

    fn of(&self, group: Group) -> impl Iterator<Item = &Known> {
        let first = (group, DepositId(B256::ZERO));
        let last = (group, DepositId(B256::repeat_byte(0xff)));
        self.deposits.range(first..=last).map(|(_, known)| known)
    }
}

impl Group {
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

    /// The same number always has the same terms, as the same id always does.
    fn terms(number: u64) -> Deposit {
        let amount = u128::from(number) << (number * 3);
        deposit(number as u8 % 3, number as u8 % 2, 100 + number % 2, amount)
    }

    proptest! {
        #[test]
        fn exposure_is_what_a_scan_of_all_deposits_adds_up(
            steps in prop::collection::vec(step(), 0..80), asked in 0u64..40
        ) {
            let mut book = ExposureIndex::default();
            let mut plain = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Insert(number) => {
                        book.insert(id(number), &terms(number));
                        plain.insert(id(number), terms(number));
                    }
                    Step::Remove(number) => {
                        book.remove(id(number), &terms(number));
                        plain.remove(&id(number));
                    }
                }
            }
            let own = terms(asked);
            let others = plain.iter().filter(|(other, terms)| {
                **other != id(asked) && Group::of(terms) == Group::of(&own)
            });
            let sum = others.fold(U256::ZERO, |sum, (_, terms)| sum + U256::from(terms.amount));
            let sum = u128::try_from(sum).map_or(Amount::MAX, Amount::new);
            prop_assert_eq!(book.exposure_beside(id(asked), &own), sum);
            let later = plain.values().filter(|terms| terms.drawBlock > 100).count();
            prop_assert_eq!(book.purses_after(100).count(), later);
            prop_assert!(book.sums.keys().all(|group| book.of(*group).count() > 1));
        }
    }

    #[test]
    fn amounts_beyond_all_amounts_stay_at_the_limit_and_come_back_from_it() {
        let terms = deposit(1, 0, 100, u128::MAX);
        let mut book = ExposureIndex::default();
        for number in 0..3 {
            book.insert(id(number), &terms);
        }
        assert_eq!(book.exposure_beside(id(9), &terms), Amount::MAX);
        assert_eq!(book.exposure_beside(id(0), &terms), Amount::MAX);
        book.remove(id(0), &terms);
        book.remove(id(1), &terms);
        assert_eq!(book.exposure_beside(id(9), &terms), Amount::MAX);
        assert_eq!(book.exposure_beside(id(2), &terms), Amount::ZERO);
        book.remove(id(2), &terms);
        assert_eq!(book.exposure_beside(id(9), &terms), Amount::ZERO);
    }

    #[test]
    fn deposits_of_as_many_signers_take_less_than_220_bytes_each() {
        const DEPOSITS: u64 = 100_000;
        let mut book = ExposureIndex::default();
        let taken = allocation_counter::measure(|| {
            for number in 0..DEPOSITS {
                let mut terms = deposit(0, 0, 100, 1);
                terms.signer = Address::from_slice(&id(number).0[12..]);
                book.insert(id(number), &terms);
            }
        });
        let each = taken.bytes_current / DEPOSITS as i64;
        assert!((128..220).contains(&each), "{each} bytes");
    }
}
