//! The deposits that a payee holds cheques of, and what they come to.

use crate::{Amount, Deposit, DepositId, Meta};
use alloy_primitives::{Address, U256};
use std::collections::BTreeMap;

/// The deposits in the store, with the sum of each group whose draw could be influenced at once.
///
/// Trees and not hash tables: right after growing, those are half empty, which at a million deposits is as much again.
#[derive(Debug, Default)]
pub(super) struct Book {
    deposits: BTreeMap<DepositId, Known>,
    sums: BTreeMap<Group, U256>,
}

/// What a payee has to remember of a deposit to judge others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) payer: Address,
    pub(super) signer: Address,
    pub(super) token: Address,
    pub(super) lane: u64,
    pub(super) draw_block: u64,
    pub(super) amount: Amount,
}

/// Deposits whose amounts count as one exposure: signer, token, draw block.
type Group = (Address, Address, u64);

impl Book {
    /// Takes a deposit in. Once more has no effect: the terms follow from the id.
    pub(super) fn insert(&mut self, id: DepositId, known: Known) {
        if self.deposits.insert(id, known).is_none() {
            let sum = self.sums.entry(known.group()).or_default();
            // Exact: 2^128 deposits would have to come to 2^256.
            *sum += known.amount.to_u256();
        }
    }

    /// Forgets a deposit.
    pub(super) fn remove(&mut self, id: DepositId) {
        let Some(known) = self.deposits.remove(&id) else {
            return;
        };
        if let Some(sum) = self.sums.get_mut(&known.group()) {
            *sum -= known.amount.to_u256();
            if sum.is_zero() {
                self.sums.remove(&known.group());
            }
        }
    }

    /// The sum of the amounts of all other deposits with the signer, token and draw block of this one. More than
    /// [`Amount::MAX`] becomes [`Amount::MAX`].
    pub(super) fn exposure_beside(&self, id: DepositId, deposit: &Deposit) -> Amount {
        let group = (deposit.signer, deposit.token, deposit.drawBlock);
        let sum = self.sums.get(&group).copied().unwrap_or_default();
        let own = self.deposits.get(&id).filter(|own| own.group() == group);
        let sum = sum - own.map_or(U256::ZERO, |own| own.amount.to_u256());
        u128::try_from(sum).map_or(Amount::MAX, Amount::new)
    }

    /// All deposits, by id.
    pub(super) fn deposits(&self) -> impl Iterator<Item = &Known> {
        self.deposits.values()
    }
}

impl FromIterator<(DepositId, Known)> for Book {
    fn from_iter<T: IntoIterator<Item = (DepositId, Known)>>(deposits: T) -> Self {
        let mut book = Self::default();
        for (id, known) in deposits {
            book.insert(id, known);
        }
        book
    }
}

impl Known {
    const fn group(&self) -> Group {
        (self.signer, self.token, self.draw_block)
    }
}

impl From<&Meta> for Known {
    fn from(meta: &Meta) -> Self {
        let terms = meta.deposit();
        Self {
            payer: terms.payer,
            signer: terms.signer,
            token: terms.token,
            lane: terms.lane,
            draw_block: terms.drawBlock,
            amount: Amount::new(terms.amount),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{B256, keccak256};
    use proptest::prelude::*;

    fn id(number: u64) -> DepositId {
        DepositId(keccak256(number.to_be_bytes()))
    }

    fn deposit(signer: u8, token: u8, draw_block: u64) -> Deposit {
        Deposit {
            payer: Address::repeat_byte(1),
            signer: Address::repeat_byte(signer),
            token: Address::repeat_byte(token),
            lane: 1,
            amount: 10,
            minPayout: 0,
            drawBlock: draw_block,
            lastRedeemBlock: draw_block + 1,
            root: B256::ZERO,
        }
    }

    fn known(terms: &Deposit, amount: u128) -> Known {
        Known {
            payer: terms.payer,
            signer: terms.signer,
            token: terms.token,
            lane: terms.lane,
            draw_block: terms.drawBlock,
            amount: Amount::new(amount),
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
    fn terms(number: u64) -> (Deposit, u128) {
        let terms = deposit(number as u8 % 3, number as u8 % 2, 100 + number % 2);
        (terms, u128::from(number) << (number * 3))
    }

    proptest! {
        #[test]
        fn exposure_is_what_a_scan_of_all_deposits_adds_up(
            steps in prop::collection::vec(step(), 0..80), asked in 0u64..40
        ) {
            let mut book = Book::default();
            let mut plain = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Insert(number) => {
                        let (terms, amount) = terms(number);
                        book.insert(id(number), known(&terms, amount));
                        plain.insert(id(number), (terms, amount));
                    }
                    Step::Remove(number) => {
                        book.remove(id(number));
                        plain.remove(&id(number));
                    }
                }
            }
            let (terms, _) = terms(asked);
            let others = plain.iter().filter(|(other, (deposit, _))| {
                **other != id(asked)
                    && (deposit.signer, deposit.token, deposit.drawBlock)
                        == (terms.signer, terms.token, terms.drawBlock)
            });
            let sum = others.fold(U256::ZERO, |sum, (_, (_, amount))| sum + U256::from(*amount));
            let sum = u128::try_from(sum).map_or(Amount::MAX, Amount::new);
            prop_assert_eq!(book.exposure_beside(id(asked), &terms), sum);
            prop_assert_eq!(book.deposits().count(), plain.len());
        }
    }

    #[test]
    fn amounts_beyond_all_amounts_stay_at_the_limit_and_come_back_from_it() {
        let terms = deposit(1, 0, 100);
        let mut book = Book::default();
        for number in 0..3 {
            book.insert(id(number), known(&terms, u128::MAX));
        }
        assert_eq!(book.exposure_beside(id(9), &terms), Amount::MAX);
        book.remove(id(0));
        book.remove(id(1));
        assert_eq!(book.exposure_beside(id(9), &terms), Amount::MAX);
        book.remove(id(2));
        assert_eq!(book.exposure_beside(id(9), &terms), Amount::ZERO);
        assert!(book.sums.is_empty());
    }

    #[test]
    fn deposits_of_as_many_signers_take_less_than_400_bytes_each() {
        const DEPOSITS: u64 = 100_000;
        let mut book = Book::default();
        let taken = allocation_counter::measure(|| {
            for number in 0..DEPOSITS {
                let mut terms = deposit(0, 0, 100);
                terms.signer = Address::from_slice(&id(number).0[12..]);
                book.insert(id(number), known(&terms, 1));
            }
        });
        let each = taken.bytes_current / DEPOSITS as i64;
        assert!((128..400).contains(&each), "{each} bytes");
    }
}
