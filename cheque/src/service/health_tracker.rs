//! Whether a service does its work.

use crate::{bank::head::Head, protocol::chain_profile::ChainProfile, service::health::Health};
use alloy_primitives::B256;
use tokio::time::Instant;

/// What a service remembers of how it goes.
#[derive(Debug, Default)]
pub(crate) struct HealthTracker {
    /// The last look at the chain that succeeded.
    seen: Option<(Head, Instant)>,
    /// The head at which a step has last gone through all deposits, and when that was good for the last time.
    stepped: Option<(B256, Instant)>,
    /// The block since which something of the wallet waits for very long, if something does.
    waits: Option<u64>,
    /// Why the last look failed, if it did.
    unseen: Option<String>,
    /// Why the last step failed, if it did.
    undone: Option<String>,
    /// The last error of all.
    last_error: Option<String>,
}

impl HealthTracker {
    /// How old what succeeded last may be while a service is well, in seconds: five blocks' time, and no less than what
    /// makes a view of the chain stale.
    pub(crate) fn limit(profile: &ChainProfile) -> u64 {
        let blocks = profile.block_time.saturating_mul(5);
        blocks.max(profile.stale_after.unwrap_or(60))
    }

    /// The newest block that was seen.
    pub(crate) fn newest(&self) -> Option<Head> {
        self.seen.map(|(head, _)| head)
    }

    /// Its number.
    pub(crate) fn head(&self) -> Option<u64> {
        self.newest().map(|head| head.number)
    }

    /// The chain was seen.
    pub(crate) fn saw(&mut self, head: Head, now: Instant) {
        self.seen = Some((head, now));
        self.unseen = None;
    }

    /// A step has gone through all deposits at the block with this hash.
    pub(crate) fn stepped(&mut self, at: B256, now: Instant) {
        self.stepped = Some((at, now));
        self.undone = None;
    }

    /// Whether the last step that has gone through all deposits did so at the block with this hash.
    pub(crate) fn has_stepped_at(&self, block: B256) -> bool {
        self.stepped.is_some_and(|(at, _)| at == block)
    }

    /// For a service that does at each head once what is to be done: while the newest one is that of the last step, that
    /// is as good as another step.
    pub(crate) fn rest(&mut self, now: Instant) {
        if let (Some((head, _)), Some((at, last))) = (self.seen, &mut self.stepped)
            && head.hash == *at
        {
            *last = now;
        }
    }

    /// The block since which something of the wallet waits for very long; `None`: nothing does.
    pub(crate) fn waits_since(&mut self, block: Option<u64>) {
        self.waits = block;
    }

    /// A look has failed.
    pub(crate) fn look_failed(&mut self, error: String) {
        self.unseen = Some(error.clone());
        self.last_error = Some(error);
    }

    /// A step has failed.
    pub(crate) fn step_failed(&mut self, error: String) {
        self.undone = Some(error.clone());
        self.last_error = Some(error);
    }

    /// Something has failed that is part of no look and no step.
    pub(crate) fn failed(&mut self, error: String) {
        self.last_error = Some(error);
    }

