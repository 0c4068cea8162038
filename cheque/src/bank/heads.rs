//! Waiting for new blocks.

use crate::{
    bank::error::BankError,
    bank::{head::Head, reader::Reader},
    node::failover::{Nodes, pin_node},
};
use alloy::{pubsub::Subscription, rpc::types::Header};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

/// Number of polls without news after which the same head is returned again.
const POLLS: u32 = 4;

/// The shortest pause between two polls, whatever a profile says.
const MIN_POLL: Duration = Duration::from_millis(50);

/// The stream of the chain's newest blocks.
///
/// Over WebSocket the node announces new blocks; else the stream polls as often as the profile says. An announcement only
/// wakes the stream, which reads and checks each head by itself. So a broken subscription loses nothing, and the stream
/// subscribes again, at another node if necessary.
#[derive(Debug)]
pub struct Heads {
    reader: Reader,
    last: Option<Head>,
    /// The time of the last result.
    since: Instant,
    failed: bool,
    /// The subscription, and the index of its node.
    news: Option<(usize, Subscription<Header>)>,
}

impl Reader {
    /// Follows the chain. The first head is returned at once.
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
    /// Waits for a head that differs from the last. Returns the same head again after four polls without news, so callers
    /// never stall, however long the chain pauses.
    ///
    /// Heads may be skipped, and after a reorganisation the number may be lower. Cancel safe: dropping the future loses
    /// nothing.
    ///
    /// # Errors
    ///
    /// As for [`Reader::checked_head`]. Returns an error at once; the next call waits for the time of four polls.
    pub async fn next(&mut self) -> Result<Head, BankError> {
        let poll = self.reader.profile().poll.max(MIN_POLL);
        let due = self.since + poll * POLLS;
        if self.failed {
            sleep(due.saturating_duration_since(Instant::now())).await;
        } else if self.last.is_some() {
            self.wait_for_news(due, poll).await;
        }
        loop {
            let head = pin_node(self.reader.checked_head()).await;
            let is_late = Instant::now() >= due;
            match head {
                Ok(head) if !is_late && !self.failed && self.last == Some(head) => {
                    self.wait_for_news(due, poll).await;
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

    /// Waits until there may be a new head, and until `due` at most.
    async fn wait_for_news(&mut self, due: Instant, poll: Duration) {
        let nodes = Nodes::of(self.reader.provider());
        let answering = nodes.as_ref().map(Nodes::current);
        match &mut self.news {
            Some((node, news)) if Some(*node) == answering => {
                match timeout_at(due, news.recv()).await {
                    Ok(Ok(_)) | Err(_) => return,
                    // The connection is cut, or the subscription's buffer has overflowed.
                    Ok(Err(_)) => self.news = None,
                }
            }
            _ => {
                let heads = match nodes {
                    Some(nodes) => nodes.heads().await,
                    None => None,
                };
                if let Some((node, Ok(news))) = heads {
                    // The new subscription announces no earlier block, so the caller asks at once.
                    self.news = Some((node, news));
                    return;
                }
            }
        }
        sleep_until(due.min(Instant::now() + poll)).await;
    }
}
