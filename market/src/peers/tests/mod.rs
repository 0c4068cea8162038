mod declaring;
mod model;
mod operations;
mod persistence;
mod timeouts;

use super::*;
use crate::store::{Batch, Failing, Memory, Store};
use std::sync::{Arc, Mutex};

pub(super) type Id = [u8; 32];
pub(super) type Machine = PeerStateMachine<Id, Arc<Memory>>;

pub(super) const SECOND: u64 = 1_000_000_000;
pub(super) const PREFIX: &[u8] = b"peers:";

pub(super) fn id(n: u8) -> Id {
    [n; 32]
}

pub(super) fn prepare(setup: &Setup, store: &Arc<Memory>) -> Unstarted<Id, Arc<Memory>> {
    PeerStateMachine::prepare(setup, Arc::clone(store), PREFIX)
}

pub(super) fn start(setup: &Setup, store: &Arc<Memory>) -> Machine {
    prepare(setup, store).start(0).unwrap()
}

pub(super) fn encode_u64(value: &u64) -> Vec<u8> {
    value.to_be_bytes().to_vec()
}

pub(super) fn decode_u64(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

/// Returns the first byte of each id that has a stored record.
pub(super) fn stored(store: &impl Store) -> Vec<u8> {
    let mut found = Vec::new();
    let mut each = |key: &[u8], _: &[u8]| {
        found.push(key[PREFIX.len()]);
        std::ops::ControlFlow::Continue(())
    };
    store.scan(PREFIX, &[], &mut each).unwrap();
    found
}

/// Log of callbacks, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(super) fn add(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    pub(super) fn follow_state<S: Store>(&self, machine: &mut Unstarted<Id, S>, mask: &Flags) {
        let log = self.clone();
        machine
            .subscribe_state(mask, move |_, id, old, new| {
                log.add(format!("{}: {old} -> {new}", id[0]));
                Ok(())
            })
            .unwrap();
    }

    pub(super) fn follow_field<S: Store>(&self, machine: &mut Unstarted<Id, S>, of: &Field<u64>) {
        let log = self.clone();
        machine
            .subscribe_field(of, move |_, id, state, old, new| {
                log.add(format!("{}{state}: {old:?} -> {new:?}", id[0]));
                Ok(())
            })
            .unwrap();
    }
}
