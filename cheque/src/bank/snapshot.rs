//! A shared snapshot of the chain, refreshed by one task at a time.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::MutexGuard as AsyncGuard, time::Instant};

/// The newest snapshot and its age. Tasks in need of a fresh snapshot wait for the task that takes it.
pub(crate) struct SnapshotCache<T> {
    newest: Mutex<Option<(Instant, Arc<T>)>>,
    refreshing: tokio::sync::Mutex<()>,
}

impl<T> Default for SnapshotCache<T> {
    fn default() -> Self {
        Self {
            newest: Mutex::default(),
            refreshing: tokio::sync::Mutex::default(),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for SnapshotCache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SnapshotCache").field(&*self.lock()).finish()
    }
}

impl<T> SnapshotCache<T> {
    /// Returns the newest snapshot, of any age.
    pub(crate) fn newest(&self) -> Option<Arc<T>> {
        self.lock().as_ref().map(|(_, snapshot)| snapshot.clone())
    }

    /// Returns the newest snapshot if its age is below `max_age`, else a new snapshot from `take`.
    pub(crate) async fn fresh<R, E>(
        &self,
        max_age: Duration,
        take: impl AsyncFnOnce() -> Result<(T, R), E>,
    ) -> Result<Arc<T>, E> {
        if let Some(snapshot) = self.younger_than(max_age) {
            return Ok(snapshot);
        }
        let _refreshing = self.refreshing.lock().await;
        // Another task may have refreshed it.
        if let Some(snapshot) = self.younger_than(max_age) {
            return Ok(snapshot);
        }
        Ok(self.replace(take).await?.0)
    }

    /// Takes a new snapshot with `take`, and returns it with the report of `take`.
    pub(crate) async fn refresh<R, E>(
        &self,
        take: impl AsyncFnOnce() -> Result<(T, R), E>,
    ) -> Result<(Arc<T>, R), E> {
        let _refreshing = self.refreshing.lock().await;
        self.replace(take).await
    }

    /// Keeps others from refreshing the snapshot while the guard lives.
    pub(crate) async fn pause(&self) -> AsyncGuard<'_, ()> {
        self.refreshing.lock().await
    }

    /// Discards the newest snapshot, so that no caller decides by it any longer.
    pub(crate) fn clear(&self) {
        *self.lock() = None;
    }

    async fn replace<R, E>(
        &self,
        take: impl AsyncFnOnce() -> Result<(T, R), E>,
    ) -> Result<(Arc<T>, R), E> {
        // The age counts from before the first request to the node.
        let begun = Instant::now();
        let (snapshot, report) = take().await?;
        let snapshot = Arc::new(snapshot);
        *self.lock() = Some((begun, snapshot.clone()));
        Ok((snapshot, report))
    }

    fn younger_than(&self, max_age: Duration) -> Option<Arc<T>> {
        let newest = self.lock();
        let young = newest.as_ref().filter(|(at, _)| at.elapsed() < max_age);
        young.map(|(_, snapshot)| snapshot.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Instant, Arc<T>)>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn takes_one_snapshot_for_many_tasks() {
        let (cache, taken) = (SnapshotCache::default(), AtomicU32::new(0));
        let fresh = async || {
            let take = async || {
                tokio::task::yield_now().await;
                Ok::<_, ()>((taken.fetch_add(1, Ordering::Relaxed), ()))
            };
            *cache.fresh(Duration::from_secs(60), take).await.unwrap()
        };
        assert_eq!(tokio::join!(fresh(), fresh(), fresh()), (0, 0, 0));
        assert_eq!(taken.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn keeps_the_last_snapshot_when_the_next_fails() {
        let cache = SnapshotCache::default();
        let (first, report) = cache
            .refresh(async || Ok::<_, ()>((1, "new")))
            .await
            .unwrap();
        assert_eq!((*first, report), (1, "new"));
        let failed = cache.refresh(async || Err::<(u32, ()), _>("down")).await;
        assert_eq!(failed.unwrap_err(), "down");
        assert_eq!(cache.newest().as_deref(), Some(&1));
        cache.clear();
        assert_eq!(cache.newest(), None);
    }

    #[tokio::test]
    async fn takes_a_new_snapshot_once_the_last_is_old() {
        let cache = SnapshotCache::default();
        for n in 0..3 {
            let take = async || Ok::<_, ()>((n, ()));
            assert_eq!(*cache.fresh(Duration::ZERO, take).await.unwrap(), n);
        }
    }
}
