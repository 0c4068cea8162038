//! The queue of openings of unknown deposits, whose purses only the node can tell.
//!
//! Any stranger can invent openings: a signer costs nothing, and each opening one signature. The node tells an invented
//! deposit from a real one, and may limit its answers. Therefore:
//!
//! - Openings are judged as if the purse held the deposit first, and by the answers of the same snapshot. Only the others
//!   wait here.
//! - Purses are read in batches, few at a time. A flood has to bring more openings than a batch in the time of an answer
//!   before anybody waits, and heads, draws and redemptions keep their share of the node.
//! - A signer has few places. This stops a careless sender, and any sender if the host authenticates its callers: a caller
//!   cannot sign as another one. It does not stop a sender with many keys.
//! - Signers with a deposit that the bank was seen to hold have places of their own, and go first. Such a place costs a real
//!   deposit. So an invented opening never delays the next deposit of a payer who has paid before.
//! - The rest is shared by chance: among strangers the newest goes first, and where they are too many, the oldest makes
//!   room, and is told to come again. A stranger with a real deposit then gets its turn with the same chance as each invented
//!   opening, at its first try or at a later one. The order of arrival would serve openings whose sender has given up.
//! - An opening in a batch is answered, whatever arrives meanwhile.

use crate::{
    bank::purses::PurseKey,
    payee::{
        error::ReceiveError,
        snapshot::{ChainSnapshot, SeenPurse},
    },
};
use alloy_primitives::Address;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::oneshot;

/// A snapshot, and the purse as of its confirmed block.
pub(super) type Answer = Result<(Arc<ChainSnapshot>, SeenPurse), ReceiveError>;

/// The openings that wait for an answer of the node.
#[derive(Debug, Default)]
pub(super) struct UnknownDeposits(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    /// The waiting openings of strangers and of known signers, oldest first.
    waiting: [BTreeMap<u64, Waiting>; 2],
    /// The number of waiting openings of each signer.
    signers: BTreeMap<Address, usize>,
    /// The number of the next opening.
    next: u64,
    /// The number of batches that are being read.
    readers: usize,
}

#[derive(Debug)]
struct Waiting {
    purse: PurseKey,
    signer: Address,
    answer: oneshot::Sender<Answer>,
}

/// The place of one opening, and whether another reader is due.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) answer: oneshot::Receiver<Answer>,
    /// To be run, if there is one.
    pub(super) reader: Option<Reader>,
}

/// The right to read batches. Dropped, it makes room for the next.
#[derive(Debug)]
pub(super) struct Reader {
    queue: Arc<UnknownDeposits>,
    is_counted: bool,
}

/// Openings whose purses are read together. All are told that the payee is busy if the batch is dropped.
#[derive(Debug)]
pub(super) struct Batch(Vec<Waiting>);

impl UnknownDeposits {
    /// The number of batches read at a time.
    pub(super) const MAX_READERS: usize = 4;

    /// The number of openings in a batch.
    pub(super) const MAX_BATCH: usize = 32;

    /// The number of strangers' openings that wait at most, and of known signers' openings.
    pub(super) const MAX_WAITING: usize = 512;

    /// The number of openings of one signer that wait at most.
    pub(super) const MAX_OF_SIGNER: usize = 16;

    /// Takes a place for an opening. `is_known` is true if the bank was seen to hold a deposit of the signer.
    ///
    /// # Errors
    ///
    /// [`ReceiveError::Busy`] if too many openings of the signer, or of known signers, wait already.
    pub(super) fn enter(
        self: &Arc<Self>,
        purse: PurseKey,
        signer: Address,
        is_known: bool,
    ) -> Result<Place, ReceiveError> {
        let mut queue = self.lock();
        let kind = usize::from(is_known);
        let is_full = |queue: &Queue| {
            queue.waiting[kind].len() >= Self::MAX_WAITING
                || queue.of_signer(signer) >= Self::MAX_OF_SIGNER
        };
        if is_full(&queue) {
            queue.drop_abandoned();
        }
        if queue.of_signer(signer) >= Self::MAX_OF_SIGNER {
            return Err(ReceiveError::Busy);
        }
        if queue.waiting[kind].len() >= Self::MAX_WAITING {
            if is_known {
                return Err(ReceiveError::Busy);
            }
            queue.evict_oldest_stranger();
        }
        let (sender, answer) = oneshot::channel();
        let number = queue.next;
        queue.next += 1;
        *queue.signers.entry(signer).or_default() += 1;
        let waiting = Waiting {
            purse,
            signer,
            answer: sender,
        };
        queue.waiting[kind].insert(number, waiting);
        let reader = (queue.readers < Self::MAX_READERS).then(|| {
            queue.readers += 1;
            Reader {
                queue: self.clone(),
                is_counted: true,
            }
        });
        Ok(Place { answer, reader })
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // No code panics under the lock, so a poisoned lock is good.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn of_signer(&self, signer: Address) -> usize {
        self.signers.get(&signer).copied().unwrap_or_default()
    }

    /// Frees the places of callers that have gone away.
    fn drop_abandoned(&mut self) {
        for kind in 0..self.waiting.len() {
            let abandoned: Vec<_> = {
                let waiting = self.waiting[kind].iter();
                let abandoned = waiting.filter(|(_, waiting)| waiting.answer.is_closed());
                abandoned.map(|(number, _)| *number).collect()
            };
            for number in abandoned {
                let _gone = self.take(kind, number);
            }
        }
    }

    fn evict_oldest_stranger(&mut self) {
        let oldest = self.waiting[0].keys().next().copied();
        if let Some(evicted) = oldest.and_then(|number| self.take(0, number)) {
            let _gone = evicted.answer.send(Err(ReceiveError::Busy));
        }
    }

