//! What of the chain was dealt with, across restarts.

use crate::{
    bank::error::BankError,
    bank::{
        head::Head,
        reader::Reader,
        seen::{SeenBlock, SeenRecord, seen_key},
    },
    store::{
        Store, Swap, Table,
        async_store::{AsyncStore, StoredError},
    },
};
use std::sync::Arc;

/// A follower's place in the chain, kept in the store.
///
/// Remembers the newest head that was dealt with, and ever fewer of those before. So after a restart it knows whether
/// the chain it knew was reorganised, how deeply, and from where events have to be read (again). Any number of processes
/// may share one: it keeps the newest word of all of them.
#[derive(Debug)]
pub struct Cursor {
    reader: Reader,
    store: AsyncStore,
    key: Vec<u8>,
    kept: Option<Vec<u8>>,
    seen: SeenRecord,
}

/// What has happened since a cursor was moved last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since {
    /// The first block whose events have to be read, again if it was replaced. Zero if nothing is known.
    pub from: u64,
    /// How many blocks that were dealt with are not in the chain any more, at the most.
    pub replaced: u64,
}

impl Cursor {
    /// The cursor `name` of the reader's bank. What the reader finds plausible begins with what was seen before.
    pub async fn open(
        reader: &Reader,
        store: Arc<dyn Store>,
        name: &str,
    ) -> Result<Self, StoredError> {
        Self::over(reader, AsyncStore::new(store), name).await
    }

    pub(crate) async fn over(
        reader: &Reader,
        store: AsyncStore,
        name: &str,
    ) -> Result<Self, StoredError> {
        let mut cursor = Self {
            reader: reader.clone(),
            store,
            key: seen_key(reader.bank(), name),
            kept: None,
            seen: SeenRecord::default(),
        };
        cursor.read().await?;
        if let Some(newest) = cursor.seen.blocks.first() {
            reader.memory().remember(head(newest));
        }
        Ok(cursor)
    }

    /// The newest head that was dealt with.
    pub fn newest(&self) -> Option<Head> {
        self.seen.blocks.first().map(head)
    }

    /// What has happened until now, by the node. Asks for one block if there was no reorganisation.
    pub async fn since(&self) -> Result<Since, BankError> {
        crate::node::failover::pin_node(self.compared()).await
    }

    /// Notes that everything up to `head` is dealt with. Durable before it returns.
    pub async fn advance(&mut self, head: &Head) -> Result<(), StoredError> {
        loop {
            let mut seen = self.seen.clone();
            seen.push(SeenBlock {
                number: head.number,
                time: head.time,
                hash: head.hash,
            });
            let (old, new) = (self.kept.clone(), seen.to_bytes());
            if old.as_ref() == Some(&new) {
                return Ok(());
            }
            let key = self.key.clone();
            let set = self.store.set(Table::Marks, key, old, Some(new.clone()));
            if set.await? == Swap::Done {
                (self.kept, self.seen) = (Some(new), seen);
                return Ok(());
            }
            // Another process was faster; what it has seen counts too.
            self.read().await?;
        }
    }

    async fn compared(&self) -> Result<Since, BankError> {
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
        self.kept = self.store.get(Table::Marks, self.key.clone()).await?;
        let seen = self.kept.as_deref().map(SeenRecord::from_bytes);
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
