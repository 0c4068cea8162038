//! A follower's place in the chain, across restarts.

use crate::{
    bank::{
        error::BankError,
        head::{FinalBlock, Head},
        reader::Reader,
        seen::{SeenBlock, SeenRecord, seen_key},
    },
    store::{
        async_store::{AsyncStore, StoredError},
        change::Swap,
        interface::Store,
        table::Table,
    },
    sys::unix_now,
};
use std::sync::Arc;

/// A follower's place in the chain, stored in the store.
///
/// Records the newest processed head, and ever fewer of the heads before. So after a restart the cursor detects a
/// reorganisation and its depth, and tells from which block to read events (again). Records the newest final block, too, to
/// detect that even that was replaced. Any number of processes may share a cursor, which keeps the newest head of all.
#[derive(Debug)]
pub struct Cursor {
    reader: Reader,
    store: AsyncStore,
    key: Vec<u8>,
    /// The stored bytes of `seen`.
    stored: Option<Vec<u8>>,
    seen: SeenRecord,
}

/// The changes of the chain since a cursor was advanced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since {
    /// The first block of which to read events, again if the block was replaced. Zero for a new cursor.
    pub from: u64,
    /// The maximum number of processed blocks that are no longer in the chain.
    pub replaced: u64,
    /// The time of block `from - 1`, the last one known to be in both chains, in seconds since 1970. Zero if none is known.
    pub since_time: u64,
    /// The newest block that counted as final, if it is no longer in the chain: not even settled facts hold then.
    pub lost_final: Option<SeenBlock>,
}

impl Cursor {
    /// Opens the cursor `name` of the reader's bank. The reader then checks heads against the newest head of the cursor.
    ///
    /// # Errors
    ///
    /// [`StoredError`] if the store fails or the record is corrupt.
    pub async fn open(
        reader: &Reader,
        store: Arc<dyn Store>,
        name: &str,
    ) -> Result<Self, StoredError> {
        Self::load(reader, AsyncStore::new(store), name).await
    }

    pub(crate) async fn load(
        reader: &Reader,
        store: AsyncStore,
        name: &str,
    ) -> Result<Self, StoredError> {
        let mut cursor = Self {
            reader: reader.clone(),
            store,
            key: seen_key(reader.bank(), name),
            stored: None,
            seen: SeenRecord::default(),
        };
        cursor.read().await?;
        let followed = reader.followed();
        if let Some(newest) = cursor.newest() {
            followed.remember(newest, unix_now());
        }
        for block in cursor.seen.blocks.iter().rev() {
            followed.insert(head(block));
        }
        Ok(cursor)
    }

    /// Returns the newest processed head. `None` for a new cursor.
    pub fn newest(&self) -> Option<Head> {
        self.seen.blocks.first().map(head)
    }

    /// Compares the processed blocks with the node's chain. Reads a single block if there was no reorganisation.
    ///
    /// # Errors
    ///
    /// [`BankError::Node`] if the node fails.
    pub async fn since(&self) -> Result<Since, BankError> {
        crate::node::failover::pin_node(self.compare()).await
    }

    /// Like [`since`](Self::since), by the node that the caller has pinned.
    #[cfg(feature = "service")]
    pub(crate) async fn since_here(&self) -> Result<Since, BankError> {
        self.compare().await
    }

    /// Records all blocks up to `head` as processed, and `last_final` as final. Durable once the call returns.
    ///
    /// Keeps the higher of two final blocks: a node may lag. After a reorganisation that replaced the recorded one, as
    /// [`since`](Self::since) reports, call [`forget_final`](Self::forget_final) first.
    ///
    /// # Errors
    ///
    /// [`StoredError`] if the store fails or the record is corrupt.
    pub async fn advance(
        &mut self,
        head: &Head,
        last_final: &FinalBlock,
    ) -> Result<(), StoredError> {
        let last_final = SeenBlock {
            number: last_final.number,
            time: last_final.time,
            hash: last_final.hash,
        };
        self.change(|seen| {
            seen.push(SeenBlock {
                number: head.number,
                time: head.time,
                hash: head.hash,
            });
            if seen
                .last_final
                .iter()
                .all(|old| old.number <= last_final.number)
            {
                seen.last_final = vec![last_final];
            }
        })
        .await
    }

    /// Forgets the block that counted as final. Call it after everything that was settled is open again.
    ///
    /// # Errors
    ///
    /// As for [`advance`](Self::advance).
    pub async fn forget_final(&mut self) -> Result<(), StoredError> {
        self.change(|seen| seen.last_final.clear()).await
    }

