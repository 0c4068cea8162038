//! The client: relays in order of health, verified rounds in memory, one request for all who want the same.

use crate::{
    beacon::{
        error::{BeaconError, RelayError},
        flight::{Fetched, Flights, landed},
        health::{Health, RelayState},
        public::QUICKNET_RELAYS,
        relay::{Relay, Wanted},
    },
    protocol::beacon::{Beacon, round::BeaconRound},
    sys,
};
use alloy_primitives::B256;
use lru::LruCache;
use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

/// The number of verified rounds kept in memory, 300 bytes each.
const CACHED: NonZeroUsize = NonZeroUsize::new(1_024).expect("not zero");

/// The times of a client. Plain data, exhaustive by design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BeaconLimits {
    /// The longest wait for an answer of a relay: 5 s.
    pub timeout: Duration,
    /// The wait for a relay before another is asked, too: 1 s.
    pub hedge: Duration,
    /// The longest time between two requests for the newest round, as long as it is wanted: 10 s. Jitter shortens it.
    pub poll: Duration,
}

impl Default for BeaconLimits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            hedge: Duration::from_secs(1),
            poll: Duration::from_secs(10),
        }
    }
}

/// A client of a beacon over several relays. Clones share everything.
///
/// Every round that the client returns is verified. Use it within a tokio runtime.
#[derive(Clone, Debug)]
pub struct BeaconClient(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) beacon: Beacon,
    pub(super) relays: Vec<Relay>,
    pub(super) limits: BeaconLimits,
    state: Mutex<State>,
}

/// What the client remembers. No lock is held over a request.
#[derive(Debug)]
pub(super) struct State {
    rounds: LruCache<u64, BeaconRound>,
    pub(super) newest: Option<BeaconRound>,
    pub(super) health: Vec<Health>,
    pub(super) flights: Flights,
    /// The end of the pause between requests for the newest round, and the failure of the last one.
    pub(super) polled: Option<(Instant, Option<BeaconError>)>,
    /// The beginning of the last request for the newest round that a relay has answered.
    pub(super) answered: Option<Instant>,
}

impl BeaconClient {
    /// Makes a client of a beacon over the relays at `urls`, in order of preference. Does not connect.
    ///
    /// The relays know the chain by `chain_hash`: see [`Beacon::chain_hash`].
    ///
    /// # Errors
    ///
    /// [`BeaconError::NoRelay`] if `urls` is empty, [`BeaconError::Url`] if one has no http or https URL.
    pub fn new<U: AsRef<str>>(
        beacon: Beacon,
        chain_hash: B256,
        urls: &[U],
    ) -> Result<Self, BeaconError> {
        Self::with_limits(beacon, chain_hash, urls, BeaconLimits::default())
    }

    /// Makes a client like [`BeaconClient::new`], with other times.
    ///
    /// # Errors
    ///
    /// As for [`BeaconClient::new`].
    pub fn with_limits<U: AsRef<str>>(
        beacon: Beacon,
        chain_hash: B256,
        urls: &[U],
        limits: BeaconLimits,
    ) -> Result<Self, BeaconError> {
        if urls.is_empty() {
            return Err(BeaconError::NoRelay);
        }
        let relay = |(number, url): (usize, &U)| {
            Relay::new(number, url.as_ref(), chain_hash, limits.timeout)
        };
        let relays: Vec<_> = (1..).zip(urls).map(relay).collect::<Result<_, _>>()?;
        let state = State {
            rounds: LruCache::new(CACHED),
            newest: None,
            health: vec![Health::default(); relays.len()],
            flights: Flights::default(),
            polled: None,
            answered: None,
        };
        Ok(Self(Arc::new(Inner {
            beacon,
            relays,
            limits,
            state: Mutex::new(state),
        })))
    }

    /// Makes a client of quicknet over its public relays, [`QUICKNET_RELAYS`].
    ///
    /// # Errors
    ///
    /// [`BeaconError::Http`] if the system has no HTTP client to offer.
    pub fn quicknet() -> Result<Self, BeaconError> {
        let beacon = Beacon::quicknet();
        let hash = beacon.chain_hash();
        Self::new(beacon, hash, &QUICKNET_RELAYS)
    }

    /// Returns the beacon.
    pub fn beacon(&self) -> &Beacon {
        &self.0.beacon
    }

    /// Returns the state of each relay, in the order of the URLs. Asks nobody.
    pub fn relays(&self) -> Vec<RelayState> {
        let now = Instant::now();
        let state = self.0.state();
        let of = self.0.relays.iter().zip(&state.health);
        of.map(|(relay, health)| health.state(&relay.host, now))
            .collect()
    }

    /// Returns number and time (seconds since 1970) of the newest round verified so far. Asks nobody.
    pub fn newest_verified(&self) -> Option<(u64, u64)> {
        let newest = self.0.state().newest;
        newest.map(|newest| (newest.round(), newest.time()))
    }

    /// Fetches a round, or returns it from memory.
    ///
    /// Asks the relays in order of health: the next one if one fails, or has not answered within a second. Does not
    /// wait for a round of the future.
    ///
    /// # Errors
    ///
    /// [`BeaconError::NotYet`] if the relays do not have the round yet, [`BeaconError::NoAnswer`] if none gives it,
    /// [`BeaconError::Schedule`] if there is no such round.
    pub async fn round(&self, round: u64) -> Result<BeaconRound, BeaconError> {
        self.0.beacon.time_of(round)?;
        if let Some(known) = self.cached(round) {
            return Ok(known);
        }
        let wanted = Wanted::Round(round);
        self.shared(wanted, |client| async move { client.fetch(round).await })
            .await
    }

