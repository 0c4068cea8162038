//! Batches on their way into the store.
//!
//! A hot account changes thousands of times a second, and a disk syncs less often. So the next decision reads the records as
//! the batches on their way will leave them, and its own batch is committed together with these. Compare-and-set keeps that
//! safe: a batch is written only if the records hold what its decision has read, so it fails with the batch that it builds
//! upon. No answer leaves before its batch is durable.

use crate::ledger::{book::Book, fault::LedgerFault};
use alloy_primitives::Address;
use cheque::store::{Change, Pending, Store, StoreError, Swap, Table};
use std::{
    cell::Cell,
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::runtime::Handle;

/// The largest number of times that records are read for one decision, because they have changed meanwhile.
const MAX_READS: usize = 64;

/// The store behind the batches on their way.
#[derive(Clone)]
pub(super) struct Pipeline {
    store: Arc<dyn Store>,
    ahead: Arc<Mutex<Ahead>>,
}

/// The table and the key of a record.
type Place = (Table, Vec<u8>);

#[derive(Default)]
struct Ahead {
    /// The number of batches so far.
    batches: u64,
    /// Records as the batches on their way will leave them, each with the number of the last of them.
    records: HashMap<Place, (u64, Option<Vec<u8>>)>,
}

/// A batch on its way.
pub(super) struct Begun {
    pipeline: Pipeline,
    number: u64,
    keys: Vec<Place>,
    state: State,
}

enum State {
    /// Nothing to write.
    Clean,
    /// A record has changed since the decision has read it.
    Conflict,
    Pending(Pending),
    Ready(Result<Swap, StoreError>),
}

impl Pipeline {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            ahead: Arc::default(),
        }
    }

    pub(super) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Makes a decision upon the newest records, and begins to write its changes. Blocks. Begins nothing for a decision that
    /// is not final, because another one follows that reads the records again.
    ///
    /// Records are read one by one, while other decisions change them. A batch is written only if all of them still hold what
    /// was read. Without a batch the records are read a second time, and the decision is made again if one has changed.
    ///
    /// An error, too, may come from records of different moments, or of a batch on its way that will fail. It counts only if
    /// a batch that changes nothing finds the same records. So call this from a thread of a runtime that may block.
    pub(super) fn decide<T>(
        &self,
        payee: Address,
        decide: impl Fn(&mut Book<'_>) -> Result<T, LedgerFault>,
        is_final: impl Fn(&T) -> bool,
    ) -> Result<(T, Begun), LedgerFault> {
        for _ in 0..MAX_READS {
            let is_ahead = Cell::new(false);
            let read = |table: Table, key: &[u8]| {
                let ahead = self.ahead().records.get(&(table, key.to_vec())).cloned();
                match ahead {
                    Some((_, value)) => {
                        is_ahead.set(true);
                        Ok(value)
                    }
                    None => self.store.get(table, key),
                }
            };
            let mut book = Book::new(payee, &read);
            let decision = decide(&mut book);
            match &decision {
                Ok(decided) if !is_final(decided) => {}
                // A decision that only read records of batches on their way is as uncertain as these. It waits for them by
                // a batch that changes nothing.
                Ok(_) if is_ahead.get() || book.is_changed() => {
                    let begun = self.begin(&book.changes());
                    return Ok((decision?, begun));
                }
                Err(LedgerFault::Store(_)) => {}
                Err(_) if is_ahead.get() => {
                    let seen = self.begin(&book.reads()).finish();
                    if !Handle::current().block_on(seen)? {
                        continue;
                    }
                }
                Ok(_) | Err(_) => {
                    if !book.is_current()? {
                        continue;
                    }
                }
            }
            return Ok((decision?, self.begun(0, Vec::new(), State::Clean)));
        }
        Err(LedgerFault::Contended(MAX_READS))
    }

    fn begin(&self, changes: &[Change<'_>]) -> Begun {
        let keys: Vec<_> = changes
            .iter()
            .map(|change| (change.table, change.key.to_vec()))
            .collect();
        let mut ahead = self.ahead();
        let differs = |(place, change): (&Place, &Change<'_>)| {
            let known = ahead.records.get(place);
            known.is_some_and(|(_, value)| value.as_deref() != change.old)
        };
        if keys.iter().zip(changes).any(differs) {
            drop(ahead);
            return self.begun(0, Vec::new(), State::Conflict);
        }
        ahead.batches += 1;
        let number = ahead.batches;
        for (place, change) in keys.iter().zip(changes) {
            let new = (number, change.new.map(<[u8]>::to_vec));
            ahead.records.insert(place.clone(), new);
        }
        // Begun under the lock, so that the store gets the batches in the order of their decisions. It only queues them.
        let pending = self.store.begin(changes);
        drop(ahead);
        let state = match pending {
            Some(pending) => State::Pending(pending),
            None => State::Ready(self.store.swap(changes)),
        };
        self.begun(number, keys, state)
    }

    fn begun(&self, number: u64, keys: Vec<Place>, state: State) -> Begun {
        Begun {
            pipeline: self.clone(),
            number,
            keys,
            state,
        }
    }

    /// No code panics under the lock.
    fn ahead(&self) -> MutexGuard<'_, Ahead> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hides the records, which are secret.
impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pipeline(..)")
    }
}

impl Begun {
    /// Waits until the batch is durable. Returns false if it was not written, because a record had changed.
    pub(super) async fn finish(mut self) -> Result<bool, StoreError> {
        let state = std::mem::replace(&mut self.state, State::Clean);
        let swap = match state {
            State::Clean => return Ok(true),
            State::Conflict => return Ok(false),
            State::Pending(pending) => pending.await,
            State::Ready(swap) => swap,
        };
        self.forget(matches!(swap, Ok(Swap::Done)));
        Ok(matches!(swap?, Swap::Done))
    }

    /// The store now tells what the records hold, except where later batches are on their way. Those fail if this one did.
    fn forget(&mut self, is_done: bool) {
        let mut ahead = self.pipeline.ahead();
        for key in self.keys.drain(..) {
            let last = ahead.records.get(&key).map(|(number, _)| *number);
            if last.is_some_and(|last| !is_done || last == self.number) {
                ahead.records.remove(&key);
            }
        }
    }
}

/// A batch whose end nobody waits for leaves its records to the store.
impl Drop for Begun {
    fn drop(&mut self) {
        self.forget(false);
    }
}

#[cfg(test)]
mod tests;
