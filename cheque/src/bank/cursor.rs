//! A follower's place in the chain, across restarts.

use crate::{
    bank::error::BankError,
    bank::{
        head::Head,
        reader::Reader,
        seen::{SeenBlock, SeenRecord, seen_key},
    },
    store::{
        async_store::{AsyncStore, StoredError},
        change::Swap,
        interface::Store,
        table::Table,
    },
};
use std::sync::Arc;

/// A follower's place in the chain, stored in the store.
///
/// Records the newest processed head, and ever fewer of the heads before. So after a restart the cursor detects a
/// reorganisation and its depth, and tells from which block to read events (again). Any number of processes may share a
/// cursor, which keeps the newest head of all.
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
        if let Some(newest) = cursor.seen.blocks.first() {
            reader.memory().remember(head(newest));
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

    /// Records all blocks up to `head` as processed. Durable once the call returns.
    ///
    /// # Errors
    ///
    /// [`StoredError`] if the store fails or the record is corrupt.
    pub async fn advance(&mut self, head: &Head) -> Result<(), StoredError> {
        loop {
            let mut seen = self.seen.clone();
            seen.push(SeenBlock {
                number: head.number,
                time: head.time,
                hash: head.hash,
            });
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
            // Another process was faster; add the head to the blocks of that process.
            self.read().await?;
        }
    }

    async fn compare(&self) -> Result<Since, BankError> {
        let newest = self.newest().map_or(0, |newest| newest.number);
        for block in &self.seen.blocks {
            if self.reader.hash_of(block.number).await? == Some(block.hash) {
                return Ok(Since {
                    from: block.number.saturating_add(1),
                    replaced: newest - block.number,
                });
            }
        }
        Ok(Since {
            from: 0,
            replaced: newest,
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
