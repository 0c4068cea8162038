//! The state of all nodes, and what may be done to it inside an operation.

use super::{
    flags::{Flags, ForeignFlags, OFFLINE},
    record,
    setup::{Field, FieldValue, Layout, Setup, Value},
    timers::Timers,
};
use crate::{id::NodeId, store::Batch};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

/// A running operation: reads, and changes whose callbacks run later in the same operation.
///
/// Reads show the newest state, which may be ahead of the change that a callback is told about.
#[derive(Debug)]
pub struct Ctx<'a, Id>(pub(super) &'a mut Core<Id>);

/// Why nothing was changed or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// The flags are of another set-up.
    #[error(
        "the flags belong to another set-up than the machine: use the flags its own set-up gave"
    )]
    ForeignFlags,
    /// The field is of another set-up.
    #[error(
        "the field belongs to another set-up than the machine: use the field its own set-up gave"
    )]
    ForeignField,
    /// Only the machine sets or resets the offline flag.
    #[error("the flag \"offline\" is the machine's own: start or stop the machine instead")]
    OfflineFlag,
}

impl From<ForeignFlags> for ChangeError {
    fn from(_: ForeignFlags) -> Self {
        Self::ForeignFlags
    }
}

impl<Id: NodeId> Ctx<'_, Id> {
    /// The machine's time, of which [`NodeStateMachine::advance`](super::NodeStateMachine::advance) tells it.
    pub const fn now_ns(&self) -> u64 {
        self.0.now
    }

    /// The node's flags: none, if the machine does not know it.
    pub fn state(&self, id: &Id) -> Flags {
        self.0.state(id)
    }

    /// The node's value of a field, if it has one.
    pub fn field<T: FieldValue>(
        &self,
        id: &Id,
        field: &Field<T>,
    ) -> Result<Option<Arc<T>>, ChangeError> {
        self.0.field(id, field)
    }

    /// The nodes that have all flags of `require` and none of `exclude`, in order of their ids, with all their flags.
    pub fn nodes(
        &self,
        require: &Flags,
        exclude: &Flags,
    ) -> Result<impl Iterator<Item = (&Id, Flags)>, ChangeError> {
        self.0.nodes(require, exclude)
    }

    /// Resets the flags of `reset`, then sets those of `set`.
    ///
    /// Timers of all these flags are cancelled. With a timeout, the flags of `set` are reset again
    /// after it unless they are set or reset before; a moment after the year 2554 never comes.
    ///
    /// A node that has no flags left is forgotten with its fields, stored ones included.
    pub fn set_state(
        &mut self,
        id: &Id,
        set: &Flags,
        reset: &Flags,
        timeout_ns: Option<u64>,
    ) -> Result<(), ChangeError> {
        let set = self.0.changeable(set)?;
        let reset = self.0.changeable(reset)?;
        self.0.set_state(id, set, reset, timeout_ns);
        Ok(())
    }

    /// Sets or, with `None`, removes a field. Does nothing for a node without flags.
    pub fn set_field<T: FieldValue>(
        &mut self,
        id: &Id,
        field: &Field<T>,
        value: Option<T>,
    ) -> Result<(), ChangeError> {
        self.0.set_field(id, field, value)
    }

    /// Resets those of `flags` that the node has after `timeout_ns`, instead of when they would be otherwise.
    pub fn add_timeout(
        &mut self,
        id: &Id,
        flags: &Flags,
        timeout_ns: u64,
    ) -> Result<(), ChangeError> {
        let mask = self.0.changeable(flags)? & self.0.bits(id);
        self.0.set_timer(id, mask, timeout_ns);
        Ok(())
    }
}

/// A change that subscribers have not been told yet.
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
        /// The state at the moment of the change.
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
    nodes: BTreeMap<Id, Node>,
    /// Forgotten nodes whose stored images are still to be removed.
    discarded: BTreeSet<Id>,
}

#[derive(Debug)]
struct Node {
    state: u64,
    fields: BTreeMap<usize, Value>,
    /// Whether the store has an image of it.
    stored: bool,
    /// Whether that image may be out of date.
    dirty: bool,
}

impl<Id: NodeId> Core<Id> {
    pub(super) fn new(setup: &Setup, now: u64) -> Self {
        Self {
            layout: Arc::clone(&setup.0),
            now,
            timers: Timers::new(),
            queue: VecDeque::new(),
            nodes: BTreeMap::new(),
            discarded: BTreeSet::new(),
        }
    }

    pub(super) fn load(&mut self, id: Id, state: u64, fields: BTreeMap<usize, Value>) {
        let node = Node {
            state,
            fields,
            stored: true,
            dirty: false,
        };
        self.nodes.insert(id, node);
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
        let value = self.nodes.get(id).and_then(|node| node.fields.get(&index));
        Ok(value.and_then(|value| Arc::clone(value).downcast().ok()))
    }

