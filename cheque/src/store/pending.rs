//! A write under way.

#[cfg(any(feature = "redb", feature = "postgres"))]
use crate::store::commit_queue::Place;
use crate::store::{Swap, error::StoreError};
use std::{
    fmt,
    future::{self, Ready},
    pin::Pin,
    task::{Context, Poll},
};

/// A write that has begun ([`Store::begin`](crate::store::Store::begin)): a future of what becomes of it, for every runtime.
///
/// The write goes on when this is dropped, and nobody learns what became of it.
#[must_use = "only this tells what became of the write"]
pub struct Pending(State);

enum State {
    Ready(Ready<Result<Swap, StoreError>>),
    #[cfg(any(feature = "redb", feature = "postgres"))]
    Queued(Place),
}

impl Pending {
    /// Of a write that has ended.
    pub fn ready(result: Result<Swap, StoreError>) -> Self {
        Self(State::Ready(future::ready(result)))
    }

    #[cfg(any(feature = "redb", feature = "postgres"))]
    pub(super) const fn queued(place: Place) -> Self {
        Self(State::Queued(place))
    }
}

impl Future for Pending {
    type Output = Result<Swap, StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Ready(ready) => Pin::new(ready).poll(context),
            #[cfg(any(feature = "redb", feature = "postgres"))]
            State::Queued(place) => place.poll(context),
        }
    }
}

/// Without the changes, which are secret.
impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending(..)")
    }
}
