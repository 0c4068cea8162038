//! The watch over a store's writes: whether the newest one succeeded.

use crate::store::{
    change::{Change, Swap},
    error::StoreError,
    interface::{Store, Visit, VisitAll},
    pending::Pending,
    table::Table,
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// How long a probe may wait for its answer before the store counts as silent.
const PATIENCE: Duration = Duration::from_secs(10);

/// The result of a store's newest write.
#[derive(Debug, Default)]
pub(crate) struct WriteWatch(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The error of the newest write, if it failed.
    error: Option<String>,
    /// The time of the newest write that succeeded.
    written: Option<Instant>,
    /// The begin of a probe without an answer.
    asked: Option<Instant>,
}

impl WriteWatch {
    /// Records the result of a write. A conflict says nothing about writing: a store may find it by reading alone.
    pub(super) fn record(&self, result: &Result<Swap, StoreError>) {
        match result {
            Ok(Swap::Done) => {
                let mut state = self.state();
                state.error = None;
                state.written = Some(Instant::now());
            }
            // The caller's mistakes.
            Ok(Swap::Conflict { .. })
            | Err(StoreError::RepeatedKey { .. } | StoreError::KeyTooLong { .. }) => {}
            Err(error) => self.state().error = Some(error.to_string()),
        }
    }

    /// Records a failed read of a probe.
    #[cfg(feature = "service")]
    pub(crate) fn record_error(&self, error: &impl ToString) {
        self.state().error = Some(error.to_string());
    }

    /// Records the begin of a probe, or its end.
    #[cfg(feature = "service")]
    pub(crate) fn set_asked(&self, asked: Option<Instant>) {
        self.state().asked = asked;
    }

    /// Returns the age of the newest successful write. `None` if there is none, or a later one failed.
    #[cfg(feature = "service")]
    pub(crate) fn age(&self) -> Option<Duration> {
        let state = self.state();
        let written = state.written.filter(|_| state.error.is_none());
        written.map(|at| at.elapsed())
    }

    /// Returns the reason why the store takes no writes now, as far as known.
    #[cfg(feature = "service")]
    pub(crate) fn fault(&self, now: Instant) -> Option<String> {
        let state = self.state();
        if let Some(error) = &state.error {
            return Some(format!("cannot write to its store: {error}"));
        }
        let silent = now.saturating_duration_since(state.asked?);
        let seconds = silent.as_secs();
        (silent > PATIENCE).then(|| format!("waits for its store to write since {seconds} s"))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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

#[cfg(all(test, feature = "service"))]
mod tests {
    use super::*;
    use crate::store::Memory;
    use std::sync::atomic::{AtomicBool, Ordering};

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

    #[tokio::test]
    async fn tells_a_store_that_does_not_answer() {
        let (watch, start) = (WriteWatch::default(), Instant::now());
        watch.set_asked(Some(start));
        assert_eq!(watch.fault(start + PATIENCE), None);
        let late = watch.fault(start + Duration::from_secs(11));
        assert_eq!(
            late.as_deref(),
            Some("waits for its store to write since 11 s")
        );
        watch.set_asked(None);
        assert_eq!(watch.fault(start + Duration::from_secs(11)), None);
    }
}
