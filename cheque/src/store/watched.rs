//! A store with a watch over its writes.

use crate::store::{
    change::{Change, Swap},
    error::StoreError,
    interface::{Store, Visit, VisitAll},
    pending::Pending,
    table::Table,
    write_watch::WriteWatch,
};
use std::sync::Arc;

/// A store with a watch over its writes.
pub(super) struct Watched {
    pub(super) store: Arc<dyn Store>,
    pub(super) watch: Arc<WriteWatch>,
}

impl Store for Watched {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.get(table, key)
    }

    fn swap(&self, changes: &[Change<'_>]) -> Result<Swap, StoreError> {
        let result = self.store.swap(changes);
        self.watch.record(&result);
        result
    }

    fn begin(&self, changes: &[Change<'_>]) -> Option<Pending> {
        let pending = self.store.begin(changes)?;
        Some(pending.watched(self.watch.clone()))
    }

    fn scan(&self, table: Table, prefix: &[u8], each: &mut Visit<'_>) -> Result<(), StoreError> {
        self.store.scan(table, prefix, each)
    }

    fn scan_all(&self, each: &mut VisitAll<'_>) -> Result<(), StoreError> {
        self.store.scan_all(each)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Memory;
    use std::sync::atomic::{AtomicBool, Ordering};
    use tokio::time::Instant;

    /// A store whose writes fail on request.
    #[derive(Default)]
    struct Faulty {
        inner: Memory,
        fails: AtomicBool,
    }

    impl Store for Faulty {
        fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
            self.inner.get(table, key)
        }

        fn swap(&self, changes: &[Change<'_>]) -> Result<Swap, StoreError> {
            if self.fails.load(Ordering::Relaxed) {
                return Err(StoreError::BadAddress);
            }
            self.inner.swap(changes)
        }

        fn begin(&self, changes: &[Change<'_>]) -> Option<Pending> {
            Some(Pending::ready(self.swap(changes)))
        }

        fn scan(
            &self,
            table: Table,
            prefix: &[u8],
            each: &mut Visit<'_>,
        ) -> Result<(), StoreError> {
            self.inner.scan(table, prefix, each)
        }

        fn scan_all(&self, each: &mut VisitAll<'_>) -> Result<(), StoreError> {
            self.inner.scan_all(each)
        }
    }

    #[tokio::test]
    async fn tells_a_failed_write_until_one_succeeds() {
        let faulty = Arc::new(Faulty::default());
        let watched = Watched {
            store: faulty.clone(),
            watch: Arc::default(),
        };
        let fault = || watched.watch.fault(Instant::now());
        let create = |key: &[u8]| watched.compare_and_set(Table::App, key, None, b"1");
        let begin = async |key: &[u8]| {
            let change = Change {
                table: Table::App,
                key,
                old: None,
                new: Some(b"1"),
            };
            watched.begin(&[change]).unwrap().await
        };
        assert_eq!((fault(), watched.watch.age()), (None, None));
        assert_eq!(create(b"a").unwrap(), Swap::Done);
        assert!(fault().is_none() && watched.watch.age().is_some());
        faulty.fails.store(true, Ordering::Relaxed);
        create(b"b").unwrap_err();
        assert!(fault().unwrap().starts_with("cannot write to its store: "));
        assert_eq!(watched.watch.age(), None, "a probe is due");
        faulty.fails.store(false, Ordering::Relaxed);
        // Neither a conflict nor a caller's mistake tells that the store takes writes again.
        assert_ne!(create(b"a").unwrap(), Swap::Done);
        create(&[0; 2_000]).unwrap_err();
        assert!(fault().is_some());
        assert_eq!(begin(b"b").await.unwrap(), Swap::Done);
        assert_eq!(fault(), None);
        faulty.fails.store(true, Ordering::Relaxed);
        begin(b"c").await.unwrap_err();
        assert!(fault().is_some());
    }
}
