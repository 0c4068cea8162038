//! Retry schedule and reasons of unfinished actions. Retention in memory only, for reports and pacing: a restart
//! loses nothing that matters.

use crate::protocol::terms::DepositId;
use std::collections::HashMap;

/// Longest pause between two attempts, in seconds.
const MAX_PAUSE: u64 = 128;

/// Subject of a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    /// Opening or reclaiming a deposit.
    Deposit(DepositId),
    /// Cancelling an obsolete transaction of a deposit. Has its own retry schedule.
    Cancelling(DepositId),
    /// Opening the next round.
    Round,
}

/// Why an action is not complete, and its next attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Retry {
    /// The reason, as a sentence.
    pub(super) reason: String,
    /// Time of the next attempt after a failure, in seconds since 1970. `None`: nothing failed, the action is waiting.
    pub(super) retry_at: Option<u64>,
    failures: u32,
}

/// The unfinished actions of one service.
#[derive(Debug, Default)]
pub(super) struct Retries(HashMap<Subject, Retry>);

impl Retries {
    pub(super) fn get(&self, subject: Subject) -> Option<&Retry> {
        self.0.get(&subject)
    }

    /// True if an attempt is due at `now`.
    pub(super) fn is_due(&self, subject: Subject, now: u64) -> bool {
        let retry_at = self.get(subject).and_then(|retry| retry.retry_at);
        // The clock may have been set back: a distant time does not delay the attempt.
        retry_at.is_none_or(|time| now >= time || time > now.saturating_add(MAX_PAUSE))
    }

    /// Records that an action is waiting, without a failure.
    pub(super) fn record_waiting(&mut self, subject: Subject, reason: String) {
        let retry = Retry {
            reason,
            retry_at: None,
            failures: 0,
        };
        self.0.insert(subject, retry);
    }

    /// Records a failure. The next attempts follow after 1, 2, 4 and up to 128 seconds. Returns true if the reason is
    /// new.
    pub(super) fn record_failure(&mut self, subject: Subject, now: u64, reason: String) -> bool {
        let before = self
            .0
            .get(&subject)
            .filter(|retry| retry.retry_at.is_some());
        let failures = before.map_or(0, |retry| retry.failures);
        let is_new = before.is_none_or(|retry| retry.reason != reason);
        let pause = 1_u64
            .checked_shl(failures)
            .map_or(MAX_PAUSE, |pause| pause.min(MAX_PAUSE));
        let retry = Retry {
            reason,
            retry_at: Some(now.saturating_add(pause)),
            failures: failures.saturating_add(1),
        };
        self.0.insert(subject, retry);
        is_new
    }

    /// Removes the entry of a completed action.
    pub(super) fn remove(&mut self, subject: Subject) {
        self.0.remove(&subject);
    }

    /// Keeps the entries of these deposits, and that of the next round.
    pub(super) fn retain(&mut self, is_kept: impl Fn(DepositId) -> bool) {
        self.0.retain(|subject, _| match subject {
            Subject::Deposit(id) | Subject::Cancelling(id) => is_kept(*id),
            Subject::Round => true,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_pause_after_each_failure_up_to_128_seconds() {
        let (mut retries, subject) = (Retries::default(), Subject::Round);
        let mut now = 1_000;
        for pause in [1, 2, 4, 8, 16, 32, 64, 128, 128, 128] {
            assert!(retries.is_due(subject, now));
            let is_new = retries.record_failure(subject, now, "no money".to_owned());
            assert_eq!(is_new, now == 1_000, "the reason is new only once");
            assert!(!retries.is_due(subject, now + pause - 1));
            now += pause;
        }
        assert!(retries.is_due(subject, 10), "the clock was set back");
        assert!(retries.record_failure(subject, now, "no gas".to_owned()));
        retries.record_waiting(subject, "sent".to_owned());
        assert!(retries.is_due(subject, now));
        retries.record_failure(subject, now, "no gas".to_owned());
        assert!(
            retries.is_due(subject, now + 1),
            "the pauses start again at 1"
        );
    }

    #[test]
    fn keeps_pause_in_range_after_65_failures() {
        let mut retries = Retries::default();
        for _ in 0..65 {
            retries.record_failure(Subject::Round, 0, String::new());
        }
        assert!(!retries.is_due(Subject::Round, 127));
        assert!(retries.is_due(Subject::Round, 128));
    }
}