    /// It is well while both the last look and the last step that succeeded are at most `limit` seconds old.
    pub(crate) fn health(&self, now: Instant, limit: u64) -> Health {
        let age = |at: Instant| now.saturating_duration_since(at).as_secs();
        let because = |error: &Option<String>| match error {
            Some(error) => format!(": {error}"),
            None => String::new(),
        };
        let head_age = self.seen.map(|(_, at)| age(at));
        let ill = match (head_age, self.stepped.map(|(_, at)| age(at))) {
            (None, _) => Some(format!(
                "has not seen the chain yet{}",
                because(&self.unseen)
            )),
            (Some(age), _) if age > limit => Some(format!(
                "has not seen a block for {age} s, the limit is {limit}{}",
                because(&self.unseen)
            )),
            (_, None) => Some(format!(
                "sees the chain, and has not gone through its deposits yet{}",
                because(&self.undone)
            )),
            (_, Some(age)) if age > limit => Some(format!(
                "sees the chain, and has not gone through its deposits for {age} s, the limit is {limit}{}",
                because(&self.undone)
            )),
            _ => None,
        };
        Health {
            ok: ill.is_none(),
            reason: ill.unwrap_or_else(|| match self.waits {
                None => "follows the chain".to_owned(),
                Some(since) => format!(
                    "follows the chain, and what the wallet has sent waits since block {since}"
                ),
            }),
            head: self.head(),
            head_age,
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
    fn it_is_well_while_looks_and_steps_succeed() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut vitals = HealthTracker::default();
        let reason = |vitals: &HealthTracker, seconds| vitals.health(at(seconds), LIMIT).reason;
        vitals.look_failed("no route".to_owned());
        assert_eq!(reason(&vitals, 0), "has not seen the chain yet: no route");
        vitals.saw(HEAD, at(0));
        assert!(!vitals.health(at(0), LIMIT).ok, "it has done nothing yet");
        vitals.stepped(HEAD.hash, at(0));
        let health = vitals.health(at(LIMIT), LIMIT);
        assert!(health.ok, "{health:?}");
        assert_eq!((health.head, health.head_age), (Some(7), Some(LIMIT)));
        assert_eq!(health.last_error.as_deref(), Some("no route"));
        assert_eq!(
            reason(&vitals, LIMIT + 1),
            "has not seen a block for 61 s, the limit is 60"
        );
    }

    #[test]
    fn it_is_ill_when_every_step_fails_however_well_it_sees_the_chain() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut vitals = HealthTracker::default();
        vitals.saw(HEAD, at(0));
        vitals.stepped(HEAD.hash, at(0));
        for second in 1..=LIMIT + 1 {
            vitals.saw(HEAD, at(second));
            vitals.step_failed("the disk is full".to_owned());
            assert_eq!(vitals.health(at(second), LIMIT).ok, second <= LIMIT);
        }
        assert_eq!(
            vitals.health(at(LIMIT + 1), LIMIT).reason,
            "sees the chain, and has not gone through its deposits for 61 s, the limit is 60: the disk is full"
        );
        vitals.stepped(HEAD.hash, at(LIMIT + 1));
        assert!(vitals.health(at(LIMIT + 1), LIMIT).ok);
    }

    #[test]
    fn it_is_well_without_another_step_only_while_there_is_no_other_head() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut vitals = HealthTracker::default();
        let look = |vitals: &mut HealthTracker, head, second| {
            vitals.saw(head, at(second));
            vitals.rest(at(second));
            vitals.health(at(second), LIMIT).ok
        };
        assert!(!look(&mut vitals, HEAD, 0), "it has not stepped yet");
        assert!(!vitals.has_stepped_at(HEAD.hash));
        vitals.stepped(HEAD.hash, at(0));
        assert!(vitals.has_stepped_at(HEAD.hash));
        assert!(look(&mut vitals, HEAD, LIMIT), "the chain stands still");
        assert!(look(&mut vitals, HEAD, 2 * LIMIT));
        // Of the same number, and another one.
        let other = Head {
            hash: B256::repeat_byte(1),
            ..HEAD
        };
        assert!(!vitals.has_stepped_at(other.hash));
        assert!(look(&mut vitals, other, 3 * LIMIT));
        assert!(!look(&mut vitals, other, 3 * LIMIT + 1));
        vitals.stepped(other.hash, at(3 * LIMIT + 2));
        assert!(look(&mut vitals, other, 4 * LIMIT + 2));
    }

    #[test]
    fn what_waits_is_told_and_makes_it_no_less_well() {
        let now = Instant::now();
        let mut vitals = HealthTracker::default();
        vitals.saw(HEAD, now);
        vitals.stepped(HEAD.hash, now);
        assert_eq!(vitals.health(now, LIMIT).reason, "follows the chain");
        vitals.waits_since(Some(3));
        let health = vitals.health(now, LIMIT);
        assert!(health.ok && health.reason.ends_with("waits since block 3"));
        vitals.waits_since(None);
        assert_eq!(vitals.health(now, LIMIT).reason, "follows the chain");
    }

    #[test]
    fn the_limit_is_five_blocks_and_no_less_than_what_makes_a_view_stale() {
        let limit = |chain| HealthTracker::limit(ChainProfile::of(chain).unwrap());
        assert_eq!((limit(1), limit(10), limit(31_337)), (60, 60, 60));
        let slow = ChainProfile {
            block_time: 13,
            ..*ChainProfile::of(1).unwrap()
        };
        assert_eq!(HealthTracker::limit(&slow), 65);
    }
}
