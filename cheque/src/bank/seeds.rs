//! Verified rounds of the beacon, kept for as long as their draws need them.

use crate::{
    beacon::{BeaconClient, BeaconError},
    protocol::{
        beacon::{Beacon, ScheduleError, round::BeaconRound},
        now::Now,
    },
    store::{
        async_store::{AsyncStore, StoredError},
        change::Swap,
        codec::{decode, encode},
        keys::{beacon_key, draw_time_of_key, seed_key},
        table::Table,
    },
    sys::unix_now,
};
use alloy_primitives::{B256, FixedBytes};
use alloy_rlp::{RlpDecodable, RlpEncodable};
use lru::LruCache;
use std::{
    fmt,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::timeout;

/// The number of rounds in memory, 300 bytes each.
const CACHED: NonZeroUsize = NonZeroUsize::new(1_024).expect("not zero");

/// The longest wait for relays, beyond which their own time limits have failed.
const MAX_WAIT: Duration = Duration::from_secs(20);

/// The age of the newest round, in seconds, beyond which callers wait for a newer one: half of what payers and payees allow.
const FRESH: u64 = 30;

/// The reason why the round of a draw is not known.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SeedError {
    /// The client follows another beacon than the bank.
    #[error(
        "the bank draws from the beacon with chain hash {bank}, and the client follows {client}; name relays of the bank's \
         beacon"
    )]
    OtherBeacon {
        /// The chain hash of the bank's beacon.
        bank: B256,
        /// The chain hash of the client's beacon.
        client: B256,
    },
    /// There is no such round.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The relays did not answer.
    #[error(transparent)]
    Beacon(#[from] BeaconError),
    /// The relays did not answer within any limit.
    #[error("the relays of the beacon have not answered within {} s", MAX_WAIT.as_secs())]
    TimedOut,
    /// The round is due, and there is no client to fetch it.
    #[error(
        "the round of draw time {0} is not in the store, and no relay of the beacon is configured; name one"
    )]
    NoClient(u64),
    /// The store failed.
    #[error(transparent)]
    Stored(#[from] StoredError),
}

/// The verified rounds of a bank's beacon. Cheap to clone; clones share what is in memory.
///
/// A round is in the store before anybody acts by it, so that a draw needs no relay twice.
#[derive(Clone)]
pub struct SeedBook {
    beacon: Beacon,
    client: Option<BeaconClient>,
    store: AsyncStore,
    rounds: Arc<Mutex<LruCache<u64, BeaconRound>>>,
}

impl fmt::Debug for SeedBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeedBook")
            .field("beacon", &self.beacon)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

impl SeedBook {
    /// Makes a book that has only the rounds in the store.
    pub(crate) fn without_client(beacon: Beacon, store: AsyncStore) -> Self {
        Self {
            beacon,
            client: None,
            store,
            rounds: Arc::new(Mutex::new(LruCache::new(CACHED))),
        }
    }

    /// Makes the book of a beacon's rounds. Without a client, it has only the rounds in the store.
    ///
    /// # Errors
    ///
    /// [`SeedError::OtherBeacon`] if the client follows another beacon.
    pub(crate) fn new(
        beacon: Beacon,
        client: Option<BeaconClient>,
        store: AsyncStore,
    ) -> Result<Self, SeedError> {
        if let Some(client) = &client
            && *client.beacon() != beacon
        {
            return Err(SeedError::OtherBeacon {
                bank: beacon.chain_hash(),
                client: client.beacon().chain_hash(),
            });
        }
        Ok(Self {
            client,
            ..Self::without_client(beacon, store)
        })
    }

    /// Returns the beacon.
    pub const fn beacon(&self) -> &Beacon {
        &self.beacon
    }

    /// Returns the client, if there is one.
    pub const fn client(&self) -> Option<&BeaconClient> {
        self.client.as_ref()
    }

    /// Returns the round of a draw time: from memory, from the store, or from the relays. `None` if the round is not public
    /// yet. Always verified, and stored before it is returned.
    ///
    /// Asks no relay for a round that none had a few seconds ago, as while the beacon has stopped.
    ///
    /// # Errors
    ///
    /// [`SeedError::Schedule`] without a round of this time, [`SeedError::NoClient`] if the round is due and nobody to ask,
    /// [`SeedError::Beacon`] if no relay answers, [`SeedError::Stored`] if the store fails.
    pub async fn round(&self, draw_time: u64) -> Result<Option<BeaconRound>, SeedError> {
        let stored = match self.read(draw_time).await? {
            Kept::Verified(known) => return Ok(Some(known)),
            Kept::Unverified(stored) => stored,
        };
        if !self.may_be_public(draw_time) {
            return Ok(None);
        }
        let client = self.client.as_ref().ok_or(SeedError::NoClient(draw_time))?;
        let round = self.beacon.round_at(draw_time)?;
        let fetched = timeout(MAX_WAIT, client.round(round)).await;
        let fetched = match fetched.map_err(|_| SeedError::TimedOut)? {
            Err(BeaconError::NotYet { .. }) => return Ok(None),
            fetched => fetched?,
        };
        let new = Some(encode(&SeedRow {
            signature: *fetched.signature(),
        }));
        let key = seed_key(&self.beacon, draw_time).to_vec();
        // A faster process has written the same signature: there is only one.
        let _swap = self.store.set(Table::Seeds, key, stored, new).await?;
        self.known().put(draw_time, fetched);
        Ok(Some(fetched))
    }

