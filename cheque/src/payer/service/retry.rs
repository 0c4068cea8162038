//! Retry schedule and reasons of unfinished actions. Retention in memory only, for reports and pacing: a restart
//! loses nothing that matters.

use crate::protocol::terms::DepositId;
use std::collections::HashMap;

/// Maximum number of blocks between two attempts.
const MAX_PAUSE: u64 = 16;

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
    /// Block of the next attempt after a failure. `None`: nothing failed, the action is waiting.
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

    /// True if an attempt is due at `head`.
    pub(super) fn is_due(&self, subject: Subject, head: u64) -> bool {
        let retry_at = self.get(subject).and_then(|retry| retry.retry_at);
        // A reorganisation may have lowered the head: a distant block does not delay the attempt.
        retry_at.is_none_or(|block| head >= block || block > head.saturating_add(MAX_PAUSE))
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

    /// Records a failure. The next attempts follow after 1, 2, 4, 8, 16, 16... blocks. Returns true if the
    /// reason is new.
    pub(super) fn record_failure(&mut self, subject: Subject, head: u64, reason: String) -> bool {
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
            retry_at: Some(head.saturating_add(pause)),
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
    fn doubles_pause_after_each_failure_up_to_16_blocks() {
        let (mut retries, subject) = (Retries::default(), Subject::Round);
        let mut head = 100;
        for pause in [1, 2, 4, 8, 16, 16, 16] {
            assert!(retries.is_due(subject, head));
            let is_new = retries.record_failure(subject, head, "no money".to_owned());
            assert_eq!(is_new, head == 100, "the reason is new only once");
            assert!(!retries.is_due(subject, head + pause - 1));
            head += pause;
        }
        assert!(
            retries.is_due(subject, 10),
            "a reorganisation lowered the head"
        );
        assert!(retries.record_failure(subject, head, "no gas".to_owned()));
        retries.record_waiting(subject, "sent".to_owned());
        assert!(retries.is_due(subject, head));
        retries.record_failure(subject, head, "no gas".to_owned());
        assert!(
            retries.is_due(subject, head + 1),
            "the pauses start again at 1"
        );
    }

    #[test]
    fn keeps_pause_in_range_after_65_failures() {
        let mut retries = Retries::default();
        for _ in 0..65 {
            retries.record_failure(Subject::Round, 0, String::new());
        }
        assert!(!retries.is_due(Subject::Round, 15));
        assert!(retries.is_due(Subject::Round, 16));
    }
}
