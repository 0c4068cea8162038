//! Looks up the rounds of due draws: those in the store always, the others from relays for a bounded time, in turns.

use crate::{
    bank::seeds::{SeedBook, SeedError},
    beacon::BeaconError,
    protocol::beacon::round::BeaconRound,
};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// How long relays are not asked after they have failed.
const RELAY_PAUSE: Duration = Duration::from_secs(10);

/// How long relays are asked at a time. The next time asks for the next rounds.
const MAX_ASKING: Duration = Duration::from_secs(2);

/// The rounds of several draw times.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    /// The known ones, with their draw times.
    pub(crate) known: Vec<(u64, BeaconRound)>,
    /// The first draw time whose round could not be looked up.
    pub(crate) failed: Option<(u64, SeedError)>,
    /// The last failure of the relays, if they were not asked because of it.
    pub(crate) paused: Option<(u64, BeaconError)>,
}

/// The order in which relays are asked for rounds.
#[derive(Debug, Default)]
pub(crate) struct DueRounds(Mutex<Turn>);

#[derive(Clone, Debug, Default)]
struct Turn {
    /// The draw time asked for last, if others are to be asked for.
    last: Option<u64>,
    /// The time of the last failure, and the failure if it was the relays'.
    failed: Option<(Instant, Option<(u64, BeaconError)>)>,
}

impl DueRounds {
    /// Looks up the rounds of draw times, which are in ascending order.
    ///
    /// Reads memory and store first. Then asks relays for the newest rounds first, since older deposits may be over, and
    /// ends after 2 s: the next call begins with the next older one. Ends at a failure, too, and asks no relay for the
    /// next ten seconds, so that relays that are down delay nothing else.
    pub(crate) async fn look_up(&self, seeds: &SeedBook, draw_times: &[u64]) -> Rounds {
        let mut rounds = Rounds::default();
        let mut missing = Vec::new();
        for time in draw_times {
            match seeds.kept_round(*time).await {
                Ok(Some(round)) => rounds.known.push((*time, round)),
                Ok(None) if seeds.may_be_public(*time) => missing.push(*time),
                Ok(None) => {}
                // A time off the schedule concerns no other time.
                Err(error @ SeedError::Schedule(_)) => {
                    rounds.failed.get_or_insert((*time, error));
                }
                Err(error) => {
                    rounds.failed = Some((*time, error));
                    return rounds;
                }
            }
        }
        self.ask(seeds, &missing, &mut rounds).await;
        rounds
    }

