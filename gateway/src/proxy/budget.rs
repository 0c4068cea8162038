//! The memory of all bodies together: each body is bounded by itself, and so is their sum.

use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The bytes of one permit.
const GRAIN: usize = 1 << 10;

/// A number of bytes that bodies share. Nobody waits for a part of it: waiting bodies would hold what others wait for.
#[derive(Clone, Debug)]
pub(super) struct Budget(Arc<Semaphore>);

/// A part of the budget. Returned when dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Budget,
    permits: Vec<OwnedSemaphorePermit>,
    grains: usize,
}

struct Held<T> {
    bytes: T,
    _share: Share,
}

impl<T: AsRef<[u8]>> AsRef<[u8]> for Held<T> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes / GRAIN)))
    }

    /// Returns a share without bytes.
    pub(super) fn share(&self) -> Share {
        Share {
            budget: self.clone(),
            permits: Vec::new(),
            grains: 0,
        }
    }

    /// Takes a share of `bytes`. `None`: the budget has less left.
    pub(super) fn take(&self, bytes: usize) -> Option<Share> {
        let mut share = self.share();
        share.grow(bytes).then_some(share)
    }

    #[cfg(test)]
    pub(super) fn left(&self) -> usize {
        self.0.available_permits() * GRAIN
    }
}

impl Share {
    /// Grows to at least `bytes`. False: the budget has less left, and the share stays as it was.
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        let grains = bytes.div_ceil(GRAIN);
        let Some(more) = grains.checked_sub(self.grains).filter(|more| *more > 0) else {
            return true;
        };
        let Ok(permits) = u32::try_from(more) else {
            return false;
        };
        match self.budget.0.clone().try_acquire_many_owned(permits) {
            Ok(permit) => {
                self.permits.push(permit);
                self.grains = grains;
                true
            }
            Err(_) => false,
        }
    }

    /// Ties the share to bytes: the last one of their clones returns it.
    pub(super) fn hold(self, bytes: impl AsRef<[u8]> + Send + 'static) -> Bytes {
        Bytes::from_owner(Held {
            bytes,
            _share: self,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_end_with_the_last_clone_of_their_bytes() {
        let budget = Budget::new(10 << 10);
        let mut share = budget.take(1).unwrap();
        assert!(share.grow(1 << 10) && share.grow(4 << 10));
        assert!(!share.grow(11 << 10));
        assert_eq!(budget.left(), 6 << 10);
        assert!(budget.take(7 << 10).is_none());
        let bytes = share.hold(vec![1, 2, 3]);
        let part = bytes.slice(1..);
        drop(bytes);
        assert_eq!((part.as_ref(), budget.left()), (&[2, 3][..], 6 << 10));
        drop(part);
        assert_eq!(budget.left(), 10 << 10);
    }
}
