//! The connection for single reads, which all threads share.

use crate::store::{
    error::StoreError,
    postgres::{connection::Connection, pool::lock},
};
use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The time after a failure in which nobody connects again, and all get this failure.
const PAUSE: Duration = Duration::from_secs(1);

/// The connection. Once it is lost, one thread connects for all that wait, and they share the result.
pub(super) struct SharedReader<T = Connection> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    open: Option<Arc<T>>,
    is_connecting: bool,
    failure: Option<(Instant, StoreError)>,
}

/// The right of one thread to connect.
struct Connecting<'a, T>(&'a SharedReader<T>);

impl<T> Drop for Connecting<'_, T> {
    fn drop(&mut self) {
        lock(&self.0.state).is_connecting = false;
        self.0.changed.notify_all();
    }
}

impl<T> SharedReader<T> {
    pub(super) const fn new(first: Arc<T>) -> Self {
        Self {
            state: Mutex::new(State {
                open: Some(first),
                is_connecting: false,
                failure: None,
            }),
            changed: Condvar::new(),
        }
    }

    /// Returns the connection, or makes a new one with `connect`.
    ///
    /// # Errors
    ///
    /// The error of `connect`, or that of another thread within the last second.
    pub(super) fn get(
        &self,
        is_closed: impl Fn(&T) -> bool,
        connect: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<Arc<T>, StoreError> {
        let mut state = lock(&self.state);
        loop {
            if let Some(open) = state.open.as_ref().filter(|open| !is_closed(open)) {
                return Ok(open.clone());
            }
            if let Some((at, failure)) = &state.failure
                && now().saturating_duration_since(*at) < PAUSE
            {
                return Err(failure.clone());
            }
            if !state.is_connecting {
                break;
            }
            state = self.wait(state);
        }
        state.is_connecting = true;
        drop(state);
        // Ends the wait of the others, also if `connect` panics.
        let connecting = Connecting(self);
        let connected = connect().map(Arc::new);
        let mut state = lock(&self.state);
        match &connected {
            Ok(open) => (state.open, state.failure) = (Some(open.clone()), None),
            Err(error) => state.failure = Some((now(), error.clone())),
        }
        drop(state);
        drop(connecting);
        connected
    }

    /// Forgets the connection if it is still the lost one.
    pub(super) fn forget(&self, lost: &Arc<T>) {
        let open = &mut lock(&self.state).open;
        if open.as_ref().is_some_and(|open| Arc::ptr_eq(open, lost)) {
            *open = None;
        }
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        let woken = self.changed.wait(state);
        woken.unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "an edge of the program: the pause after a failure"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::{
            Barrier,
            atomic::{AtomicU32, Ordering},
        },
        thread,
    };

    fn unreachable() -> StoreError {
        StoreError::Unreachable {
            path: "server".into(),
            cause: Arc::new(std::io::Error::other("frozen")),
        }
    }

    /// The results of 20 threads that lost the connection, and the number of attempts to connect.
    fn after_a_loss(result: impl Fn(u32) -> Result<u32, StoreError> + Sync) -> (Vec<bool>, u32) {
        let lost = Arc::new(0);
        let reader = SharedReader::new(lost.clone());
        let (attempts, all_here) = (AtomicU32::new(0), Barrier::new(20));
        let read = || {
            all_here.wait();
            reader.forget(&lost);
            let connect = || {
                let attempt = attempts.fetch_add(1, Ordering::Relaxed) + 1;
                // The others arrive meanwhile, or find the result.
                thread::yield_now();
                result(attempt)
            };
            reader.get(|_| false, connect).is_ok()
        };
        let results = thread::scope(|scope| {
            let threads: Vec<_> = (0..20).map(|_| scope.spawn(read)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        (results, attempts.into_inner())
    }

    #[test]
    fn connects_once_for_all_threads() {
        assert_eq!(after_a_loss(Ok), (vec![true; 20], 1));
    }

    #[test]
    fn shares_a_failure_among_all_threads() {
        let refused = |_| Err(unreachable());
        assert_eq!(after_a_loss(refused), (vec![false; 20], 1));
    }

    #[test]
    fn lets_the_next_thread_connect_after_a_panic() {
        let reader = SharedReader::new(Arc::new(0));
        let panicked = thread::scope(|scope| {
            let connect = || -> Result<u32, StoreError> { panic!("out of luck") };
            let reader = &reader;
            scope.spawn(move || reader.get(|_| true, connect)).join()
        });
        assert!(panicked.is_err());
        assert_eq!(*reader.get(|old| *old == 0, || Ok(7)).unwrap(), 7);
    }
}
