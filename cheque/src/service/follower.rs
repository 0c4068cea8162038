//! The loop of a service over new heads, across restarts and reorgs.

use crate::{
    bank::{
        cursor::Cursor,
        error::BankError,
        head::{FinalBlock, Head, HeadCheckError},
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bank::fake_chain::FakeChain, payee::ReceiveError, protocol::chain_profile::ChainProfile,
        store::Memory, sys::unix_now,
    };
    use std::sync::Arc;

    async fn next(follower: &mut Follower) -> News {
        follower.next::<ReceiveError>().await.unwrap()
    }

    #[tokio::test]
    async fn tells_a_replaced_final_block_until_it_was_dealt_with() {
        let mainnet = ChainProfile {
            poll: Duration::from_millis(1),
            ..*ChainProfile::of(1).unwrap()
        };
        let clock = unix_now();
        let chain = FakeChain::new(&mainnet, (0..=100).map(|slot| clock - 1_230 + 12 * slot));
        chain.set_finalized(Some(70));
        let reader = chain.reader(mainnet);
        let store = AsyncStore::new(Arc::new(Memory::default()));
        let mut follower = Follower::new(&reader, &store, "test");
        let first = next(&mut follower).await;
        assert_eq!((first.head, first.last_final.number), (chain.head(), 70));
        assert_eq!(first.reorganised, None);
        follower.advance(&first).await.unwrap();

        // Nothing final is replaced.
        chain.cut(90);
        chain.extend((90..=101).map(|slot| clock - 1_231 + 12 * slot), "second");
        let second = next(&mut follower).await;
        assert_eq!(second.reorganised, None);
        follower.advance(&second).await.unwrap();

        let lost = Some(HeadCheckError::Reorganised {
            from: 0,
            since_time: 0,
            final_time: chain.block(70).time,
        });
        chain.cut(50);
        chain.extend((50..=102).map(|slot| clock - 1_242 + 12 * slot), "third");
        // A process that is killed before it has dealt with it finds it again.
        for _ in 0..2 {
            let mut restarted = Follower::new(&reader, &store, "test");
            let third = next(&mut restarted).await;
            assert_eq!(third.reorganised, lost);
        }
        let third = next(&mut follower).await;
        assert_eq!(third.reorganised, lost);
        follower.advance(&third).await.unwrap();
        let mut restarted = Follower::new(&reader, &store, "test");
        assert_eq!(next(&mut restarted).await.reorganised, None);
    }
}
