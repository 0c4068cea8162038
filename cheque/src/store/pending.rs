//! The future of a write that has started.

#[cfg(any(feature = "redb", feature = "postgres"))]
use crate::store::commit_queue::waiter::Waiter;
#[cfg(feature = "service")]
use crate::store::write_watch::WriteWatch;
use crate::store::{change::Swap, error::StoreError};
#[cfg(feature = "service")]
use std::sync::Arc;
use std::{
    fmt,
    future::{self, Ready},
    pin::Pin,
    task::{Context, Poll},
};

/// The future result of a write that [`Store::begin`](crate::store::Store::begin) has started. Runs on any runtime.
///
/// The write continues if the future is dropped; its result is lost then.
#[must_use = "the future alone tells the result of the write"]
pub struct Pending {
    state: State,
    /// The watch that is told the result.
    #[cfg(feature = "service")]
    watch: Option<Arc<WriteWatch>>,
}

enum State {
    Ready(Ready<Result<Swap, StoreError>>),
    #[cfg(any(feature = "redb", feature = "postgres"))]
    Queued(Waiter),
}

impl Pending {
    /// Wraps the result of a finished write.
    pub fn ready(result: Result<Swap, StoreError>) -> Self {
        Self::new(State::Ready(future::ready(result)))
    }

    #[cfg(any(feature = "redb", feature = "postgres"))]
    pub(super) const fn queued(waiter: Waiter) -> Self {
        Self::new(State::Queued(waiter))
    }

    /// Tells `watch` the result, if the future is not dropped before.
    #[cfg(feature = "service")]
    pub(super) fn watched(self, watch: Arc<WriteWatch>) -> Self {
        Self {
            watch: Some(watch),
            ..self
        }
    }

    const fn new(state: State) -> Self {
        Self {
            state,
            #[cfg(feature = "service")]
            watch: None,
        }
    }
}

impl Future for Pending {
    type Output = Result<Swap, StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = match &mut self.state {
            State::Ready(ready) => Pin::new(ready).poll(context),
            #[cfg(any(feature = "redb", feature = "postgres"))]
            State::Queued(waiter) => waiter.poll(context),
        };
        #[cfg(feature = "service")]
        if let (Poll::Ready(result), Some(watch)) = (&polled, &self.watch) {
            watch.record(result);
        }
        polled
    }
}

/// Hides the changes, which are secret.
impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending(..)")
    }
}
