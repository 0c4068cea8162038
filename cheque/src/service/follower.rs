//! The loop of a service over new heads, across restarts and reorgs.

use crate::{
    bank::{
        cursor::Cursor,
        error::BankError,
        head::{Head, HeadCheckError},
        heads::Heads,
        reader::Reader,
    },
    store::async_store::{AsyncStore, StoredError},
};
use std::time::Duration;
use tokio::time::sleep;

/// Follows the chain from the place kept in the store.
#[derive(Debug)]
pub(crate) struct Follower {
    reader: Reader,
    heads: Heads,
    store: AsyncStore,
    name: &'static str,
    cursor: Option<Cursor>,
}

impl Follower {
    /// Creates the follower `name`. The store keeps a place for each name.
    pub(crate) fn new(reader: &Reader, store: &AsyncStore, name: &'static str) -> Self {
        Self {
            reader: reader.clone(),
            heads: reader.heads(),
            store: store.clone(),
            name,
            cursor: None,
        }
    }

    /// Loads the cursor from the store, so that the reader refuses heads much older than the last processed.
    pub(crate) async fn load_cursor(&mut self) -> Result<(), StoredError> {
        if self.cursor.is_none() {
            let reader = &self.reader;
            self.cursor = Some(Cursor::load(reader, self.store.clone(), self.name).await?);
        }
        Ok(())
    }

    /// Returns the next head, and [`HeadCheckError::Reorganised`] if more processed blocks than the chain's confirmations
    /// were replaced.
    pub(crate) async fn next<E>(&mut self) -> Result<(Head, Option<HeadCheckError>), E>
    where
        E: From<BankError> + From<StoredError>,
    {
        let reader = self.reader.clone();
        if let Err(error) = self.load_cursor().await {
            // A pause, so that a caller in a loop does not spin while the store fails.
            sleep(Duration::from_secs(reader.profile().block_time.max(1))).await;
            return Err(error.into());
        }
        let head = self.heads.next().await?;
        let replaced = match &self.cursor {
            Some(cursor) => cursor.since().await?.replaced,
            None => 0,
        };
        let confirmations = reader.profile().confirmations;
        let deep = HeadCheckError::Reorganised {
            replaced,
            confirmations,
        };
        Ok((head, (replaced > confirmations).then_some(deep)))
    }

    /// Records all blocks up to `head` as processed.
    pub(crate) async fn advance(&mut self, head: &Head) -> Result<(), StoredError> {
        match &mut self.cursor {
            Some(cursor) => cursor.advance(head).await,
            None => Ok(()),
        }
    }
}
