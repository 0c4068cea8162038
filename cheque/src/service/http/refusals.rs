//! The count of refused callers: in the metrics each time, in the log once a minute.

use crate::service::metrics as names;
use metrics::counter;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// The time between two lines of the same reason.
const PAUSE: Duration = Duration::from_secs(60);

/// Counts refused connections and requests by reason. Cheap to clone; clones share the counts.
#[derive(Clone, Debug, Default)]
pub struct Refusals(Arc<Mutex<BTreeMap<&'static str, Told>>>);

#[derive(Debug)]
struct Told {
    at: Instant,
    since: u64,
}

impl Refusals {
    /// Counts a refusal. Logs the first of a reason, and then at most one line a minute, with the number since the last.
    pub fn count(&self, reason: &'static str) {
        counter!(names::HTTP_REFUSED, "reason" => reason).increment(1);
        if let Some(count) = self.due(reason, Instant::now()) {
            tracing::warn!(event = "http_refused", reason, count);
        }
    }

    /// The number of refusals to log now, this one included. `None`: a line was written less than a minute ago.
    fn due(&self, reason: &'static str, now: Instant) -> Option<u64> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(last) = told.get_mut(reason) else {
            told.insert(reason, Told { at: now, since: 0 });
            return Some(1);
        };
        last.since = last.since.saturating_add(1);
        if now.saturating_duration_since(last.at) < PAUSE {
            return None;
        }
        last.at = now;
        Some(std::mem::take(&mut last.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_each_reason_once_a_minute_with_its_number() {
        let refusals = Refusals::default();
        let start = Instant::now();
        let due = |reason, seconds| refusals.due(reason, start + Duration::from_secs(seconds));
        assert_eq!(due("evicted", 0), Some(1));
        assert_eq!(due("evicted", 1), None);
        assert_eq!(due("evicted", 59), None);
        assert_eq!(due("unread", 59), Some(1));
        assert_eq!(due("evicted", 60), Some(3));
        assert_eq!(due("evicted", 61), None);
    }
}
