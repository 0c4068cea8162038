//! State of all peers.

use super::{
    error::ChangeError,
    flags::{Flags, OFFLINE},
    record,
    setup::{Field, FieldValue, Layout, Setup, Value},
    timers::Timers,
};
use crate::{id::PeerId, store::interface::Batch};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

/// A change whose callbacks have not run yet.
#[derive(Debug)]
pub(super) enum Event<Id> {
    State {
        id: Id,
        old: u64,
        new: u64,
    },
    Field {
        id: Id,
        index: usize,
        /// State at the moment of the change.
        state: u64,
        old: Option<Value>,
        new: Option<Value>,
    },
}

#[derive(Debug)]
pub(super) struct Core<Id> {
    pub(super) layout: Arc<Layout>,
    pub(super) now: u64,
    pub(super) timers: Timers<Id>,
    pub(super) queue: VecDeque<Event<Id>>,
    peers: BTreeMap<Id, Peer>,
    /// Removed peers whose stored records must still be deleted.
    discarded: BTreeSet<Id>,
}

#[derive(Debug)]
struct Peer {
    state: u64,
    fields: BTreeMap<usize, Value>,
    /// True if the store has a record of the peer.
    stored: bool,
    /// True if the stored record may be stale.
    dirty: bool,
}

impl<Id: PeerId> Core<Id> {
    pub(super) fn new(setup: &Setup, now: u64) -> Self {
        Self {
            layout: Arc::clone(&setup.0),
            now,
            timers: Timers::new(),
            queue: VecDeque::new(),
            peers: BTreeMap::new(),
            discarded: BTreeSet::new(),
        }
    }

    pub(super) fn load(&mut self, id: Id, state: u64, fields: BTreeMap<usize, Value>) {
        let peer = Peer {
            state,
            fields,
            stored: true,
            dirty: false,
        };
        self.peers.insert(id, peer);
    }

    pub(super) fn state(&self, id: &Id) -> Flags {
        self.layout.flags(self.bits(id))
    }

    pub(super) fn field<T: FieldValue>(
        &self,
        id: &Id,
        field: &Field<T>,
    ) -> Result<Option<Arc<T>>, ChangeError> {
        let index = self.index(field)?;
        let value = self.peers.get(id).and_then(|peer| peer.fields.get(&index));
        Ok(value.and_then(|value| Arc::clone(value).downcast().ok()))
    }

    pub(super) fn peers(
        &self,
        require: &Flags,
        exclude: &Flags,
    ) -> Result<impl Iterator<Item = (&Id, Flags)>, ChangeError> {
        let require = self.own_bits(require)?;
        let exclude = self.own_bits(exclude)?;
        let chosen = self
            .peers
            .iter()
            .filter(move |(_, peer)| peer.state & require == require && peer.state & exclude == 0);
        Ok(chosen.map(|(id, peer)| (id, self.layout.flags(peer.state))))
    }

    /// Returns the bits of flags of the machine's own setup.
    pub(super) fn own_bits(&self, flags: &Flags) -> Result<u64, ChangeError> {
        let bits = flags.bits_in(&self.layout.names);
        bits.ok_or(ChangeError::ForeignFlags)
    }

    pub(super) fn index<T>(&self, field: &Field<T>) -> Result<usize, ChangeError> {
        self.layout.index(field).ok_or(ChangeError::ForeignField)
    }

    pub(super) fn set_state(&mut self, id: &Id, set: u64, reset: u64, timeout: Option<u64>) {
        let old = self.bits(id);
        let new = (old & !reset) | set;
        let cancelled = self.timers.cancel(id, set | reset);
        if new == 0 {
            self.discard(id);
            return;
        }
        let peer = self.peers.entry(id.clone()).or_insert_with(|| Peer {
            state: 0,
            fields: BTreeMap::new(),
            stored: false,
            dirty: true,
        });
        peer.state = new;
        peer.dirty |= (old ^ new | cancelled) & self.layout.persistent != 0;
        if old != new {
            let id = id.clone();
            self.queue.push_back(Event::State { id, old, new });
        }
        if let Some(timeout) = timeout {
            self.set_timer(id, set, timeout);
        }
    }