    pub(super) fn nodes(
        &self,
        require: &Flags,
        exclude: &Flags,
    ) -> Result<impl Iterator<Item = (&Id, Flags)>, ChangeError> {
        let require = self.own(require)?;
        let exclude = self.own(exclude)?;
        let chosen = self
            .nodes
            .iter()
            .filter(move |(_, node)| node.state & require == require && node.state & exclude == 0);
        Ok(chosen.map(|(id, node)| (id, self.layout.flags(node.state))))
    }

    /// The bits of flags of the machine's set-up.
    pub(super) fn own(&self, flags: &Flags) -> Result<u64, ChangeError> {
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
        let node = self.nodes.entry(id.clone()).or_insert_with(|| Node {
            state: 0,
            fields: BTreeMap::new(),
            stored: false,
            dirty: true,
        });
        node.state = new;
        node.dirty |= (old ^ new | cancelled) & self.layout.persistent != 0;
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
        for (id, node) in &self.nodes {
            let (old, new) = match online {
                true => (OFFLINE, node.state),
                false => (node.state, OFFLINE),
            };
            let state = Event::State {
                id: id.clone(),
                old,
                new,
            };
            self.queue.push_back(state);
            for (index, value) in &node.fields {
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

    /// The nodes that changed since they were loaded or saved.
    pub(super) fn dirty(&self) -> Vec<Id> {
        let dirty = self.nodes.iter().filter(|(_, node)| node.dirty);
        dirty.map(|(id, _)| id.clone()).collect()
    }

    /// What must be written so that the store holds the images of these nodes and none of forgotten ones.
    pub(super) fn image(&self, ids: &[Id], key: impl Fn(&Id) -> Vec<u8>) -> Batch {
        let mut batch = Batch::new();
        for id in &self.discarded {
            batch.delete(key(id));
        }
        for (id, node) in ids.iter().filter_map(|id| Some((id, self.nodes.get(id)?))) {
            if !node.dirty {
                continue;
            }
            match self.stored_state(id, node) {
                0 if node.stored => batch.delete(key(id)),
                0 => {}
                state => batch.put(key(id), record::encode(&self.layout, state, &node.fields)),
            }
        }
        batch
    }

    /// Remembers that what [`image`](Self::image) gave is in the store.
    pub(super) fn written(&mut self, ids: &[Id]) {
        self.discarded.clear();
        for id in ids {
            let Some(node) = self.nodes.get(id).filter(|node| node.dirty) else {
                continue;
            };
            let stored = self.stored_state(id, node) != 0;
            if let Some(node) = self.nodes.get_mut(id) {
                node.stored = stored;
                node.dirty = false;
            }
        }
    }

    fn bits(&self, id: &Id) -> u64 {
        self.nodes.get(id).map_or(0, |node| node.state)
    }

    /// A flag that will soon be reset is not worth storing.
    fn stored_state(&self, id: &Id, node: &Node) -> u64 {
        node.state & self.layout.persistent & !self.timers.flags(id)
    }

    fn changeable(&self, flags: &Flags) -> Result<u64, ChangeError> {
        let bits = self.own(flags)?;
        if bits & OFFLINE != 0 {
            return Err(ChangeError::OfflineFlag);
        }
        Ok(bits)
    }

    /// Forgets a node whose last flag was reset. Its image is removed at the end of the operation, even if the node
    /// comes back before.
    fn discard(&mut self, id: &Id) {
        let Some(node) = self.nodes.remove(id) else {
            return;
        };
        if node.stored {
            self.discarded.insert(id.clone());
        }
        self.queue.push_back(Event::State {
            id: id.clone(),
            old: node.state,
            new: 0,
        });
        for (index, value) in node.fields {
            self.queue.push_back(Event::Field {
                id: id.clone(),
                index,
                state: 0,
                old: Some(value),
                new: None,
            });
        }
    }

    fn set_timer(&mut self, id: &Id, mask: u64, timeout: u64) {
        if mask == 0 {
            return;
        }
        self.timers.cancel(id, mask);
        self.timers.set(id, mask, self.now.saturating_add(timeout));
        if let Some(node) = self.nodes.get_mut(id) {
            node.dirty |= mask & self.layout.persistent != 0;
        }
    }

    fn set_field<T: FieldValue>(
        &mut self,
        id: &Id,
        field: &Field<T>,
        value: Option<T>,
    ) -> Result<(), ChangeError> {
        let index = self.index(field)?;
        let Some(node) = self.nodes.get_mut(id) else {
            return Ok(());
        };
        let old = node.fields.get(&index);
        if old.and_then(|old| old.downcast_ref()) == value.as_ref() {
            return Ok(());
        }
        let new = value.map(|value| Arc::new(value) as Value);
        let old = match &new {
            Some(new) => node.fields.insert(index, Arc::clone(new)),
            None => node.fields.remove(&index),
        };
        let spec = self.layout.fields.get(index);
        node.dirty |= spec.is_some_and(|spec| spec.codec.is_some());
        let state = node.state;
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