    /// Returns a round from memory.
    pub(super) fn cached(&self, round: u64) -> Option<BeaconRound> {
        self.0.state().rounds.get(&round).copied()
    }

    /// Does the work for all tasks that want the same. The work goes on if the caller does not wait for it.
    pub(super) async fn shared<W>(&self, wanted: Wanted, work: impl FnOnce(Self) -> W) -> Fetched
    where
        W: Future<Output = Fetched> + Send + 'static,
    {
        let (landing, sender) = self.0.state().flights.join(wanted);
        if let Some(sender) = sender {
            let client = self.clone();
            let work = work(self.clone());
            tokio::spawn(async move {
                let fetched = work.await;
                client.0.state().flights.land(wanted);
                sender.send_replace(Some(fetched));
            });
        }
        landed(landing).await.unwrap_or(Err(BeaconError::Ended))
    }

    async fn fetch(self, round: u64) -> Fetched {
        let mut failures = Vec::new();
        let mut waiting = self.ranked(&mut failures).into_iter();
        let mut asked = JoinSet::new();
        let mut last = None;
        loop {
            if let Some(index) = waiting.next() {
                let client = self.clone();
                last = Some(index);
                asked.spawn(async move { (index, client.ask(index, Wanted::Round(round)).await) });
            } else if asked.is_empty() {
                return Err(self.explained(round, failures));
            }
            let may_hedge = waiting.len() > 0;
            tokio::select! {
                Some(answered) = asked.join_next() => match answered {
                    Ok((_, Ok(found))) => {
                        self.demote_missing(found.round(), &failures);
                        return Ok(found);
                    }
                    Ok((index, Err(error))) => failures.push((index, error)),
                    // A task that was ended with the runtime.
                    Err(_) => {}
                },
                () = sleep(self.0.limits.hedge), if may_hedge => {
                    if let Some(index) = last {
                        self.0.state().health[index].mark_slow();
                    }
                }
            }
        }
    }

    /// Demotes the relays without a round that another relay has.
    fn demote_missing(&self, newest: u64, failures: &[(usize, RelayError)]) {
        let (jitter, now) = (jitter(), Instant::now());
        let mut state = self.0.state();
        for (index, error) in failures {
            if *error == RelayError::NotYet {
                let found = state.health[*index].newest().unwrap_or_default();
                let error = RelayError::Behind { found, newest };
                state.health[*index].fail(error, now, jitter);
            }
        }
    }

    /// Lists the relays in order of health. Those that asked for a pause are failures.
    pub(super) fn ranked(&self, failures: &mut Vec<(usize, RelayError)>) -> Vec<usize> {
        let now = Instant::now();
        let state = self.0.state();
        let mut ranked = Vec::new();
        for (index, health) in state.health.iter().enumerate() {
            match health.pause_left(now) {
                Some(left) => failures.push((index, RelayError::Paused(left))),
                None => ranked.push(index),
            }
        }
        ranked.sort_by_key(|index| state.health[*index].rank(now));
        ranked
    }

    /// Asks one relay, and remembers round and health.
    pub(super) async fn ask(
        &self,
        index: usize,
        wanted: Wanted,
    ) -> Result<BeaconRound, RelayError> {
        let inner = &self.0;
        let answered = inner.relays[index].fetch(wanted, &inner.beacon).await;
        let jitter = jitter();
        let mut state = inner.state();
        match &answered {
            Ok(round) => {
                state.health[index].succeed(round.round());
                state.remember(*round);
            }
            Err(error) => state.health[index].fail(error.clone(), Instant::now(), jitter),
        }
        answered
    }

    fn explained(&self, round: u64, failures: Vec<(usize, RelayError)>) -> BeaconError {
        let not_yet = |(_, error): &(usize, RelayError)| *error == RelayError::NotYet;
        if let Ok(time) = self.0.beacon.time_of(round)
            && failures.iter().any(not_yet)
        {
            return BeaconError::NotYet { round, time };
        }
        self.no_answer(Some(round), failures)
    }

    pub(super) fn no_answer(
        &self,
        round: Option<u64>,
        failures: Vec<(usize, RelayError)>,
    ) -> BeaconError {
        let relays = &self.0.relays;
        let named = |(index, error): (usize, _)| (relays[index].host.clone(), error);
        BeaconError::NoAnswer {
            round,
            failures: failures.into_iter().map(named).collect(),
        }
    }
}

impl Inner {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics with the lock held, and every state is a good one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remember(&mut self, round: BeaconRound) {
        self.rounds.put(round.round(), round);
        if self
            .newest
            .is_none_or(|newest| newest.round() < round.round())
        {
            self.newest = Some(round);
        }
    }
}

/// Draws the jitter of a pause. Zero without random numbers, which does no harm.
pub(super) fn jitter() -> u8 {
    sys::random().map_or(0, |bytes| bytes[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::beacon::local::LocalBeacon;

    #[test]
    fn keeps_a_bounded_number_of_rounds() {
        let local = LocalBeacon::new(&[7; 32], 0, 1).unwrap();
        let client = BeaconClient::new(local.beacon().clone(), B256::ZERO, &["http://a"]).unwrap();
        let last = u64::try_from(CACHED.get()).unwrap() + 1;
        for round in 1..=last {
            client.0.state().remember(local.round(round).unwrap());
        }
        assert_eq!(client.cached(1), None);
        assert_eq!(client.cached(2), local.round(2).ok());
        assert_eq!(client.newest_verified(), Some((last, last - 1)));
    }
}
