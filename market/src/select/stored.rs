//! Stored weights.

use super::weighted::{UpdateWeightError, WeightedRandomSelect};
use crate::store::interface::{Batch, Store, StoreError};
use std::{collections::BTreeSet, hash::Hash, ops::ControlFlow};

const VERSION: u8 = 1;

/// A [`WeightedRandomSelect`] that stores weights before they count.
///
/// Choosing may discover changed weights. They are stored with the next update or by [`save`](Self::save). After a
/// kill the earlier weights return, and choosing discovers the falls again by the same rule, so every choice stays
/// equally fair.
#[derive(Debug)]
pub struct StoredSelect<T, S> {
    select: WeightedRandomSelect<T>,
    store: S,
    prefix: Vec<u8>,
    /// Items whose stored weight differs from the weight in memory.
    changed: BTreeSet<T>,
}

impl<T, S> StoredSelect<T, S>
where
    T: Copy + Ord + Hash + AsRef<[u8]> + for<'a> TryFrom<&'a [u8]>,
    S: Store,
{
    /// Loads the weights stored under `prefix`.
    ///
    /// # Errors
    ///
    /// [`LoadWeightsError`]: a weight is never guessed.
    pub fn open(store: S, prefix: &[u8]) -> Result<Self, LoadWeightsError> {
        let (mut select, mut failed) = (WeightedRandomSelect::new(), Ok(()));
        store.scan(prefix, &[], &mut |key, bytes| {
            let item = key.get(prefix.len()..).unwrap_or_default();
            match load(&mut select, item, bytes) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Err(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        failed?;
        Ok(Self {
            select,
            store,
            prefix: prefix.to_vec(),
            changed: BTreeSet::new(),
        })
    }

    /// Returns the items and their known weights.
    pub const fn select(&self) -> &WeightedRandomSelect<T> {
        &self.select
    }

    /// Calls [`WeightedRandomSelect::update`] and stores the weight in one transaction with `extra`, for example the
    /// data from which the weight follows.
    ///
    /// # Errors
    ///
    /// [`StoreWeightError`]; nothing changes.
    pub fn update(&mut self, item: T, weight: u64, extra: Batch) -> Result<(), StoreWeightError> {
        self.select.check(&item, weight)?;
        let mut batch = extra;
        self.put_changed(&mut batch);
        self.put(&mut batch, &item, weight);
        self.store.write(&batch)?;
        self.changed.clear();
        Ok(self.select.update(item, weight)?)
    }

    /// Calls [`WeightedRandomSelect::choose`].
    pub fn choose(
        &mut self,
        weight_of: impl Fn(&T) -> u64,
        random: impl FnMut() -> u64,
    ) -> Option<T> {
        let changed = &mut self.changed;
        self.select.choose_and_report(weight_of, random, |item| {
            changed.insert(item);
        })
    }

    /// Stores the changed weights that choosing has discovered.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store fails; a later call stores the weights.
    pub fn save(&mut self) -> Result<(), StoreError> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new();
        self.put_changed(&mut batch);
        self.store.write(&batch)?;
        self.changed.clear();
        Ok(())
    }

    fn put_changed(&self, batch: &mut Batch) {
        for item in &self.changed {
            self.put(batch, item, self.select.weight(item));
        }
    }

    /// Writes a version byte and the weight, big-endian.
    fn put(&self, batch: &mut Batch, item: &T, weight: u64) {
        let key = [&self.prefix, item.as_ref()].concat();
        match weight {
            0 => batch.delete(key),
            weight => batch.put(key, [&[VERSION][..], &weight.to_be_bytes()].concat()),
        }
    }
}

fn load<T>(
    select: &mut WeightedRandomSelect<T>,
    item: &[u8],
    bytes: &[u8],
) -> Result<(), LoadWeightsError>
where
    T: Copy + Eq + Hash + for<'a> TryFrom<&'a [u8]>,
{
    let damaged = LoadWeightsError::Damaged {
        length: bytes.len(),
    };
    let Some((&found, weight)) = bytes.split_first() else {
        return Err(damaged);
    };
    if found != VERSION {
        return Err(LoadWeightsError::Version { found });
    }
    let (Ok(item), Ok(weight)) = (T::try_from(item), <[u8; 8]>::try_from(weight)) else {
        return Err(damaged);
    };
    let weight = u64::from_be_bytes(weight);
    select.update(item, weight).map_err(|_| damaged)
}

/// An error of loading stored weights.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadWeightsError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A later version of this library wrote the weight.
    #[error(
        "a stored weight has version {found} and this program reads version {VERSION}; use a newer program"
    )]
    Version {
        /// Version of the record.
        found: u8,
    },
    /// The record is no weight, belongs to no item, or exceeds the sum of all weights.
    #[error("a stored weight of {length} bytes is damaged; restore the store from a backup")]
    Damaged {
        /// Length of the record.
        length: usize,
    },
}

