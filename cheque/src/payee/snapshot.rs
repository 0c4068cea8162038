//! The payee's snapshot of the chain at one head.

use crate::{
    bank::{cost::GasPrices, head::Head, reader::PurseKey},
    protocol::terms::{DepositId, Purse},
};
use alloy_primitives::U256;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

/// The answers of a single node at a single head.
#[derive(Debug)]
pub(super) struct ChainSnapshot {
    pub(super) head: Head,
    pub(super) prices: GasPrices,
    /// Words of purses at the confirmed block. There may be a million: a tree of words takes less than half the memory
    /// of a hash table of purses.
    pub(super) purses: Mutex<BTreeMap<PurseKey, U256>>,
    /// Stored deposits before their draw that the bank did not hold at the confirmed block.
    pub(super) unconfirmed: BTreeSet<DepositId>,
}

impl ChainSnapshot {
    pub(super) fn purse(&self, purse: PurseKey) -> Option<Purse> {
        let purses = self.purses.lock();
        let purses = purses.unwrap_or_else(PoisonError::into_inner);
        purses.get(&purse).copied().map(Purse::from_word)
    }

    pub(super) fn insert_purse(&self, purse: PurseKey, contents: Purse) {
        let purses = self.purses.lock();
        let mut purses = purses.unwrap_or_else(PoisonError::into_inner);
        purses.insert(purse, contents.word());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Address;

    /// Together with the exposure index (220 bytes) and the memory of the store, less than 400 bytes per open deposit.
    #[test]
    fn takes_less_than_95_bytes_per_purse() {
        const PURSES: u64 = 100_000;
        let words = |number: u64| {
            let payer = Address::left_padding_from(&number.reverse_bits().to_be_bytes());
            ((payer, Address::ZERO, 1), U256::from(number))
        };
        let mut purses = BTreeMap::new();
        let taken = allocation_counter::measure(|| purses = (0..PURSES).map(words).collect());
        assert_eq!(purses.len() as u64, PURSES);
        let each = taken.bytes_current / PURSES as i64;
        assert!((64..95).contains(&each), "{each} bytes");
    }
}
