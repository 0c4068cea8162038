//! Health tracking: the last successes and errors of a service, and the verdict on them.

use crate::{
    bank::head::Head,
    protocol::{chain_profile::ChainProfile, now::Freshness},
    service::health::Health,
};
use alloy_primitives::B256;
use tokio::time::Instant;

/// The last successes and errors of a service.
#[derive(Debug, Default)]
pub(crate) struct HealthTracker {
    /// The newest head, and the time of its poll.
    polled: Option<(Head, Instant)>,
    /// The head of the last successful step, and the last time at which no newer head was known.
    stepped: Option<(B256, Instant)>,
    /// The time since which a transaction of the wallet is pending, if one is stuck, in seconds since 1970.
    stuck_since: Option<u64>,
    /// The time since which steps leave something undone that ends.
    undone: Option<(Instant, Undone)>,
    /// The reason why the store takes no writes, as far as known.
    store_fault: Option<String>,
    /// The error of the last poll, if it failed.
    poll_error: Option<String>,
    /// The error of the last step, if it failed.
    step_error: Option<String>,
    /// The newest error of all.
    last_error: Option<String>,
}

/// A draw or a win that a step could not look at, or a win that could not be redeemed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Undone {
    pub(crate) reason: String,
    /// True if the window is about to close.
    pub(crate) is_urgent: bool,
}

impl HealthTracker {
    /// The maximum age of the last successful poll and step of a healthy service, in seconds: the age at which a head is
    /// stale, but at least twenty polls.
    pub(crate) fn limit(profile: &ChainProfile) -> u64 {
        let bounds = profile.freshness.unwrap_or(Freshness::DEFAULT);
        let polls = profile.poll.saturating_mul(20).as_secs();
        polls.max(bounds.max_head_age)
    }

    /// The newest head.
    pub(crate) fn newest(&self) -> Option<Head> {
        self.polled.map(|(head, _)| head)
    }

    /// The number of the newest head.
    pub(crate) fn head(&self) -> Option<u64> {
        self.newest().map(|head| head.number)
    }

    /// Records a successful poll of the chain.
    pub(crate) fn record_head(&mut self, head: Head, now: Instant) {
        self.polled = Some((head, now));
        self.poll_error = None;
    }

    /// Records a step through all deposits at the block with hash `at`.
    pub(crate) fn record_step(&mut self, at: B256, now: Instant) {
        self.stepped = Some((at, now));
        self.step_error = None;
    }

    /// True if the last successful step was at the block with this hash.
    pub(crate) fn has_stepped_at(&self, block: B256) -> bool {
        self.stepped.is_some_and(|(at, _)| at == block)
    }

    /// Renews the last step if there is no newer head: the service takes one step per head.
    pub(crate) fn record_idle(&mut self, now: Instant) {
        if let (Some((head, _)), Some((at, last))) = (self.polled, &mut self.stepped)
            && head.hash == *at
        {
            *last = now;
        }
    }

    /// Sets the time since which a transaction of the wallet is stuck; `None` if no transaction is.
    pub(crate) fn set_stuck_since(&mut self, time: Option<u64>) {
        self.stuck_since = time;
    }

    /// Records what a step has left undone; `None` if nothing.
    pub(crate) fn set_undone(&mut self, undone: Option<Undone>, now: Instant) {
        let since = self.undone.take().map_or(now, |(since, _)| since);
        if let Some(undone) = &undone {
            self.last_error = Some(undone.reason.clone());
        }
        self.undone = undone.map(|undone| (since, undone));
    }

    /// Sets the reason why the store takes no writes; `None` if it does.
    pub(crate) fn set_store_fault(&mut self, fault: Option<String>) {
        if let Some(fault) = &fault {
            self.last_error = Some(fault.clone());
        }
        self.store_fault = fault;
    }

    /// Records a failed poll of the chain.
    pub(crate) fn record_poll_error(&mut self, error: String) {
        self.poll_error = Some(error.clone());
        self.last_error = Some(error);
    }

    /// Records a failed step.
    pub(crate) fn record_step_error(&mut self, error: String) {
        self.step_error = Some(error.clone());
        self.last_error = Some(error);
    }

    /// Records an error outside of polls and steps. Only [`Health::last_error`] shows it.
    pub(crate) fn record_error(&mut self, error: String) {
        self.last_error = Some(error);
    }

