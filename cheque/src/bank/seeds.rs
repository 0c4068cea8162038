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

/// The age of the newest round, in seconds, up to which nobody waits for a newer one: half of what payers and payees allow.
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
    /// # Errors
    ///
    /// [`SeedError::Schedule`] without a round of this time, [`SeedError::NoClient`] if the round is due and nobody to ask,
    /// [`SeedError::Beacon`] if no relay answers, [`SeedError::Stored`] if the store fails.
    pub async fn round(&self, draw_time: u64) -> Result<Option<BeaconRound>, SeedError> {
        let round = self.beacon.round_at(draw_time)?;
        if let Some(known) = self.known().get(&draw_time) {
            return Ok(Some(*known));
        }
        let key = seed_key(&self.beacon, draw_time).to_vec();
        let stored = self.store.get(Table::Seeds, key.clone()).await?;
        // A damaged record is replaced: nobody has to believe it, since signatures verify themselves.
        let verified = stored
            .as_deref()
            .and_then(|bytes| decode::<SeedRow>(bytes).ok())
            .and_then(|row| self.beacon.verify(round, row.signature.as_slice()).ok());
        if let Some(known) = verified {
            self.known().put(draw_time, known);
            return Ok(Some(known));
        }
        if draw_time > self.latest_time() {
            return Ok(None);
        }
        let client = self.client.as_ref().ok_or(SeedError::NoClient(draw_time))?;
        let fetched = timeout(MAX_WAIT, client.round(round)).await;
        let fetched = match fetched.map_err(|_| SeedError::TimedOut)? {
            Err(BeaconError::NotYet { .. }) => return Ok(None),
            fetched => fetched?,
        };
        let new = Some(encode(&SeedRow {
            signature: *fetched.signature(),
        }));
        // A faster process has written the same signature: there is only one.
        let _swap = self.store.set(Table::Seeds, key, stored, new).await?;
        self.known().put(draw_time, fetched);
        Ok(Some(fetched))
    }

    /// Returns the time of the newest verified round, in seconds since 1970. `None` without a client, and before the first.
    ///
    /// Asks the relays every 10 s at most. Waits for their answer only if the newest round is older than 30 s.
    pub async fn newest_time(&self) -> Option<u64> {
        let client = self.client.as_ref()?;
        let known = |client: &BeaconClient| client.newest_verified().map(|(_, time)| time);
        let is_fresh = |time: u64| unix_now().saturating_sub(time) <= FRESH;
        let wait = if known(client).is_some_and(is_fresh) {
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

    /// Returns the later of the own clock and the newest verified round: a slow clock must not hide a draw.
    fn latest_time(&self) -> u64 {
        let newest = self.client.as_ref().and_then(BeaconClient::newest_verified);
        unix_now().max(newest.map_or(0, |(_, time)| time))
    }

    fn known(&self) -> MutexGuard<'_, LruCache<u64, BeaconRound>> {
        // Nothing panics with the lock held, and every state is a good one.
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A round in the store: its compressed signature. Number and time are in the key.
#[derive(RlpEncodable, RlpDecodable)]
struct SeedRow {
    signature: FixedBytes<48>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{protocol::beacon::local::LocalBeacon, store::Memory};

    const GENESIS: u64 = 1_700_000_000;
    const PERIOD: u64 = 3;
    /// The time of round 101.
    const DRAW: u64 = GENESIS + 300;

    fn local() -> LocalBeacon {
        LocalBeacon::new(&[7; 32], GENESIS, PERIOD).unwrap()
    }

    fn book() -> SeedBook {
        let store = AsyncStore::new(Arc::new(Memory::default()));
        SeedBook::new(local().beacon().clone(), None, store).unwrap()
    }

    /// Writes bytes as the record of a draw time.
    async fn write(book: &SeedBook, draw_time: u64, bytes: Vec<u8>) {
        let key = seed_key(&book.beacon, draw_time).to_vec();
        let set = book.store.set(Table::Seeds, key, None, Some(bytes));
        assert_eq!(set.await.unwrap(), Swap::Done);
    }

    fn row(round: u64) -> Vec<u8> {
        let signature = local().sign(round).into();
        encode(&SeedRow { signature })
    }

    #[tokio::test]
    async fn returns_a_stored_round_without_relays() {
        let book = book();
        write(&book, DRAW, row(101)).await;
        let round = book.round(DRAW).await.unwrap().unwrap();
        assert_eq!((round.round(), round.time()), (101, DRAW));
        assert_eq!(book.clone().round(DRAW).await.unwrap(), Some(round));
    }

    #[tokio::test]
    async fn believes_no_record_that_does_not_verify() {
        let book = book();
        write(&book, DRAW, row(102)).await;
        write(&book, DRAW + PERIOD, vec![1, 2, 3]).await;
        for time in [DRAW, DRAW + PERIOD] {
            let refused = book.round(time).await;
            assert!(
                matches!(refused, Err(SeedError::NoClient(due)) if due == time),
                "{refused:?}"
            );
        }
    }

    #[tokio::test]
    async fn knows_no_round_of_the_future_or_off_schedule() {
        let book = book();
        let future = DRAW + PERIOD * 1_000_000_000;
        assert_eq!(book.round(future).await.unwrap(), None);
        let off = book.round(DRAW + 1).await;
        assert!(matches!(off, Err(SeedError::Schedule(_))), "{off:?}");
        assert_eq!(book.newest_time().await, None);
        let now = book.now(5, 7).await;
        assert_eq!((now.clock, now.head_time, now.round_time), (5, 7, None));
    }

    #[tokio::test]
    async fn refuses_the_client_of_another_beacon() {
        let client = BeaconClient::quicknet().unwrap();
        let store = AsyncStore::new(Arc::new(Memory::default()));
        let made = SeedBook::new(local().beacon().clone(), Some(client), store);
        assert!(matches!(made, Err(SeedError::OtherBeacon { .. })));
    }

    #[tokio::test]
    async fn forgets_rounds_before_a_time() {
        let book = book();
        for round in 101..=104 {
            let time = GENESIS + PERIOD * (round - 1);
            write(&book, time, row(round)).await;
        }
        let removed = book.forget_before(DRAW + 2 * PERIOD).await.unwrap();
        assert_eq!(removed, 2);
        assert!(book.round(DRAW + PERIOD).await.is_err());
        assert!(book.round(DRAW + 2 * PERIOD).await.unwrap().is_some());
    }
}
