//! The watch over a store's writes: whether the newest one succeeded.

use crate::store::{change::Swap, error::StoreError};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
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
    pub(crate) fn record_error(&self, error: &impl ToString) {
        self.state().error = Some(error.to_string());
    }

    /// Records the begin of a probe, or its end.
    pub(crate) fn set_asked(&self, asked: Option<Instant>) {
        self.state().asked = asked;
    }

    /// Returns the age of the newest successful write. `None` without one, or if a later one failed.
    pub(crate) fn age(&self) -> Option<Duration> {
        let state = self.state();
        let written = state.written.filter(|_| state.error.is_none());
        written.map(|at| at.elapsed())
    }

    /// Returns the reason why the store takes no writes now, as far as known.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_store_that_does_not_answer() {
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
