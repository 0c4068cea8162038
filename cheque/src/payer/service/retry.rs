//! What was tried and why it is not done yet. Only for people and for pacing: a restart forgets it without harm.

use crate::protocol::terms::DepositId;
use std::collections::HashMap;

/// The most blocks between two tries.
const LONGEST_PAUSE: u64 = 16;

/// What a note is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum About {
    /// What is done for a deposit.
    Deposit(DepositId),
    /// The end of what was sent for a deposit and is of no more use. It does not wait for the next try of what that was
    /// to do.
    Cancelling(DepositId),
    /// The next round.
    Round,
}

/// Why something is not done yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    /// In a sentence.
    pub(super) reason: String,
    /// The block of the next try, after a failure. `None`: nothing is wrong, it takes its time.
    pub(super) retry_at: Option<u64>,
    failures: u32,
}

/// The notes of one service.
#[derive(Debug, Default)]
pub(super) struct Notes(HashMap<About, Note>);

impl Notes {
    pub(super) fn of(&self, about: About) -> Option<&Note> {
        self.0.get(&about)
    }

    /// Whether it is time to try, or to try again.
    pub(super) fn is_due(&self, about: About, head: u64) -> bool {
        let retry_at = self.of(about).and_then(|note| note.retry_at);
        // Also where the chain went back to fewer blocks.
        retry_at.is_none_or(|block| head >= block || block > head.saturating_add(LONGEST_PAUSE))
    }

    /// It takes its time.
    pub(super) fn waits(&mut self, about: About, reason: String) {
        let note = Note {
            reason,
            retry_at: None,
            failures: 0,
        };
        self.0.insert(about, note);
    }

    /// It failed, and is tried again after 1, 2, 4, 8, 16, 16... blocks. Returns whether the reason is a new one.
    pub(super) fn failed(&mut self, about: About, head: u64, reason: String) -> bool {
        let before = self.0.get(&about).filter(|note| note.retry_at.is_some());
        let failures = before.map_or(0, |note| note.failures);
        let is_new = before.is_none_or(|note| note.reason != reason);
        let pause = 1_u64
            .checked_shl(failures)
            .map_or(LONGEST_PAUSE, |pause| pause.min(LONGEST_PAUSE));
        let note = Note {
            reason,
            retry_at: Some(head.saturating_add(pause)),
            failures: failures.saturating_add(1),
        };
        self.0.insert(about, note);
        is_new
    }

    /// It is done.
    pub(super) fn done(&mut self, about: About) {
        self.0.remove(&about);
    }

    /// Forgets what is about none of these deposits.
    pub(super) fn keep(&mut self, is_kept: impl Fn(DepositId) -> bool) {
        self.0.retain(|about, _| match about {
            About::Deposit(id) | About::Cancelling(id) => is_kept(*id),
            About::Round => true,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_tried_again_after_longer_and_longer_pauses() {
        let (mut notes, about) = (Notes::default(), About::Round);
        let mut head = 100;
        for pause in [1, 2, 4, 8, 16, 16, 16] {
            assert!(notes.is_due(about, head));
            let is_new = notes.failed(about, head, "no money".to_owned());
            assert_eq!(is_new, head == 100, "it is said once");
            assert!(!notes.is_due(about, head + pause - 1));
            head += pause;
        }
        assert!(notes.is_due(about, 10), "the chain went back");
        assert!(notes.failed(about, head, "no gas".to_owned()));
        notes.waits(about, "sent".to_owned());
        assert!(notes.is_due(about, head));
        notes.failed(about, head, "no gas".to_owned());
        assert!(notes.is_due(about, head + 1), "it begins anew");
    }

    #[test]
    fn sixty_five_failures_do_not_shift_the_pause_out_of_range() {
        let mut notes = Notes::default();
        for _ in 0..65 {
            notes.failed(About::Round, 0, String::new());
        }
        assert!(!notes.is_due(About::Round, 15));
        assert!(notes.is_due(About::Round, 16));
    }
}