    /// Judges the service: healthy while its store takes writes, the last successful poll and the last successful step are
    /// at most `limit` seconds old, no step for so long has left a draw or a win unread, and no win cannot be redeemed
    /// whose window is about to close.
    pub(crate) fn health(&self, now: Instant, limit: u64) -> Health {
        let age = |at: Instant| now.saturating_duration_since(at).as_secs();
        let because = |error: &Option<String>| match error {
            Some(error) => format!(": {error}"),
            None => String::new(),
        };
        let head_age = self.polled.map(|(_, at)| age(at));
        let fault = match (head_age, self.stepped.map(|(_, at)| age(at))) {
            (None, _) => Some(format!(
                "has not seen the chain yet{}",
                because(&self.poll_error)
            )),
            (Some(age), _) if age > limit => Some(format!(
                "has not seen a block for {age} s, the limit is {limit} s{}",
                because(&self.poll_error)
            )),
            (_, None) => Some(format!(
                "sees the chain, but has not processed its deposits yet{}",
                because(&self.step_error)
            )),
            (_, Some(age)) if age > limit => Some(format!(
                "sees the chain, but has not processed its deposits for {age} s, the limit is {limit} s{}",
                because(&self.step_error)
            )),
            _ => self.undone.as_ref().and_then(|(since, undone)| {
                let (age, reason) = (age(*since), &undone.reason);
                if undone.is_urgent {
                    return Some(format!(
                        "processes its deposits, but the window of a win is about to close: {reason}"
                    ));
                }
                (age > limit).then(|| {
                    format!(
                        "processes its deposits, but has not been able to look at a draw or a win for {age} s, the limit is \
                         {limit} s: {reason}"
                    )
                })
            }),
        };
        // Named first: without its store, a service cannot step either.
        let fault = self.store_fault.clone().or(fault);
        Health {
            ok: fault.is_none(),
            reason: fault.unwrap_or_else(|| match self.stuck_since {
                None => "follows the chain".to_owned(),
                Some(since) => format!(
                    "follows the chain; a transaction of the wallet is pending since time {since}"
                ),
            }),
            head: self.head(),
            head_age,
            warnings: Vec::new(),
            last_error: self.last_error.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;
    use std::time::Duration;

    const LIMIT: u64 = 60;

    const HEAD: Head = Head {
        number: 7,
        time: 0,
        hash: B256::ZERO,
    };

    #[test]
    fn is_healthy_while_polls_and_steps_succeed() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut tracker = HealthTracker::default();
        let reason = |tracker: &HealthTracker, seconds| tracker.health(at(seconds), LIMIT).reason;
        tracker.record_poll_error("no route".to_owned());
        assert_eq!(reason(&tracker, 0), "has not seen the chain yet: no route");
        tracker.record_head(HEAD, at(0));
        assert!(!tracker.health(at(0), LIMIT).ok, "healthy before any step");
        tracker.record_step(HEAD.hash, at(0));
        let health = tracker.health(at(LIMIT), LIMIT);
        assert!(health.ok, "{health:?}");
        assert_eq!((health.head, health.head_age), (Some(7), Some(LIMIT)));
        assert_eq!(health.last_error.as_deref(), Some("no route"));
        assert_eq!(
            reason(&tracker, LIMIT + 1),
            "has not seen a block for 61 s, the limit is 60 s"
        );
    }

    #[test]
    fn is_ill_after_failed_steps_although_polls_succeed() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut tracker = HealthTracker::default();
        tracker.record_head(HEAD, at(0));
        tracker.record_step(HEAD.hash, at(0));
        for second in 1..=LIMIT + 1 {
            tracker.record_head(HEAD, at(second));
            tracker.record_step_error("the disk is full".to_owned());
            assert_eq!(tracker.health(at(second), LIMIT).ok, second <= LIMIT);
        }
        assert_eq!(
            tracker.health(at(LIMIT + 1), LIMIT).reason,
            "sees the chain, but has not processed its deposits for 61 s, the limit is 60 s: the disk is full"
        );
        tracker.record_step(HEAD.hash, at(LIMIT + 1));
        assert!(tracker.health(at(LIMIT + 1), LIMIT).ok);
    }

