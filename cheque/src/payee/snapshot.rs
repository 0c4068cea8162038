//! The payee's snapshot of the chain at one head.

use crate::{
    bank::{
        cost::GasPrices,
        head::{FinalBlock, Head, HeadCheckError},
        purses::PurseKey,
    },
    protocol::terms::{DepositId, Purse},
};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// The number of purses from which on those without a deposit are not kept.
const MAX_UNKNOWN: usize = 10_000;

/// The answers of a single node at a single head.
#[derive(Debug)]
pub(super) struct ChainSnapshot {
    pub(super) head: Head,
    pub(super) prices: GasPrices,
    /// The newest confirmed block. Purses are read there.
    pub(super) confirmed: Head,
    pub(super) final_block: FinalBlock,
    /// `None` before the first head that could be acted upon.
    pub(super) reference: Option<Reference>,
    /// The reason for not acting upon the head: it is in the future. Payments are refused then.
    pub(super) ahead: Option<HeadCheckError>,
    /// The generation of the exposure index at the snapshot.
    pub(super) generation: u64,
    /// The purses of deposits that the payee has no cheque of.
    pub(super) unknown: Mutex<BTreeMap<PurseKey, SeenPurse>>,
}

/// The highest blocks of the chain that are known to be confirmed and final. If later answers show other blocks in their
/// place, the chain was reorganised. Higher than the blocks of the snapshot if its node was behind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reference {
    pub(super) confirmed: Head,
    pub(super) last_final: FinalBlock,
}

impl Reference {
    /// The higher blocks of two references to the same chain.
    pub(super) const fn higher(self, other: Self) -> Self {
        Self {
            confirmed: if other.confirmed.number < self.confirmed.number {
                self.confirmed
            } else {
                other.confirmed
            },
            ..self.higher_final(other)
        }
    }

    /// The other reference, with the higher final block of the two.
    pub(super) const fn higher_final(self, other: Self) -> Self {
        Self {
            confirmed: other.confirmed,
            last_final: if other.last_final.number < self.last_final.number {
                self.last_final
            } else {
                other.last_final
            },
        }
    }
}

/// The contents of a purse at the confirmed block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SeenPurse {
    pub(super) contents: Purse,
    /// The lowest block known to have the same contents: the confirmed block, or the final block.
    pub(super) since: u64,
}

impl SeenPurse {
    /// The lowest block at which the purse is known to have held a deposit. `None` if the purse does not hold it.
    pub(super) fn open_at(&self, id: DepositId) -> Option<u64> {
        (self.contents == Purse::Open(id)).then_some(self.since)
    }
}

impl ChainSnapshot {
    pub(super) fn unknown_purse(&self, purse: PurseKey) -> Option<SeenPurse> {
        let unknown = self.unknown.lock();
        let unknown = unknown.unwrap_or_else(PoisonError::into_inner);
        unknown.get(&purse).copied()
    }

    /// Keeps the contents of a purse. Purses that hold no deposit, which anybody can ask for, are kept up to a bound; of the
    /// others none is ever dropped.
    pub(super) fn insert_unknown(&self, purse: PurseKey, seen: SeenPurse) {
        let unknown = self.unknown.lock();
        let mut unknown = unknown.unwrap_or_else(PoisonError::into_inner);
        if unknown.len() < MAX_UNKNOWN || matches!(seen.contents, Purse::Open(_)) {
            unknown.insert(purse, seen);
        }
    }
}