    async fn ask(&self, seeds: &SeedBook, missing: &[u64], rounds: &mut Rounds) {
        let turn = self.turn().clone();
        if let Some((at, failure)) = turn.failed
            && at.elapsed() < RELAY_PAUSE
        {
            rounds.paused = failure;
            return;
        }
        let begin = turn.last.map_or(missing.len(), |last| {
            missing.partition_point(|time| *time < last)
        });
        let (older, newer) = missing.split_at(begin);
        let begun = Instant::now();
        let mut next = Turn::default();
        let mut asked = None;
        for time in older.iter().rev().chain(newer.iter().rev()) {
            if begun.elapsed() >= MAX_ASKING {
                next.last = asked;
                break;
            }
            asked = Some(*time);
            match seeds.round(*time).await {
                Ok(Some(round)) => rounds.known.push((*time, round)),
                Ok(None) => {}
                Err(error) => {
                    let failure = match &error {
                        SeedError::Beacon(error) => Some((*time, error.clone())),
                        _ => None,
                    };
                    next = Turn {
                        last: asked,
                        failed: Some((Instant::now(), failure)),
                    };
                    rounds.failed.get_or_insert((*time, error));
                    break;
                }
            }
        }
        *self.turn() = next;
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        // No code panics under the lock, so a poisoned lock is good.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[cfg(feature = "local-beacon")]
mod tests {
    use super::*;
    use crate::{
        bank::stopped_relay::{PERIOD, StoppedBeacon, TIME_TO_ANSWER},
        beacon::BeaconClient,
        protocol::beacon::local::LocalBeacon,
        store::{Memory, async_store::AsyncStore},
    };
    use std::sync::Arc;

    fn book(beacon: &StoppedBeacon) -> SeedBook {
        let store = AsyncStore::new(Arc::new(Memory::default()));
        let public = beacon.local.beacon().clone();
        SeedBook::new(public, Some(beacon.client()), store).unwrap()
    }

    /// The client has not asked for the newest round yet, and so has not noticed the stop.
    #[tokio::test(flavor = "multi_thread")]
    async fn continues_with_older_rounds_after_the_time_limit() {
        let beacon = StoppedBeacon::start().await;
        let (seeds, due) = (book(&beacon), DueRounds::default());
        let public = beacon.stopped_at - 300;
        let mut times = vec![public];
        times.extend((1..=10).map(|number| beacon.stopped_at + number * PERIOD));
        let begun = Instant::now();
        let first = due.look_up(&seeds, &times).await;
        assert!(begun.elapsed() < MAX_ASKING + 2 * TIME_TO_ANSWER);
        assert!(first.known.is_empty() && first.failed.is_none());
        let second = due.look_up(&seeds, &times).await;
        let known: Vec<_> = second.known.iter().map(|(time, _)| *time).collect();
        assert_eq!(known, [public]);
        // From now on without a relay.
        let third = due.look_up(&seeds, &times[..1]).await;
        assert_eq!(third.known, second.known);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn asks_for_no_round_after_the_stop() {
        let beacon = StoppedBeacon::start().await;
        let (seeds, due) = (book(&beacon), DueRounds::default());
        let times: Vec<_> = (0..=50)
            .map(|number| beacon.stopped_at + number * PERIOD)
            .collect();
        assert_eq!(seeds.newest_time().await, Some(beacon.stopped_at));
        beacon.asked();
        let rounds = due.look_up(&seeds, &times).await;
        let known: Vec<_> = rounds.known.iter().map(|(time, _)| *time).collect();
        assert_eq!((known, beacon.asked()), (vec![beacon.stopped_at], 0));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_failure_keeps_no_stored_round_back() {
        let beacon = StoppedBeacon::start().await;
        let public = beacon.stopped_at - 300;
        let store = AsyncStore::new(Arc::new(Memory::default()));
        let book = |client| SeedBook::new(beacon.local.beacon().clone(), client, store.clone());
        let seeds = book(Some(beacon.client())).unwrap();
        let kept = seeds.round(public).await.unwrap().unwrap();
        let alone = book(None).unwrap();
        let due = DueRounds::default();
        let times = [public - PERIOD, public, public + PERIOD];
        for failed in [Some(public + PERIOD), None] {
            let rounds = due.look_up(&alone, &times).await;
            assert_eq!(rounds.known, [(public, kept)]);
            assert_eq!(rounds.failed.map(|(time, _)| time), failed);
        }
    }

    #[tokio::test]
    async fn repeats_the_failure_of_relays_that_are_not_asked() {
        let local = LocalBeacon::new(&[7; 32], 1_700_000_000, 3).unwrap();
        let beacon = local.beacon().clone();
        let hash = beacon.chain_hash();
        let client = BeaconClient::new(beacon.clone(), hash, &["http://127.0.0.1:1"]).unwrap();
        let store = AsyncStore::new(Arc::new(Memory::default()));
        let seeds = SeedBook::new(beacon, Some(client), store).unwrap();
        let (due, time) = (DueRounds::default(), 1_700_000_300);
        let first = due.look_up(&seeds, &[time]).await;
        assert!(matches!(first.failed, Some((failed, SeedError::Beacon(_))) if failed == time));
        assert!(first.paused.is_none());
        let second = due.look_up(&seeds, &[time]).await;
        assert!(second.failed.is_none());
        assert_eq!(second.paused.map(|(failed, _)| failed), Some(time));
    }
}
