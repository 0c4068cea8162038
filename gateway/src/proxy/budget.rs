//! The memory of all bodies together: each body is bounded by itself, and so are the sum of all and that of each network's
//! uploads.

use bytes::Bytes;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The bytes of one permit.
const GRAIN: usize = 1 << 10;

/// A number of bytes that bodies share. Nobody waits for a part of it: waiting bodies would hold what others wait for.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    all: Arc<Semaphore>,
    networks: Networks,
    /// The grains of all uploads of one network.
    most: usize,
}

/// The grains of each network's uploads.
type Networks = Arc<Mutex<HashMap<Vec<u8>, usize>>>;

/// A network may have this part of the memory for its uploads: what comes before a payment must not take all.
const PART: usize = 4;

/// A part of the budget. Returned when dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Budget,
    permits: Vec<OwnedSemaphorePermit>,
    grains: usize,
    /// Whose upload it is, if the uploads of its network are bounded.
    network: Option<Vec<u8>>,
}

impl Drop for Share {
    fn drop(&mut self) {
        let Some(network) = self.network.take() else {
            return;
        };
        let mut networks = locked(&self.budget.networks);
        if let Some(used) = networks.get_mut(&network) {
            *used = used.saturating_sub(self.grains);
            if *used == 0 {
                networks.remove(&network);
            }
        }
    }
}

fn locked(networks: &Networks) -> MutexGuard<'_, HashMap<Vec<u8>, usize>> {
    networks.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// A budget of `bytes`, of which the uploads of a network may take a quarter, and one upload of `largest` bytes in any case.
    pub(super) fn new(bytes: usize, largest: usize) -> Self {
        let most = (bytes / PART).max(largest);
        Self {
            all: Arc::new(Semaphore::new(bytes / GRAIN)),
            networks: Networks::default(),
            most: most.div_ceil(GRAIN),
        }
    }

    /// Returns a share without bytes, for an upload from a network. `None`: its uploads are not bounded apart.
    pub(super) fn share(&self, network: Option<Vec<u8>>) -> Share {
        Share {
            budget: self.clone(),
            permits: Vec::new(),
            grains: 0,
            network,
        }
    }

    /// Takes a share of `bytes`. `None`: the budget has less left.
    pub(super) fn take(&self, bytes: usize) -> Option<Share> {
        let mut share = self.share(None);
        share.grow(bytes).then_some(share)
    }

    #[cfg(test)]
    pub(super) fn left(&self) -> usize {
        self.all.available_permits() * GRAIN
    }
}

impl Share {
    /// Grows to at least `bytes`. False: the budget, or its part for the network, has less left, and the share stays as it was.
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        let grains = bytes.div_ceil(GRAIN);
        let Some(more) = grains.checked_sub(self.grains).filter(|more| *more > 0) else {
            return true;
        };
        let Ok(permits) = u32::try_from(more) else {
            return false;
        };
        let Some(network) = &self.network else {
            return self.acquire(permits, grains);
        };
        let networks = Arc::clone(&self.budget.networks);
        let mut networks = locked(&networks);
        let used = networks.get(network).copied().unwrap_or_default();
        let (network, used) = (network.clone(), used.saturating_add(more));
        let is_taken = used <= self.budget.most && self.acquire(permits, grains);
        if is_taken {
            networks.insert(network, used);
        }
        is_taken
    }

    fn acquire(&mut self, permits: u32, grains: usize) -> bool {
        let taken = self.budget.all.clone().try_acquire_many_owned(permits);
        taken.is_ok_and(|permit| {
            self.permits.push(permit);
            self.grains = grains;
            true
        })
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
        let budget = Budget::new(10 << 10, 0);
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

    #[test]
    fn uploads_of_a_network_take_a_quarter_and_leave_the_rest() {
        let budget = Budget::new(16 << 10, 0);
        let (own, other) = (Some(vec![1]), Some(vec![2]));
        let (mut first, mut second) = (budget.share(own.clone()), budget.share(own.clone()));
        assert!(first.grow(3 << 10) && !second.grow(2 << 10) && second.grow(1 << 10));
        assert!(!first.grow(4 << 10), "both together have a quarter");
        assert!(budget.share(other).grow(4 << 10));
        assert!(budget.take(12 << 10).is_some());
        drop(first);
        assert!(second.grow(4 << 10));
        drop(second);
        assert_eq!(budget.left(), 16 << 10);
        assert!(locked(&budget.networks).is_empty());
        // One upload of the largest size fits.
        assert!(Budget::new(16 << 10, 8 << 10).share(own).grow(8 << 10));
    }
}
