//! The loop of a service over new heads, across restarts and reorgs.

use crate::{
    bank::{
        blocks::FinalBlock,
        cursor::Cursor,
        error::BankError,
        head::{Head, HeadCheckError},
        heads::Heads,
        reader::Reader,
    },
    node::failover::pin_node,
    store::async_store::{AsyncStore, StoredError},
};
use std::time::Duration;
use tokio::time::sleep;

/// The pause after a failure of the store.
const PAUSE: Duration = Duration::from_secs(1);

/// What a follower finds at a new head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct News {
    /// The head.
    pub(crate) head: Head,
    /// The newest final block.
    pub(crate) last_final: FinalBlock,
    /// Set to [`HeadCheckError::Reorganised`] if a final block was replaced since the last head that was processed, be it
    /// while this was not running. Everything settled since the error's `since_time` has to be looked at again.
    pub(crate) reorganised: Option<HeadCheckError>,
}

impl News {
    /// The time of the last block that is known to have stayed, if a final block was replaced: what was settled later than
    /// that is open again.
    pub(crate) const fn reopen_since(&self) -> Option<u64> {
        match self.reorganised {
            Some(HeadCheckError::Reorganised { since_time, .. }) => Some(since_time),
            _ => None,
        }
    }
}

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

    /// Returns the next head with the newest final block, and whether a final block was replaced since the last one that was
    /// processed.
    pub(crate) async fn next<E>(&mut self) -> Result<News, E>
    where
        E: From<BankError> + From<StoredError>,
    {
        if let Err(error) = self.load_cursor().await {
            // A pause, so that a caller in a loop does not spin while the store fails.
            sleep(PAUSE).await;
            return Err(error.into());
        }
        let head = self.heads.next().await?;
        let (last_final, since) = pin_node(async {
            let last_final = self.reader.final_block(&head).await?;
            let since = match &self.cursor {
                Some(cursor) => Some(cursor.since_here().await?),
                None => None,
            };
            Ok::<_, BankError>((last_final, since))
        })
        .await?;
        let reorganised = since.and_then(|since| {
            let lost = since.lost_final?;
            Some(HeadCheckError::Reorganised {
                from: since.from,
                since_time: since.since_time,
                final_time: lost.time,
            })
        });
        Ok(News {
            head,
            last_final,
            reorganised,
        })
    }

    /// Records all blocks up to the head of `news` as processed. After a reorganisation, everything that was settled since
    /// must be open again in the store before: a crash in between finds the reorganisation once more.
    pub(crate) async fn advance(&mut self, news: &News) -> Result<(), StoredError> {
        let Some(cursor) = &mut self.cursor else {
            return Ok(());
        };
        if news.reorganised.is_some() {
            cursor.forget_final().await?;
        }
        cursor.advance(&news.head, &news.last_final).await
    }
}
