//! Capacities that the operator has set for clients, connected or not.

use super::error::OperatorError;
use crate::{
    balance::error::LoadBalanceError,
    id::PeerId,
    store::interface::{Batch, Store},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
};

const CAPACITY: &[u8] = b"capacity:";

/// Stored capacities by client. A client gets its capacity when it connects, as far as its priority allows.
#[derive(Debug)]
pub(super) struct AssignedCapacities<Id> {
    prefix: Vec<u8>,
    by_client: BTreeMap<Id, u64>,
}

impl<Id: PeerId> AssignedCapacities<Id> {
    pub(super) fn load(store: &impl Store, prefix: &[u8]) -> Result<Self, OperatorError> {
        let prefix = [prefix, CAPACITY].concat();
        let (mut by_client, mut damaged) = (BTreeMap::new(), None);
        store.scan(&prefix, &[], &mut |key, bytes| {
            let id = Id::try_from(key.get(prefix.len()..).unwrap_or_default());
            match (id, <[u8; 8]>::try_from(bytes)) {
                (Ok(id), Ok(capacity)) => by_client.insert(id, u64::from_be_bytes(capacity)),
                _ => {
                    damaged = Some(bytes.len());
                    return ControlFlow::Break(());
                }
            };
            ControlFlow::Continue(())
        })?;
        match damaged {
            Some(length) => Err(LoadBalanceError::Damaged { length }.into()),
            None => Ok(Self { prefix, by_client }),
        }
    }

    pub(super) fn get(&self, id: &Id) -> Option<u64> {
        self.by_client.get(id).copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Id, u64)> {
        self.by_client.iter().map(|(id, capacity)| (id, *capacity))
    }

    /// Adds writes for the clients to a batch; 0 removes the record.
    pub(super) fn put(&self, batch: &mut Batch, ids: &BTreeSet<Id>, capacity: u64) {
        for id in ids {
            let key = [&self.prefix, id.as_ref()].concat();
            match capacity {
                0 => batch.delete(key),
                _ => batch.put(key, capacity.to_be_bytes()),
            }
        }
    }

    /// Takes over what [`put`](Self::put) has stored.
    pub(super) fn set(&mut self, ids: &BTreeSet<Id>, capacity: u64) {
        for id in ids {
            match capacity {
                0 => self.by_client.remove(id),
                _ => self.by_client.insert(id.clone(), capacity),
            };
        }
    }
}
