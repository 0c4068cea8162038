//! What a payee has read from the chain at one head.

use crate::{
    bank::{cost::GasPrices, head::Head, reader::PurseKey},
    protocol::terms::{DepositId, Purse},
};
use alloy_primitives::U256;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

/// One look at the chain: everything in it is as of the same head.
#[derive(Debug)]
pub(super) struct ChainSnapshot {
    pub(super) head: Head,
    pub(super) prices: GasPrices,
    /// The words of purses at the confirmed block. There may be a million: a tree of words is less than half as large as a
    /// table of purses.
    pub(super) purses: Mutex<BTreeMap<PurseKey, U256>>,
    /// Deposits in the store that are still to be drawn, and that the bank did not hold at the confirmed block.
    pub(super) unconfirmed: BTreeSet<DepositId>,
}

impl ChainSnapshot {
    pub(super) fn purse(&self, purse: PurseKey) -> Option<Purse> {
        let purses = self.purses.lock();
        let purses = purses.unwrap_or_else(PoisonError::into_inner);
        purses.get(&purse).copied().map(Purse::from_word)
    }

    pub(super) fn learn(&self, purse: PurseKey, holds: Purse) {
        let purses = self.purses.lock();
        let mut purses = purses.unwrap_or_else(PoisonError::into_inner);
        purses.insert(purse, holds.word());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Address;

    /// With the book's 220 and what the store keeps in memory, below 400 bytes for each open deposit.
    #[test]
    fn a_look_takes_less_than_95_bytes_for_each_purse() {
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