    /// Takes known signers first, in order of arrival, then the newest strangers.
    fn take_batch(&mut self) -> Vec<Waiting> {
        let mut batch = Vec::new();
        while batch.len() < UnknownDeposits::MAX_BATCH {
            let known = self.waiting[1].keys().next().map(|number| (1, *number));
            let stranger = || self.waiting[0].keys().next_back().map(|n| (0, *n));
            let Some((kind, number)) = known.or_else(stranger) else {
                break;
            };
            let waiting = self.take(kind, number);
            batch.extend(waiting.filter(|waiting| !waiting.answer.is_closed()));
        }
        batch
    }

    fn take(&mut self, kind: usize, number: u64) -> Option<Waiting> {
        let waiting = self.waiting[kind].remove(&number)?;
        if let Some(count) = self.signers.get_mut(&waiting.signer) {
            *count -= 1;
            if *count == 0 {
                self.signers.remove(&waiting.signer);
            }
        }
        Some(waiting)
    }
}

impl Reader {
    /// Takes the next batch. `None` if nothing waits: the reader has ended then.
    pub(super) fn next_batch(&mut self) -> Option<Batch> {
        let mut queue = self.queue.lock();
        let batch = queue.take_batch();
        if batch.is_empty() {
            // Under the same lock: the next opening begins another reader.
            queue.readers -= usize::from(self.is_counted);
            self.is_counted = false;
            return None;
        }
        Some(Batch(batch))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.is_counted {
            self.queue.lock().readers -= 1;
        }
    }
}

impl Batch {
    /// The purses to read, each once.
    pub(super) fn purses(&self) -> BTreeSet<PurseKey> {
        self.0.iter().map(|waiting| waiting.purse).collect()
    }

    /// Answers all openings of the batch.
    pub(super) fn answer(
        self,
        read: &Result<(Arc<ChainSnapshot>, BTreeMap<PurseKey, SeenPurse>), ReceiveError>,
    ) {
        for waiting in self.0 {
            let answer = match read {
                Ok((snapshot, seen)) => match seen.get(&waiting.purse) {
                    Some(seen) => Ok((snapshot.clone(), *seen)),
                    None => Err(ReceiveError::Busy),
                },
                Err(error) => Err(error.clone()),
            };
            // An error: the caller has gone away.
            let _gone = waiting.answer.send(answer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn purse(lane: u64) -> PurseKey {
        (Address::ZERO, Address::ZERO, lane)
    }

    fn signer(number: usize) -> Address {
        Address::left_padding_from(&number.to_be_bytes())
    }

    /// A queue whose readers are all at work.
    fn busy() -> (Arc<UnknownDeposits>, Vec<Reader>) {
        let queue = Arc::new(UnknownDeposits::default());
        let readers = (0..UnknownDeposits::MAX_READERS).map(|number| {
            let place = queue.enter(purse(0), signer(number), false).unwrap();
            let mut reader = place.reader.unwrap();
            drop(reader.next_batch());
            reader
        });
        let readers = readers.collect();
        (queue, readers)
    }

    fn is_evicted(place: &mut Place) -> bool {
        matches!(place.answer.try_recv(), Ok(Err(ReceiveError::Busy)))
    }

    #[test]
    fn bounds_the_places_of_a_signer() {
        let (queue, _readers) = busy();
        let enter = |number| queue.enter(purse(1), signer(number), false);
        let mut places: Vec<_> = (0..UnknownDeposits::MAX_OF_SIGNER)
            .map(|_| enter(7).unwrap())
            .collect();
        assert!(matches!(enter(7), Err(ReceiveError::Busy)));
        assert!(enter(8).is_ok());
        places.pop();
        assert!(enter(7).is_ok(), "the place of a caller that left");
    }

    #[test]
    fn evicts_the_oldest_stranger_and_no_known_signer() {
        let (queue, mut readers) = busy();
        let mut known = queue.enter(purse(1), signer(1), true).unwrap();
        let mut strangers: Vec<_> = (0..UnknownDeposits::MAX_WAITING + 10)
            .map(|number| queue.enter(purse(2), signer(100 + number), false).unwrap())
            .collect();
        assert!(!is_evicted(&mut known));
        for (number, place) in strangers.iter_mut().enumerate() {
            assert_eq!(is_evicted(place), number < 10, "{number}");
        }
        // The known signer first, then the newest strangers.
        let batch = readers[0].next_batch().unwrap();
        assert_eq!(batch.0[0].signer, signer(1));
        let newest = signer(100 + UnknownDeposits::MAX_WAITING + 9);
        assert_eq!(batch.0[1].signer, newest);
        // No later arrival cuts the answer of an opening in a batch.
        for number in 0..2 * UnknownDeposits::MAX_WAITING {
            let _left = queue
                .enter(purse(3), signer(5_000 + number), false)
                .unwrap();
        }
        assert!(!is_evicted(&mut known));
        batch.answer(&Err(ReceiveError::Busy));
        assert!(is_evicted(&mut known), "answered");
    }

    #[test]
    fn begins_a_reader_whenever_none_would_read() {
        let (queue, mut readers) = busy();
        let enter = || queue.enter(purse(1), signer(1), false).unwrap();
        let first = enter();
        assert!(first.reader.is_none(), "all readers are at work");
        let mut last = readers.pop().unwrap();
        assert!(last.next_batch().is_some());
        assert!(last.next_batch().is_none());
        let Place { mut answer, reader } = enter();
        let mut reader = reader.unwrap();
        // A reader that panics leaves its place to another one, and nobody waits for its answer.
        drop(reader.next_batch());
        drop(reader);
        let left = oneshot::error::TryRecvError::Closed;
        assert_eq!(answer.try_recv().unwrap_err(), left);
        assert!(enter().reader.is_some());
    }
}
