//! The health of a relay: when to ask it again, and in which order. Decisions are functions of time and jitter.

use crate::beacon::error::RelayError;
use std::time::Duration;
use tokio::time::Instant;

/// The first and the longest pause of a relay that fails. Each further failure doubles the pause.
const FAILED: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));

/// The pauses of a relay whose answers are wrong. A mistake of an hour must not keep a relay out for longer than a minute.
const WRONG: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(60));

/// The longest pause that a relay may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// The state of a relay as of its last answers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RelayState {
    /// Scheme, host and port of the relay.
    pub host: String,
    /// The number of failures since the last good answer.
    pub failures: u32,
    /// The newest round that the relay has given.
    pub newest: Option<u64>,
    /// The last failure since the last good answer.
    pub last_error: Option<RelayError>,
    /// The time until the relay is asked again in its turn. Zero for a healthy relay.
    pub retry_in: Duration,
}

/// What the client knows of a relay.
#[derive(Clone, Debug, Default)]
pub(super) struct Health {
    failures: u32,
    newest: Option<u64>,
    last_error: Option<RelayError>,
    /// Not to be asked before, as long as others are there.
    due: Option<Instant>,
    /// Not to be asked before at all: the relay asked for a pause.
    paused_until: Option<Instant>,
    /// True if another relay was asked because this one took long.
    is_slow: bool,
}

impl Health {
    pub(super) fn succeed(&mut self, round: u64) {
        *self = Self {
            newest: self.newest.max(Some(round)),
            ..Self::default()
        };
    }

    /// Records a failure. `jitter` below 256 lengthens the pause by up to a quarter.
    pub(super) fn fail(&mut self, error: RelayError, now: Instant, jitter: u8) {
        self.is_slow = false;
        let pause = match &error {
            // The relay works: the round is not there.
            RelayError::NotYet => return,
            // An observation about the relay, which was not asked.
            RelayError::Paused(_) => return,
            RelayError::RateLimited { retry_after } => {
                let asked = retry_after.unwrap_or_else(|| doubled(FAILED, self.failures));
                let pause = asked.clamp(FAILED.0, MAX_RETRY_AFTER);
                self.paused_until = Some(now + pause);
                pause
            }
            RelayError::Unreadable
            | RelayError::TooLong(_)
            | RelayError::WrongRound { .. }
            | RelayError::Invalid(_) => doubled(WRONG, self.failures),
            RelayError::Unreachable(_)
            | RelayError::TimedOut(_)
            | RelayError::Status(_)
            | RelayError::Behind { .. } => doubled(FAILED, self.failures),
        };
        self.failures = self.failures.saturating_add(1);
        self.due = Some(now + pause + pause * u32::from(jitter) / 1024);
        self.last_error = Some(error);
    }

    pub(super) const fn newest(&self) -> Option<u64> {
        self.newest
    }

    pub(super) fn mark_slow(&mut self) {
        self.is_slow = true;
    }

    /// True if the relay is to be asked in its turn.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due.is_none_or(|due| due <= now)
    }

    /// The rest of the pause that the relay asked for.
    pub(super) fn pause_left(&self, now: Instant) -> Option<Duration> {
        let left = self.paused_until?.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    /// The order of relays: those due first, of these the fast ones, of the others the one due first.
    pub(super) fn rank(&self, now: Instant) -> (bool, bool, Option<Instant>) {
        let waits = self.due.filter(|due| *due > now);
        (waits.is_some(), self.is_slow, waits)
    }

    pub(super) fn state(&self, host: &str, now: Instant) -> RelayState {
        let left = self.due.map(|due| due.saturating_duration_since(now));
        RelayState {
            host: host.to_owned(),
            failures: self.failures,
            newest: self.newest,
            last_error: self.last_error.clone(),
            retry_in: left.unwrap_or_default(),
        }
    }
}

fn doubled((first, longest): (Duration, Duration), times: u32) -> Duration {
    let factor = 1_u32.checked_shl(times).unwrap_or(u32::MAX);
    first.saturating_mul(factor).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(error: &RelayError, times: u32) -> Vec<u64> {
        let now = Instant::now();
        let mut health = Health::default();
        let failures = (0..times).map(|_| {
            health.fail(error.clone(), now, 0);
            health.state("", now).retry_in.as_secs()
        });
        failures.collect()
    }

    #[test]
    fn doubles_pauses_up_to_a_bound() {
        let failed = RelayError::Status(500);
        assert_eq!(pauses(&failed, 6), [1, 2, 4, 8, 15, 15]);
        assert_eq!(pauses(&RelayError::Unreadable, 5), [10, 20, 40, 60, 60]);
        assert_eq!(pauses(&failed, 70).last(), Some(&15));
        assert_eq!(pauses(&RelayError::NotYet, 3), [0, 0, 0]);
    }

    #[test]
    fn bounds_the_pause_that_a_relay_asks_for() {
        let asked = |seconds| RelayError::RateLimited {
            retry_after: Some(Duration::from_secs(seconds)),
        };
        for (seconds, pause) in [(0, 1), (7, 7), (60, 60), (1_000_000, 60), (u64::MAX, 60)] {
            let now = Instant::now();
            let mut health = Health::default();
            health.fail(asked(seconds), now, 0);
            assert_eq!(health.pause_left(now), Some(Duration::from_secs(pause)));
            assert_eq!(health.pause_left(now + Duration::from_secs(pause)), None);
        }
    }

    #[test]
    fn lengthens_pauses_by_less_than_a_quarter() {
        let now = Instant::now();
        for jitter in [0, 1, 128, 255] {
            let mut health = Health::default();
            health.fail(RelayError::Unreadable, now, jitter);
            let pause = health.state("", now).retry_in;
            assert!((WRONG.0..WRONG.0 * 5 / 4).contains(&pause), "{pause:?}");
        }
    }

    #[test]
    fn prefers_due_and_fast_relays() {
        let now = Instant::now();
        let (good, mut slow, mut failed, mut worse) = Default::default();
        let _: [&Health; 4] = [&good, &slow, &failed, &worse];
        slow.mark_slow();
        failed.fail(RelayError::Status(500), now, 0);
        worse.fail(RelayError::Unreadable, now, 0);
        let ranks = [&good, &slow, &failed, &worse].map(|health| health.rank(now));
        assert!(ranks.is_sorted(), "{ranks:?}");
        assert!(!failed.is_due(now) && failed.is_due(now + FAILED.0));
        let later = now + WRONG.0;
        assert_eq!(worse.rank(later), good.rank(later));
        worse.succeed(5);
        assert_eq!(worse.state("", now).failures, 0);
    }
}