    async fn change(&mut self, change: impl Fn(&mut SeenRecord)) -> Result<(), StoredError> {
        loop {
            let mut seen = self.seen.clone();
            change(&mut seen);
            let (old, new) = (self.stored.clone(), seen.to_bytes());
            if old.as_ref() == Some(&new) {
                return Ok(());
            }
            let key = self.key.clone();
            let set = self.store.set(Table::Marks, key, old, Some(new.clone()));
            if set.await? == Swap::Done {
                (self.stored, self.seen) = (Some(new), seen);
                return Ok(());
            }
            // Another process was faster; change the record of that process.
            self.read().await?;
        }
    }

    async fn compare(&self) -> Result<Since, BankError> {
        let newest = self.newest().map_or(0, |newest| newest.number);
        let mut common = None;
        for block in &self.seen.blocks {
            if self.reader.hash_of(block.number).await? == Some(block.hash) {
                common = Some(block);
                break;
            }
        }
        let from = common.map_or(0, |block| block.number.saturating_add(1));
        let mut lost_final = None;
        if let Some(last_final) = self.seen.last_final.first()
            && last_final.number >= from
            && self.reader.hash_of(last_final.number).await? != Some(last_final.hash)
        {
            lost_final = Some(*last_final);
        }
        Ok(Since {
            from,
            replaced: newest - common.map_or(0, |block| block.number),
            since_time: common.map_or(0, |block| block.time),
            lost_final,
        })
    }

    async fn read(&mut self) -> Result<(), StoredError> {
        self.stored = self.store.get(Table::Marks, self.key.clone()).await?;
        let seen = self.stored.as_deref().map(SeenRecord::from_bytes);
        self.seen = seen.transpose()?.unwrap_or_default();
        Ok(())
    }
}

const fn head(block: &SeenBlock) -> Head {
    Head {
        number: block.number,
        time: block.time,
        hash: block.hash,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bank::fake_chain::FakeChain, protocol::chain_profile::ChainProfile, store::Memory,
    };

    const T: u64 = 1_800_000_000;

    fn profile() -> ChainProfile {
        *ChainProfile::of(1).unwrap()
    }

    /// Processes the chain up to its head, with block `last_final` as the final one.
    async fn process(cursor: &mut Cursor, chain: &FakeChain, last_final: u64) {
        let block = chain.block(last_final);
        let last_final = FinalBlock {
            number: block.number,
            time: block.time,
            hash: block.hash,
            tagged: true,
        };
        cursor.advance(&chain.head(), &last_final).await.unwrap();
    }

    #[tokio::test]
    async fn tells_whether_a_final_block_was_replaced() {
        let chain = FakeChain::new(&profile(), (0..=100).map(|slot| T + 12 * slot));
        let reader = chain.reader(profile());
        let store: Arc<dyn Store> = Arc::new(Memory::default());
        let mut cursor = Cursor::open(&reader, store.clone(), "test").await.unwrap();
        let fresh = cursor.since().await.unwrap();
        assert_eq!((fresh.from, fresh.replaced, fresh.lost_final), (0, 0, None));
        for number in [60, 70, 80, 90] {
            chain.cut(number + 1);
            process(&mut cursor, &chain, 70.min(number as u64)).await;
            chain.extend((number as u64 + 1..=100).map(|slot| T + 12 * slot), "first");
        }

        chain.cut(85);
        chain.extend([T + 12 * 90], "second");
        let since = cursor.since().await.unwrap();
        assert_eq!((since.from, since.replaced), (81, 10));
        assert_eq!((since.since_time, since.lost_final), (T + 12 * 80, None));

        let last_final = chain.block(70);
        chain.cut(65);
        chain.extend((65..=95).map(|slot| T + 12 * slot), "third");
        // A restart finds it, too, until everything settled is open again.
        let mut cursor = Cursor::open(&reader, store, "test").await.unwrap();
        let since = cursor.since().await.unwrap();
        assert_eq!((since.from, since.since_time), (61, T + 12 * 60));
        let lost = since.lost_final.unwrap();
        assert_eq!((lost.number, lost.hash), (70, last_final.hash));
        cursor.forget_final().await.unwrap();
        process(&mut cursor, &chain, 62).await;
        assert_eq!(cursor.since().await.unwrap().lost_final, None);
    }

    #[tokio::test]
    async fn keeps_the_higher_final_block() {
        let chain = FakeChain::new(&profile(), (0..=100).map(|slot| T + 12 * slot));
        let reader = chain.reader(profile());
        let store = Arc::new(Memory::default());
        let mut cursor = Cursor::open(&reader, store, "test").await.unwrap();
        process(&mut cursor, &chain, 70).await;
        process(&mut cursor, &chain, 40).await;
        assert_eq!(cursor.seen.last_final[0].number, 70);
    }
}
