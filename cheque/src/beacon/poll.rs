//! The newest round, the third clock of *now*.

use crate::{
    beacon::{
        client::{BeaconClient, jitter},
        error::{BeaconError, RelayError},
        flight::Fetched,
        relay::Wanted,
    },
    protocol::beacon::round::BeaconRound,
    sys,
};
use std::time::Duration;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

/// The wait for further answers once one has come.
const GRACE: Duration = Duration::from_millis(500);

/// The pause after a request that no relay has answered, or the usual one if that is shorter.
const RETRY: Duration = Duration::from_secs(2);

/// A relay is behind if its newest round is older than that of another by more than two periods and these seconds.
const BEHIND: u64 = 10;

impl BeaconClient {
    /// Returns the newest round that any relay has. Asks every 10 s ([`BeaconLimits::poll`](crate::beacon::BeaconLimits)) or
    /// up to a quarter earlier, once for all callers; else returns the newest round verified so far.
    ///
    /// Asks all relays at once and takes the newest of their rounds, so a relay that keeps rounds back does not matter
    /// as long as one does not. If no relay answers, returns the newest round verified before: its time tells its age.
    ///
    /// # Errors
    ///
    /// [`BeaconError::NoAnswer`] if no round was ever verified.
    pub async fn newest(&self) -> Result<BeaconRound, BeaconError> {
        if let Some(known) = self.polled() {
            return known;
        }
        let polled = self.shared(Wanted::Newest, |client| async move { client.poll().await });
        polled.await
    }

    /// Returns the beginning of the last request for the newest round that a relay has answered. `None` if that is longer
    /// ago than the time between two requests and a quarter. By the runtime's clock, which nobody can set.
    pub(crate) fn recent_poll(&self) -> Option<Instant> {
        let max_age = self.0.limits.poll * 5 / 4;
        let answered = self.0.state().answered?;
        (answered.elapsed() <= max_age).then_some(answered)
    }

    /// Returns the result of the last request, as long as its pause lasts.
    fn polled(&self) -> Option<Fetched> {
        let state = self.0.state();
        let (until, failure) = state.polled.as_ref()?;
        if *until <= Instant::now() {
            return None;
        }
        let newest = state.newest.map(Ok);
        newest.or_else(|| failure.clone().map(Err))
    }

    async fn poll(self) -> Fetched {
        // Another request may have ended since the caller looked.
        if let Some(known) = self.polled() {
            return known;
        }
        let mut failures = Vec::new();
        let begun = Instant::now();
        let mut asked = JoinSet::new();
        for index in self.ranked(&mut failures) {
            // Those that fail have their turn later, but nobody but them is no reason to ask nobody.
            if asked.is_empty() || self.0.state().health[index].is_due(begun) {
                let client = self.clone();
                asked.spawn(async move { (index, client.ask(index, Wanted::Newest).await) });
            }
        }
        let mut answers: Vec<(usize, u64)> = Vec::new();
        let mut end = None;
        loop {
            let ended = async {
                match end {
                    Some(end) => sleep_until(end).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                answered = asked.join_next() => match answered {
                    Some(Ok((index, Ok(round)))) => {
                        answers.push((index, round.round()));
                        end.get_or_insert_with(|| Instant::now() + GRACE);
                    }
                    Some(Ok((index, Err(error)))) => failures.push((index, error)),
                    // A task that was ended with the runtime.
                    Some(Err(_)) => {}
                    None => break,
                },
                () = ended => break,
            }
        }
        // Late answers still count: their tasks remember them.
        asked.detach_all();
        self.conclude(begun, &answers, failures)
    }

    /// Ends a request: relays that are behind fail, and the next request waits.
    fn conclude(
        &self,
        begun: Instant,
        answers: &[(usize, u64)],
        failures: Vec<(usize, RelayError)>,
    ) -> Fetched {
        let limits = self.0.limits;
        let failure = answers.is_empty().then(|| self.no_answer(None, failures));
        let jitter = jitter();
        let now = Instant::now();
        let mut state = self.0.state();
        if let Some(newest) = state.newest.map(|newest| newest.round()) {
            let bound = 2 + BEHIND / self.0.beacon.period();
            for (index, found) in answers.iter().copied() {
                if newest.saturating_sub(found) > bound {
                    let error = RelayError::Behind { found, newest };
                    state.health[index].fail(error, now, jitter);
                }
            }
        }
        let next = match failure {
            // From its beginning on, so that a slow relay does not delay the next request.
            None => begun + shortened(limits.poll, jitter),
            Some(_) => now + shortened(limits.poll.min(RETRY), jitter),
        };
        if failure.is_none() {
            state.answered = Some(begun);
        }
        state.polled = Some((next, failure.clone()));
        let no_round = || self.no_answer(None, Vec::new());
        state.newest.ok_or_else(|| failure.unwrap_or_else(no_round))
    }

    /// Returns the later of the own clock and the newest verified round, since 1970.
    pub(super) fn known_time(&self) -> Duration {
        let newest = self.newest_verified().map_or(0, |(_, time)| time);
        sys::since_1970().max(Duration::from_secs(newest))
    }
}

/// Shortens a pause by less than a quarter. Never lengthens it: the newest round must be asked for often enough.
fn shortened(pause: Duration, jitter: u8) -> Duration {
    pause - pause * u32::from(jitter) / 1024
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{beacon::client::BeaconLimits, protocol::beacon::local::LocalBeacon};
    use alloy_primitives::B256;

    #[test]
    fn shortens_pauses_by_less_than_a_quarter() {
        let pause = BeaconLimits::default().poll;
        for jitter in 0..=u8::MAX {
            let shorter = shortened(pause, jitter);
            assert!(shorter > pause * 3 / 4 && shorter <= pause, "{shorter:?}");
        }
        assert_eq!(shortened(pause, 0), pause);
    }

    /// A relay that answers after 4 s, and then none at all.
    #[test]
    fn asks_again_10_seconds_after_the_last_request() {
        let local = LocalBeacon::new(&[7; 32], 0, 1).unwrap();
        let client = BeaconClient::new(local.beacon().clone(), B256::ZERO, &["http://a"]).unwrap();
        let poll = client.0.limits.poll;
        let next = || client.0.state().polled.as_ref().map(|(next, _)| *next);
        assert_eq!(client.recent_poll(), None);
        client.0.state().newest = local.round(5).ok();
        let begun = Instant::now() - Duration::from_secs(4);
        client.conclude(begun, &[(0, 5)], Vec::new()).unwrap();
        assert!(next().is_some_and(|next| next > begun + poll * 3 / 4 && next <= begun + poll));
        assert_eq!(client.recent_poll(), Some(begun));
        // A failure does not pass for an answer.
        client.conclude(Instant::now(), &[], Vec::new()).unwrap();
        assert!(next().is_some_and(|next| next <= Instant::now() + RETRY));
        assert_eq!(client.recent_poll(), Some(begun));
    }

    #[test]
    fn forgets_an_answer_after_a_pause_and_a_quarter() {
        let local = LocalBeacon::new(&[7; 32], 0, 1).unwrap();
        let client = BeaconClient::new(local.beacon().clone(), B256::ZERO, &["http://a"]).unwrap();
        for (millis, counts) in [(0, true), (12_000, true), (12_501, false), (60_000, false)] {
            let answered = Instant::now() - Duration::from_millis(millis);
            client.0.state().answered = Some(answered);
            let expected = counts.then_some(answered);
            assert_eq!(client.recent_poll(), expected, "after {millis} ms");
        }
    }
}
