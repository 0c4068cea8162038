//! Waiting for the second of a round.

use crate::{
    beacon::{
        client::{BeaconClient, jitter},
        error::BeaconError,
    },
    protocol::beacon::round::BeaconRound,
};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// The first pause after a relay did not have a round that is due. Each further one doubles it, up to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

impl BeaconClient {
    /// Waits for a round, at most for `timeout`.
    ///
    /// Sleeps until the second of the round by the own clock, or by a newer round if the own clock is slow, then asks
    /// until a relay has it. A beacon that stops and comes back, or relays that fail for a while, only delay the round.
    ///
    /// # Errors
    ///
    /// [`BeaconError::TimedOut`] with the last reason, and [`BeaconError::Schedule`] if there is no such round.
    pub async fn wait(&self, round: u64, timeout: Duration) -> Result<BeaconRound, BeaconError> {
        let due = Duration::from_secs(self.0.beacon.time_of(round)?);
        let started = Instant::now();
        // A time beyond the runtime's years means no end.
        let end = started.checked_add(timeout);
        let mut last = None;
        let waited = self.until(round, due, &mut last);
        match end {
            None => Ok(waited.await),
            Some(end) => timeout_at(end, waited)
                .await
                .map_err(|_| BeaconError::TimedOut {
                    round,
                    waited: timeout,
                    last: last.map(Box::new),
                }),
        }
    }

    async fn until(
        &self,
        round: u64,
        due: Duration,
        last: &mut Option<BeaconError>,
    ) -> BeaconRound {
        let poll = self.0.limits.poll;
        let mut pause = PAUSES.0;
        loop {
            if let Some(known) = self.cached(round) {
                return known;
            }
            let early = due.saturating_sub(self.known_time());
            if !early.is_zero() {
                // In parts, since clocks jump and machines sleep. A newer round shows that the own clock is slow.
                sleep(early.min(poll)).await;
                if early > poll
                    && let Err(error) = self.newest().await
                {
                    *last = Some(error);
                }
                continue;
            }
            match self.round(round).await {
                Ok(fetched) => return fetched,
                Err(error) => *last = Some(error),
            }
            sleep(pause + pause * u32::from(jitter()) / 1024).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }
}