    #[test]
    fn stays_healthy_without_steps_only_at_an_unchanged_head() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut tracker = HealthTracker::default();
        let poll = |tracker: &mut HealthTracker, head, second| {
            tracker.record_head(head, at(second));
            tracker.record_idle(at(second));
            tracker.health(at(second), LIMIT).ok
        };
        assert!(!poll(&mut tracker, HEAD, 0), "healthy before any step");
        assert!(!tracker.has_stepped_at(HEAD.hash));
        tracker.record_step(HEAD.hash, at(0));
        assert!(tracker.has_stepped_at(HEAD.hash));
        assert!(poll(&mut tracker, HEAD, LIMIT), "the chain stands still");
        assert!(poll(&mut tracker, HEAD, 2 * LIMIT));
        // Another block of the same number is another head.
        let other = Head {
            hash: B256::repeat_byte(1),
            ..HEAD
        };
        assert!(!tracker.has_stepped_at(other.hash));
        assert!(poll(&mut tracker, other, 3 * LIMIT));
        assert!(!poll(&mut tracker, other, 3 * LIMIT + 1));
        tracker.record_step(other.hash, at(3 * LIMIT + 2));
        assert!(poll(&mut tracker, other, 4 * LIMIT + 2));
    }

    #[test]
    fn is_ill_while_a_win_cannot_be_looked_at() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut tracker = HealthTracker::default();
        let mut step = |second, reason: Option<&str>| {
            tracker.record_head(HEAD, at(second));
            tracker.record_step(HEAD.hash, at(second));
            let undone = |reason: &str| Undone {
                reason: reason.to_owned(),
                is_urgent: false,
            };
            tracker.set_undone(reason.map(undone), at(second));
            tracker.health(at(second), LIMIT)
        };
        assert!(step(0, Some("no logs")).ok);
        assert!(step(LIMIT, Some("no logs")).ok);
        let ill = step(LIMIT + 1, Some("no state"));
        assert!(!ill.ok);
        assert_eq!(
            ill.reason,
            "processes its deposits, but has not been able to look at a draw or a win for 61 s, the limit is 60 s: no state"
        );
        assert!(step(LIMIT + 2, None).ok);
        assert!(
            step(2 * LIMIT, Some("no logs")).ok,
            "since when was forgotten"
        );
    }

    #[test]
    fn is_ill_at_once_while_a_closing_win_is_undone() {
        let now = Instant::now();
        let mut tracker = HealthTracker::default();
        tracker.record_head(HEAD, now);
        tracker.record_step(HEAD.hash, now);
        let undone = |is_urgent| Undone {
            reason: "no coin".to_owned(),
            is_urgent,
        };
        tracker.set_undone(Some(undone(false)), now);
        assert!(tracker.health(now, LIMIT).ok);
        tracker.set_undone(Some(undone(true)), now);
        let health = tracker.health(now, LIMIT);
        assert!(!health.ok && health.reason.ends_with("about to close: no coin"));
        tracker.set_undone(None, now);
        assert!(tracker.health(now, LIMIT).ok);
    }

    #[test]
    fn is_ill_while_its_store_takes_no_writes() {
        let now = Instant::now();
        let mut tracker = HealthTracker::default();
        tracker.record_head(HEAD, now);
        tracker.record_step(HEAD.hash, now);
        tracker.set_store_fault(Some("read-only".to_owned()));
        let health = tracker.health(now, LIMIT);
        assert_eq!((health.ok, &health.reason[..]), (false, "read-only"));
        tracker.set_store_fault(None);
        let health = tracker.health(now, LIMIT);
        assert!(health.ok, "{health:?}");
        assert_eq!(health.last_error.as_deref(), Some("read-only"));
    }

    #[test]
    fn reports_a_stuck_transaction_and_stays_healthy() {
        let now = Instant::now();
        let mut tracker = HealthTracker::default();
        tracker.record_head(HEAD, now);
        tracker.record_step(HEAD.hash, now);
        assert_eq!(tracker.health(now, LIMIT).reason, "follows the chain");
        tracker.set_stuck_since(Some(3));
        let health = tracker.health(now, LIMIT);
        assert!(health.ok && health.reason.ends_with("pending since time 3"));
        tracker.set_stuck_since(None);
        assert_eq!(tracker.health(now, LIMIT).reason, "follows the chain");
    }

    #[test]
    fn allows_twenty_polls_but_at_least_the_age_of_a_stale_head() {
        let limit = |chain| HealthTracker::limit(ChainProfile::of(chain).unwrap());
        assert_eq!((limit(1), limit(10), limit(31_337)), (80, 60, 60));
    }
}