/// An error of changing a weight.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreWeightError {
    /// The weight is too large.
    #[error(transparent)]
    Weight(#[from] UpdateWeightError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Failing;
    use rand_chacha::{
        ChaCha8Rng,
        rand_core::{RngCore, SeedableRng},
    };
    use std::sync::Arc;

    type Select = StoredSelect<[u8; 1], Arc<Failing>>;

    fn open(store: &Arc<Failing>) -> Select {
        StoredSelect::open(Arc::clone(store), b"weights:").unwrap()
    }

    fn weights(select: &Select) -> [u64; 4] {
        [0, 1, 2, 3].map(|item| select.select().weight(&[item]))
    }

    fn update(select: &mut Select, item: u8, weight: u64) {
        select.update([item], weight, Batch::new()).unwrap();
    }

    #[test]
    fn restores_weights_of_the_last_update() {
        let store = Arc::default();
        let mut select = open(&store);
        for (item, weight) in [(0, 5), (1, 7), (2, 9), (1, 8), (2, 0)] {
            update(&mut select, item, weight);
        }
        let mut extra = Batch::new();
        extra.put("why", [1]);
        select.update([3], u64::MAX - 13, extra).unwrap();
        drop(select);
        let select = open(&store);
        assert_eq!(weights(&select), [5, 8, 0, u64::MAX - 13]);
        assert_eq!(select.select().len(), 3);
        assert_eq!(store.get(b"why").unwrap().unwrap(), [1]);
    }

    #[test]
    fn changes_nothing_on_refusal_or_store_failure() {
        let store = Arc::default();
        let mut select = open(&store);
        update(&mut select, 0, 5);
        let large = select.update([1], u64::MAX - 4, Batch::new());
        assert!(matches!(large, Err(StoreWeightError::Weight(_))));
        store.fail(true);
        let failed = select.update([0], 6, Batch::new());
        assert!(matches!(failed, Err(StoreWeightError::Store(_))));
        assert_eq!(weights(&select), [5, 0, 0, 0]);
        assert_eq!(weights(&open(&store)), [5, 0, 0, 0]);
    }

    #[test]
    fn stores_discovered_changes_later() {
        let store = Arc::default();
        let mut select = open(&store);
        update(&mut select, 0, 1_000);
        update(&mut select, 1, 1_000);
        // Only the second item is left, with less weight.
        let present = |item: &[u8; 1]| u64::from(item[0]) * 10;
        let choose = |select: &mut Select| {
            let mut random = ChaCha8Rng::seed_from_u64(1);
            for _ in 0..9 {
                assert_eq!(select.choose(present, || random.next_u64()), Some([1]));
            }
        };
        choose(&mut select);
        assert_eq!(weights(&select), [0, 10, 0, 0]);
        let mut killed = open(&store);
        assert_eq!(weights(&killed), [1_000, 1_000, 0, 0]);
        choose(&mut killed);
        store.fail(true);
        killed.save().unwrap_err();
        store.fail(false);
        killed.save().unwrap();
        assert_eq!(weights(&open(&store)), [0, 10, 0, 0]);

        update(&mut select, 2, 3);
        assert_eq!(weights(&open(&store)), [0, 10, 3, 0]);
    }

    #[test]
    fn rejects_damaged_weights() {
        for (item, bytes, version) in [
            (&[7][..], &[][..], false),
            (&[7], &[1; 8], false),
            (&[7], &[1; 10], false),
            (&[7, 7], &[1; 9], false),
            (&[7], &[2; 9], true),
        ] {
            let store: Arc<Failing> = Arc::default();
            let mut batch = Batch::new();
            batch.put([b"weights:", item].concat(), bytes);
            store.write(&batch).unwrap();
            let opened = StoredSelect::<[u8; 1], _>::open(store, b"weights:");
            match opened.unwrap_err() {
                LoadWeightsError::Damaged { length } => assert_eq!(length, bytes.len()),
                LoadWeightsError::Version { found } => assert!(version && found == 2),
                other => panic!("{other}"),
            }
        }
    }
}
