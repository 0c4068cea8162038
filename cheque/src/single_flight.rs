//! One task works for all that wait for the same.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::MutexGuard as AsyncGuard, time::Instant};

/// A value that is expensive to make, such as a snapshot of the chain, with its age. Tasks in need of a fresh value wait for
/// the task that makes it, and share the result: the value, or the failure. So however long it takes, a task waits for one
/// making, or for the end of one.
///
/// The age counts from the end of the making. A snapshot as old as its node was slow is no danger: who acts by it compares
/// the time of its head with the clock.
pub(crate) struct SingleFlight<T, E> {
    newest: Mutex<Option<(Instant, Arc<T>)>>,
    /// The end of the last making, and its failure, if it failed.
    last: Mutex<Option<(Instant, Option<E>)>>,
    making: tokio::sync::Mutex<()>,
}

impl<T, E> Default for SingleFlight<T, E> {
    fn default() -> Self {
        Self {
            newest: Mutex::default(),
            last: Mutex::default(),
            making: tokio::sync::Mutex::default(),
        }
    }
}

impl<T: fmt::Debug, E> fmt::Debug for SingleFlight<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let newest = lock(&self.newest);
        f.debug_tuple("SingleFlight").field(&*newest).finish()
    }
}

impl<T, E: Clone> SingleFlight<T, E> {
    /// Returns the newest value, of any age.
    pub(crate) fn newest(&self) -> Option<Arc<T>> {
        lock(&self.newest)
            .as_ref()
            .map(|(_, newest)| newest.clone())
    }

    /// Returns the newest value if its age is below `max_age`.
    pub(crate) fn younger_than(&self, max_age: Duration) -> Option<Arc<T>> {
        let newest = lock(&self.newest);
        let young = newest.as_ref().filter(|(at, _)| at.elapsed() < max_age);
        young.map(|(_, value)| value.clone())
    }

    /// True if the newest value has reached half of `max_age`, and no task makes another one.
    pub(crate) fn is_due(&self, max_age: Duration) -> bool {
        self.younger_than(max_age / 2).is_none() && self.making.try_lock().is_ok()
    }

    /// Returns the newest value if its age is below `max_age`; else what another task is making; else a new value from
    /// `make`.
    pub(crate) async fn fresh<R>(
        &self,
        max_age: Duration,
        make: impl AsyncFnOnce() -> Result<(T, R), E>,
    ) -> Result<Arc<T>, E> {
        if let Some(value) = self.younger_than(max_age) {
            return Ok(value);
        }
        let arrived = Instant::now();
        let _making = self.making.lock().await;
        if let Some(failure) = self.failure_since(arrived) {
            return Err(failure);
        }
        if let Some(value) = self.younger_than(max_age.max(arrived.elapsed())) {
            return Ok(value);
        }
        Ok(self.replace(make).await?.0)
    }

    /// Makes a new value with `make`, and returns it with the report of `make`.
    pub(crate) async fn refresh<R>(
        &self,
        make: impl AsyncFnOnce() -> Result<(T, R), E>,
    ) -> Result<(Arc<T>, R), E> {
        let _making = self.making.lock().await;
        self.replace(make).await
    }

    /// Keeps others from making a new value while the guard lives.
    pub(crate) async fn pause(&self) -> AsyncGuard<'_, ()> {
        self.making.lock().await
    }

    /// Discards the newest value, so that no caller decides by it any longer.
    pub(crate) fn clear(&self) {
        *lock(&self.newest) = None;
    }

    async fn replace<R>(
        &self,
        make: impl AsyncFnOnce() -> Result<(T, R), E>,
    ) -> Result<(Arc<T>, R), E> {
        let made = make().await;
        let now = Instant::now();
        *lock(&self.last) = Some((now, made.as_ref().err().cloned()));
        let (value, report) = made?;
        let value = Arc::new(value);
        *lock(&self.newest) = Some((now, value.clone()));
        Ok((value, report))
    }

    /// Returns the failure of the last making, if that ended after `arrived`.
    fn failure_since(&self, arrived: Instant) -> Option<E> {
        let last = lock(&self.last);
        let (ended, failure) = last.as_ref()?;
        failure.clone().filter(|_| *ended >= arrived)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::task::JoinSet;

    /// Counts the makings, and tells their number.
    #[derive(Default)]
    struct Maker {
        flight: SingleFlight<u32, u32>,
        made: AtomicU32,
    }

    impl Maker {
        async fn fresh(&self, max_age: Duration, fails: bool) -> Result<u32, u32> {
            let make = async || {
                tokio::time::sleep(Duration::from_millis(100)).await;
                let n = self.made.fetch_add(1, Ordering::Relaxed);
                if fails { Err(n) } else { Ok((n, ())) }
            };
            self.flight.fresh(max_age, make).await.map(|value| *value)
        }
    }

    #[tokio::test]
    async fn makes_one_slow_value_for_all_that_wait() {
        for fails in [false, true] {
            let maker = Arc::new(Maker::default());
            let mut waiting = JoinSet::new();
            for _ in 0..20 {
                let maker = maker.clone();
                // A value is old at once, as if its making took longer than it lives.
                waiting.spawn(async move { maker.fresh(Duration::ZERO, fails).await });
            }
            let expected = if fails { Err(0) } else { Ok(0) };
            assert_eq!(waiting.join_all().await, vec![expected; 20]);
            assert_eq!(maker.made.load(Ordering::Relaxed), 1);
        }
    }

    #[tokio::test]
    async fn makes_anew_for_who_comes_after_the_end() {
        let maker = Maker::default();
        assert_eq!(maker.fresh(Duration::MAX, true).await, Err(0));
        assert_eq!(maker.fresh(Duration::MAX, false).await, Ok(1));
        assert_eq!(maker.fresh(Duration::MAX, true).await, Ok(1));
        assert_eq!(maker.fresh(Duration::ZERO, true).await, Err(2));
        assert_eq!(maker.flight.newest().as_deref(), Some(&1));
        maker.flight.clear();
        assert_eq!(maker.fresh(Duration::MAX, false).await, Ok(3));
    }

    #[tokio::test]
    async fn goes_on_after_a_maker_that_gave_up() {
        let maker = Maker::default();
        let first = maker.fresh(Duration::MAX, false);
        let gave_up = tokio::time::timeout(Duration::from_millis(10), first).await;
        assert!(gave_up.is_err());
        assert_eq!(maker.fresh(Duration::MAX, false).await, Ok(0));
    }
}