    /// Returns the round of a draw time from memory or from the store. `None` if neither has it. Asks nobody.
    pub(crate) async fn kept_round(
        &self,
        draw_time: u64,
    ) -> Result<Option<BeaconRound>, SeedError> {
        Ok(match self.read(draw_time).await? {
            Kept::Verified(round) => Some(round),
            Kept::Unverified(_) => None,
        })
    }

    /// True if relays may have the round of a draw time: it is due, and the last request for the newest round has not
    /// shown that the beacon lacks it.
    pub(crate) fn may_be_public(&self, draw_time: u64) -> bool {
        let client = self.client.as_ref();
        let newest = client.and_then(BeaconClient::newest_verified);
        if newest.is_some_and(|(_, newest)| draw_time <= newest) {
            return true;
        }
        let Some(overdue) = unix_now().checked_sub(draw_time) else {
            return false;
        };
        // A request from before the draw time tells nothing.
        let polled = client.and_then(BeaconClient::recent_poll);
        polled.is_none_or(|polled| polled.elapsed() >= Duration::from_secs(overdue))
    }

    async fn read(&self, draw_time: u64) -> Result<Kept, SeedError> {
        let round = self.beacon.round_at(draw_time)?;
        if let Some(known) = self.known().get(&draw_time) {
            return Ok(Kept::Verified(*known));
        }
        let key = seed_key(&self.beacon, draw_time).to_vec();
        let stored = self.store.get(Table::Seeds, key).await?;
        // A damaged record is replaced: nobody has to believe it, since signatures verify themselves.
        let verified = stored
            .as_deref()
            .and_then(|bytes| decode::<SeedRow>(bytes).ok())
            .and_then(|row| self.beacon.verify(round, row.signature.as_slice()).ok());
        Ok(match verified {
            Some(known) => {
                self.known().put(draw_time, known);
                Kept::Verified(known)
            }
            None => Kept::Unverified(stored),
        })
    }

    /// Returns the time of the newest verified round, in seconds since 1970. `None` without a client, and before the first.
    ///
    /// Asks the relays every 10 s at most. Does not wait for their answer if they have answered in the last 12.5 s and the
    /// newest round is at most 30 s old.
    pub async fn newest_time(&self) -> Option<u64> {
        let client = self.client.as_ref()?;
        let known = |client: &BeaconClient| client.newest_verified().map(|(_, time)| time);
        let is_fresh = |time: u64| unix_now().saturating_sub(time) <= FRESH;
        let is_asked_often = client.recent_poll().is_some();
        let wait = if is_asked_often && known(client).is_some_and(is_fresh) {
            // Enough to send the request, which goes on by itself.
            Duration::ZERO
        } else {
            MAX_WAIT
        };
        // A failure shows in the age of the newest round.
        let _newest = timeout(wait, client.newest()).await;
        known(client)
    }

    /// Returns the three clocks.
    pub async fn now(&self, clock: u64, head_time: u64) -> Now {
        Now {
            clock,
            head_time,
            round_time: self.newest_time().await,
        }
    }

    /// Removes the rounds of draw times before `draw_time` from the store. Returns their number.
    ///
    /// # Errors
    ///
    /// [`StoredError`] if the store fails.
    pub async fn forget_before(&self, draw_time: u64) -> Result<usize, StoredError> {
        let all = self
            .store
            .scan(
                Table::Seeds,
                beacon_key(&self.beacon).to_vec(),
                |key, value| Ok((key.to_vec(), value.to_vec())),
            )
            .await?;
        let mut removed = 0;
        for (key, old) in all {
            if draw_time_of_key(&key)? < draw_time {
                let set = self.store.set(Table::Seeds, key, Some(old), None);
                // On a conflict another process was faster.
                removed += usize::from(set.await? == Swap::Done);
            }
        }
        Ok(removed)
    }

    fn known(&self) -> MutexGuard<'_, LruCache<u64, BeaconRound>> {
        // Nothing panics with the lock held, and every state is a good one.
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A round in memory or store.
enum Kept {
    Verified(BeaconRound),
    /// The bytes in the store, which are no round of this time, or none.
    Unverified(Option<Vec<u8>>),
}

/// A round in the store: its compressed signature. Number and time are in the key.
#[derive(RlpEncodable, RlpDecodable)]
struct SeedRow {
    signature: FixedBytes<48>,
}

#[cfg(test)]
mod tests;
