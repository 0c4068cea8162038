//! Whether the payee's service does its work.

use super::Health;
use crate::chain::Head;
use tokio::time::Instant;

/// What the service remembers of how it goes.
#[derive(Debug, Default)]
pub(super) struct Vitals {
    /// The last look at the chain that succeeded.
    seen: Option<(Head, Instant)>,
    /// When a step has last gone through all deposits.
    stepped: Option<Instant>,
    /// Why the last look failed, if it did.
    unseen: Option<String>,
    /// Why the last step failed, if it did.
    undone: Option<String>,
    /// The last error of all.
    last_error: Option<String>,
}

impl Vitals {
    /// The newest block that was seen.
    pub(super) fn head(&self) -> Option<u64> {
        self.seen.map(|(head, _)| head.number)
    }

    /// The chain was seen.
    pub(super) fn saw(&mut self, head: Head, now: Instant) {
        self.seen = Some((head, now));
        self.unseen = None;
    }

    /// A step has gone through all deposits.
    pub(super) fn stepped(&mut self, now: Instant) {
        self.stepped = Some(now);
        self.undone = None;
    }

    /// A look has failed.
    pub(super) fn look_failed(&mut self, error: String) {
        self.unseen = Some(error.clone());
        self.last_error = Some(error);
    }

    /// A step has failed.
    pub(super) fn step_failed(&mut self, error: String) {
        self.undone = Some(error.clone());
        self.last_error = Some(error);
    }

    /// It is well while both the last look and the last step that succeeded are at most `limit` seconds old.
    pub(super) fn health(&self, now: Instant, limit: u64) -> Health {
        let age = |at: Instant| now.saturating_duration_since(at).as_secs();
        let because = |error: &Option<String>| match error {
            Some(error) => format!(": {error}"),
            None => String::new(),
        };
        let head_age = self.seen.map(|(_, at)| age(at));
        let ill = match (head_age, self.stepped.map(age)) {
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
            reason: ill.unwrap_or_else(|| "follows the chain".to_owned()),
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
        let mut vitals = Vitals::default();
        let reason = |vitals: &Vitals, seconds| vitals.health(at(seconds), LIMIT).reason;
        vitals.look_failed("no route".to_owned());
        assert_eq!(reason(&vitals, 0), "has not seen the chain yet: no route");
        vitals.saw(HEAD, at(0));
        assert!(!vitals.health(at(0), LIMIT).ok, "it has done nothing yet");
        vitals.stepped(at(0));
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
        let mut vitals = Vitals::default();
        vitals.saw(HEAD, at(0));
        vitals.stepped(at(0));
        for second in 1..=LIMIT + 1 {
            vitals.saw(HEAD, at(second));
            vitals.step_failed("the disk is full".to_owned());
            assert_eq!(vitals.health(at(second), LIMIT).ok, second <= LIMIT);
        }
        assert_eq!(
            vitals.health(at(LIMIT + 1), LIMIT).reason,
            "sees the chain, and has not gone through its deposits for 61 s, the limit is 60: the disk is full"
        );
        vitals.stepped(at(LIMIT + 1));
        assert!(vitals.health(at(LIMIT + 1), LIMIT).ok);
    }
}
