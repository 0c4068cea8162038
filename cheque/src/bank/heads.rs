//! Waiting for new blocks.

use crate::{
    bank::error::BankError,
    bank::{cursor::Cursor, head::Head, head::HeadCheckError, reader::Reader},
    node::failover::{Nodes, pin_node},
    store::async_store::{AsyncStore, StoredError},
};
use alloy::{pubsub::Subscription, rpc::types::Header};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

/// How often in a block's time a node is asked that does not tell of new blocks by itself.
const LOOKS: u32 = 4;

/// The newest block again and again, one after the other.
///
/// Over WebSocket the node tells when there is a new one, else it is asked four times in a block's time. What the node
/// tells only wakes this up: each head is asked for and checked like any other, so nothing is lost when a subscription
/// breaks, and it is made again, on another node if need be.
#[derive(Debug)]
pub struct Heads {
    reader: Reader,
    last: Option<Head>,
    /// Since when nothing new was returned.
    since: Instant,
    failed: bool,
    news: Option<(usize, Subscription<Header>)>,
}

impl Reader {
    /// Follows the chain. The first head comes at once.
    pub fn heads(&self) -> Heads {
        Heads {
            reader: self.clone(),
            last: None,
            since: Instant::now(),
            failed: false,
            news: None,
        }
    }
}

impl Heads {
    /// The next head: another one than the last, of whatever number, or the same one again after a block's time without
    /// news, so that whoever waits never stalls. Heads may be left out, and after a reorganisation the number may be lower.
    ///
    /// An error (see [`Reader::checked_head`]) is returned at once, and the try after it comes a block's time later.
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Head, BankError> {
        let block = Duration::from_secs(self.reader.profile().block_time.max(1));
        let due = self.since + block;
        if self.failed {
            sleep(due.saturating_duration_since(Instant::now())).await;
        } else if self.last.is_some() {
            self.rest(due, block).await;
        }
        loop {
            let head = pin_node(self.reader.checked_head()).await;
            let is_late = Instant::now() >= due;
            match head {
                Ok(head) if !is_late && !self.failed && self.last == Some(head) => {
                    self.rest(due, block).await;
                }
                head => {
                    self.since = Instant::now();
                    self.failed = head.is_err();
                    self.last = head.as_ref().ok().copied().or(self.last);
                    return head;
                }
            }
        }
    }

    /// Waits until there may be news, and until `due` at the most.
    async fn rest(&mut self, due: Instant, block: Duration) {
        let nodes = Nodes::of(self.reader.provider());
        let answering = nodes.as_ref().map(Nodes::current);
        match &mut self.news {
            Some((node, news)) if Some(*node) == answering => {
                match timeout_at(due, news.recv()).await {
                    Ok(Ok(_)) | Err(_) => return,
                    // Cut, or so much has come that some of it is gone.
                    Ok(Err(_)) => self.news = None,
                }
            }
            _ => {
                let heads = match nodes {
                    Some(nodes) => nodes.heads().await,
                    None => None,
                };
                if let Some((node, Ok(news))) = heads {
                    // What came before it was made is not told, so the caller asks at once.
                    self.news = Some((node, news));
                    return;
                }
            }
        }
        sleep_until(due.min(Instant::now() + block / LOOKS)).await;
    }
}

/// Follows the chain from where it was left.
#[derive(Debug)]
pub(crate) struct Follower {
    heads: Heads,
    store: AsyncStore,
    name: &'static str,
    cursor: Option<Cursor>,
}

impl Follower {
    /// A follower of this name: a store keeps one place for each.
    pub(crate) fn new(reader: &Reader, store: &AsyncStore, name: &'static str) -> Self {
        Self {
            heads: reader.heads(),
            store: store.clone(),
            name,
            cursor: None,
        }
    }

    /// Takes over from the store which head was seen last, so that no much older one is believed.
    pub(crate) async fn recall(&mut self) -> Result<(), StoredError> {
        if self.cursor.is_none() {
            let reader = &self.heads.reader;
            self.cursor = Some(Cursor::over(reader, self.store.clone(), self.name).await?);
        }
        Ok(())
    }

    /// The next head, and whether blocks that were dealt with were replaced by more than the chain's confirmations.
    pub(crate) async fn next<E>(&mut self) -> Result<(Head, Option<HeadCheckError>), E>
    where
        E: From<BankError> + From<StoredError>,
    {
        let reader = self.heads.reader.clone();
        if let Err(error) = self.recall().await {
            // Whoever calls this again and again must not do so without a pause.
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

    /// Notes that everything up to `head` is dealt with.
    pub(crate) async fn done(&mut self, head: &Head) -> Result<(), StoredError> {
        match &mut self.cursor {
            Some(cursor) => cursor.advance(head).await,
            None => Ok(()),
        }
    }
}