    /// Queues the callbacks of a machine that starts (`online`) or stops.
    pub(super) fn announce(&mut self, online: bool) {
        for (id, peer) in &self.peers {
            let (old, new) = match online {
                true => (OFFLINE, peer.state),
                false => (peer.state, OFFLINE),
            };
            let state = Event::State {
                id: id.clone(),
                old,
                new,
            };
            self.queue.push_back(state);
            for (index, value) in &peer.fields {
                let value = Some(Arc::clone(value));
                let (old, new) = match online {
                    true => (None, value),
                    false => (value, None),
                };
                self.queue.push_back(Event::Field {
                    id: id.clone(),
                    index: *index,
                    state: OFFLINE,
                    old,
                    new,
                });
            }
        }
    }

    /// Returns the peers that have changed since they were loaded or saved.
    pub(super) fn dirty(&self) -> Vec<Id> {
        let dirty = self.peers.iter().filter(|(_, peer)| peer.dirty);
        dirty.map(|(id, _)| id.clone()).collect()
    }

    /// Returns the writes after which the store holds the records of these peers and no record of removed ones.
    pub(super) fn image(&self, ids: &[Id], key: impl Fn(&Id) -> Vec<u8>) -> Batch {
        let mut batch = Batch::new();
        for id in &self.discarded {
            batch.delete(key(id));
        }
        for (id, peer) in ids.iter().filter_map(|id| Some((id, self.peers.get(id)?))) {
            if !peer.dirty {
                continue;
            }
            match self.stored_state(id, peer) {
                0 if peer.stored => batch.delete(key(id)),
                0 => {}
                state => batch.put(key(id), record::encode(&self.layout, state, &peer.fields)),
            }
        }
        batch
    }

    /// Notes that the writes of [`image`](Self::image) are in the store.
    pub(super) fn mark_written(&mut self, ids: &[Id]) {
        self.discarded.clear();
        for id in ids {
            let Some(peer) = self.peers.get(id).filter(|peer| peer.dirty) else {
                continue;
            };
            let stored = self.stored_state(id, peer) != 0;
            if let Some(peer) = self.peers.get_mut(id) {
                peer.stored = stored;
                peer.dirty = false;
            }
        }
    }

    pub(super) fn bits(&self, id: &Id) -> u64 {
        self.peers.get(id).map_or(0, |peer| peer.state)
    }

    /// Returns the flags to store. A flag with a timer is not stored.
    fn stored_state(&self, id: &Id, peer: &Peer) -> u64 {
        peer.state & self.layout.persistent & !self.timers.flags(id)
    }

    pub(super) fn changeable(&self, flags: &Flags) -> Result<u64, ChangeError> {
        let bits = self.own_bits(flags)?;
        if bits & OFFLINE != 0 {
            return Err(ChangeError::OfflineFlag);
        }
        Ok(bits)
    }

    /// Removes a peer whose last flag was reset. The stored record is deleted at the end of the operation, even if
    /// the peer returns before.
    fn discard(&mut self, id: &Id) {
        let Some(peer) = self.peers.remove(id) else {
            return;
        };
        if peer.stored {
            self.discarded.insert(id.clone());
        }
        self.queue.push_back(Event::State {
            id: id.clone(),
            old: peer.state,
            new: 0,
        });
        for (index, value) in peer.fields {
            self.queue.push_back(Event::Field {
                id: id.clone(),
                index,
                state: 0,
                old: Some(value),
                new: None,
            });
        }
    }

    pub(super) fn set_timer(&mut self, id: &Id, mask: u64, timeout: u64) {
        if mask == 0 {
            return;
        }
        self.timers.cancel(id, mask);
        self.timers.set(id, mask, self.now.saturating_add(timeout));
        if let Some(peer) = self.peers.get_mut(id) {
            peer.dirty |= mask & self.layout.persistent != 0;
        }
    }

    pub(super) fn set_field<T: FieldValue>(
        &mut self,
        id: &Id,
        field: &Field<T>,
        value: Option<T>,
    ) -> Result<(), ChangeError> {
        let index = self.index(field)?;
        let Some(peer) = self.peers.get_mut(id) else {
            return Ok(());
        };
        let old = peer.fields.get(&index);
        if old.and_then(|old| old.downcast_ref()) == value.as_ref() {
            return Ok(());
        }
        let new = value.map(|value| Arc::new(value) as Value);
        let old = match &new {
            Some(new) => peer.fields.insert(index, Arc::clone(new)),
            None => peer.fields.remove(&index),
        };
        let spec = self.layout.fields.get(index);
        peer.dirty |= spec.is_some_and(|spec| spec.codec.is_some());
        let state = peer.state;
        self.queue.push_back(Event::Field {
            id: id.clone(),
            index,
            state,
            old,
            new,
        });
        Ok(())
    }
}
