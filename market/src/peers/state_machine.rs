//! The machine around the state: operations, time, storage.

use super::{
    context::Ctx,
    core::Core,
    error::{ChangeError, OperationError},
    flags::Flags,
    record::{self, Stored},
    setup::{Field, FieldValue, Setup},
    subscribers::{FieldCallback, Subscribers},
};
use crate::{
    id::PeerId,
    store::interface::{Batch, Store, StoreError},
};
use std::{fmt, ops::ControlFlow, sync::Arc};

/// A machine before its start, which takes subscriptions.
pub struct Unstarted<Id, S> {
    store: S,
    prefix: Vec<u8>,
    core: Core<Id>,
    subscribers: Subscribers<Id>,
}

/// Connects the parts of a program that work on the same peers; see the [module](super).
pub struct PeerStateMachine<Id, S> {
    store: S,
    prefix: Vec<u8>,
    core: Core<Id>,
    subscribers: Subscribers<Id>,
    loaded: Loaded,
    stopped: bool,
}

/// Counts of the records that a machine has found at its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loaded {
    /// Loaded peers.
    pub peers: usize,
    /// Deleted records of another setup version.
    pub deleted: usize,
    /// Unreadable records, and records with a field that its decoder rejected. They stay in the store.
    pub skipped: usize,
}

impl<Id: PeerId, S: Store> PeerStateMachine<Id, S> {
    /// Returns a machine that keeps its peers under `prefix` in a store that other parts may share.
    pub fn prepare(setup: &Setup, store: S, prefix: &[u8]) -> Unstarted<Id, S> {
        Unstarted {
            store,
            prefix: prefix.to_vec(),
            core: Core::new(setup, 0),
            subscribers: Subscribers {
                state: Vec::new(),
                fields: Vec::new(),
            },
        }
    }

    /// Returns the counts of the records found at the start.
    pub const fn loaded(&self) -> Loaded {
        self.loaded
    }

    /// Runs `f`, and then all callbacks of its changes and of their changes, each cause before its effects.
    ///
    /// If `f` fails, its earlier changes stay and their callbacks run. Callbacks that always cause further changes
    /// never end: their author must prevent that.
    ///
    /// # Errors
    ///
    /// [`OperationError`] if the machine has stopped, `f` or a callback fails, or the store fails.
    pub fn operation<R>(
        &mut self,
        f: impl FnOnce(&mut Ctx<'_, Id>) -> Result<R, ChangeError>,
    ) -> Result<R, OperationError> {
        self.check_open()?;
        let result = f(&mut Ctx(&mut self.core));
        let called = self.call_back();
        self.forget_discarded()?;
        let result = result?;
        called?;
        Ok(result)
    }

    /// Runs an operation of one [`Ctx::set_state`].
    ///
    /// # Errors
    ///
    /// Those of [`operation`](Self::operation).
    pub fn set_state(
        &mut self,
        id: &Id,
        set: &Flags,
        reset: &Flags,
        timeout_ns: Option<u64>,
    ) -> Result<(), OperationError> {
        self.operation(|ctx| ctx.set_state(id, set, reset, timeout_ns))
    }

    /// Runs an operation of one [`Ctx::set_field`].
    ///
    /// # Errors
    ///
    /// Those of [`operation`](Self::operation).
    pub fn set_field<T: FieldValue>(
        &mut self,
        id: &Id,
        field: &Field<T>,
        value: Option<T>,
    ) -> Result<(), OperationError> {
        self.operation(|ctx| ctx.set_field(id, field, value))
    }

    /// Runs an operation of one [`Ctx::add_timeout`].
    ///
    /// # Errors
    ///
    /// Those of [`operation`](Self::operation).
    pub fn add_timeout(
        &mut self,
        id: &Id,
        flags: &Flags,
        timeout_ns: u64,
    ) -> Result<(), OperationError> {
        self.operation(|ctx| ctx.add_timeout(id, flags, timeout_ns))
    }

    /// Advances the machine's time to `now_ns`, never back, and resets flags at their timeouts: in the order of the
    /// timeouts, then of setting them, each in an operation at its own moment.
    ///
    /// # Errors
    ///
    /// The first error, after all timeouts until `now_ns` are done.
    pub fn advance(&mut self, now_ns: u64) -> Result<(), OperationError> {
        self.check_open()?;
        let mut result = Ok(());
        while let Some((at, id, flags)) = self.core.timers.pop(now_ns) {
            self.core.now = self.core.now.max(at);
            let fired = self.operation(|ctx| {
                ctx.0.set_state(&id, 0, flags, None);
                Ok(())
            });
            result = result.and(fired);
        }
        self.core.now = self.core.now.max(now_ns);
        result
    }

    /// Returns the moment of the next timeout.
    pub fn next_timeout(&self) -> Option<u64> {
        self.core.timers.next()
    }

    /// Returns the peer's flags, empty for an unknown peer.
    ///
    /// # Errors
    ///
    /// [`OperationError::Stopped`].
    pub fn state(&self, id: &Id) -> Result<Flags, OperationError> {
        self.check_open()?;
        Ok(self.core.state(id))
    }

    /// Returns the peer's value of a field, if any.
    ///
    /// # Errors
    ///
    /// [`OperationError`] for a field of another setup or a stopped machine.
    pub fn field<T: FieldValue>(
        &self,
        id: &Id,
        field: &Field<T>,
    ) -> Result<Option<Arc<T>>, OperationError> {
        self.check_open()?;
        Ok(self.core.field(id, field)?)
    }

    /// Iterates over the peers that have all flags of `require` and none of `exclude`, in order of their ids, with
    /// all their flags.
    ///
    /// # Errors
    ///
    /// [`OperationError`] for flags of another setup or a stopped machine.
    pub fn peers(
        &self,
        require: &Flags,
        exclude: &Flags,
    ) -> Result<impl Iterator<Item = (&Id, Flags)>, OperationError> {
        self.check_open()?;
        Ok(self.core.peers(require, exclude)?)
    }

    /// Saves a peer that has changed since it was loaded or saved.
    ///
    /// # Errors
    ///
    /// [`OperationError`] if the store fails or the machine has stopped.
    pub fn persist(&mut self, id: &Id) -> Result<(), OperationError> {
        self.check_open()?;
        Ok(self.save(std::slice::from_ref(id))?)
    }

    /// Saves every peer that has changed since it was loaded or saved.
    ///
    /// # Errors
    ///
    /// [`OperationError`] if the store fails or the machine has stopped.
    pub fn persist_all(&mut self) -> Result<(), OperationError> {
        self.check_open()?;
        Ok(self.save(&self.core.dirty())?)
    }

    /// Saves all changes, then reports to subscribers that every peer goes offline. Every later call fails with
    /// [`OperationError::Stopped`].
    ///
    /// Changes by these callbacks reach other callbacks as usual, and never the store.
    ///
    /// # Errors
    ///
    /// [`OperationError`]. If saving fails, the machine continues to run.
    pub fn stop(&mut self) -> Result<(), OperationError> {
        self.persist_all()?;
        self.stopped = true;
        self.core.announce(false);
        let called = self.call_back();
        self.core = Core::new(&Setup(Arc::clone(&self.core.layout)), self.core.now);
        Ok(called?)
    }

    const fn check_open(&self) -> Result<(), OperationError> {
        match self.stopped {
            true => Err(OperationError::Stopped),
            false => Ok(()),
        }
    }

    /// Runs callbacks breadth first: a callback's own changes come after all earlier changes.
    fn call_back(&mut self) -> Result<(), ChangeError> {
        let mut result = Ok(());
        while let Some(event) = self.core.queue.pop_front() {
            result = result.and(self.subscribers.notify(&mut self.core, &event));
        }
        result
    }

    fn forget_discarded(&mut self) -> Result<(), StoreError> {
        self.save(&[])
    }

    fn save(&mut self, ids: &[Id]) -> Result<(), StoreError> {
        let batch = self.core.image(ids, |id| key(&self.prefix, id));
        if !batch.is_empty() {
            self.store.write(&batch)?;
        }
        self.core.mark_written(ids);
        Ok(())
    }
}

impl<Id: PeerId, S: Store> Unstarted<Id, S> {
    /// Calls `callback` whenever a flag of `mask` changes, with the peer's flags before and after the change, limited
    /// to the mask.
    ///
    /// Callbacks of one change run in the order of subscription.
    ///
    /// # Errors
    ///
    /// [`ChangeError::ForeignFlags`].
    pub fn subscribe_state(
        &mut self,
        mask: &Flags,
        callback: impl FnMut(&mut Ctx<'_, Id>, &Id, &Flags, &Flags) -> Result<(), ChangeError>
        + Send
        + 'static,
    ) -> Result<(), ChangeError> {
        let mask = self.core.own_bits(mask)?;
        self.subscribers.state.push((mask, Box::new(callback)));
        Ok(())
    }

    /// Calls `callback` whenever the field changes, with the peer's flags at that moment and the values before and
    /// after.
    ///
    /// # Errors
    ///
    /// [`ChangeError::ForeignField`].
    pub fn subscribe_field<T: FieldValue>(
        &mut self,
        field: &Field<T>,
        mut callback: impl FnMut(
            &mut Ctx<'_, Id>,
            &Id,
            &Flags,
            Option<&T>,
            Option<&T>,
        ) -> Result<(), ChangeError>
        + Send
        + 'static,
    ) -> Result<(), ChangeError> {
        let index = self.core.index(field)?;
        let typed: FieldCallback<Id> = Box::new(move |ctx, id, state, old, new| {
            let old = old.and_then(|value| value.downcast_ref());
            let new = new.and_then(|value| value.downcast_ref());
            callback(ctx, id, state, old, new)
        });
        self.subscribers.fields.push((index, typed));
        Ok(())
    }

    /// Loads stored peers and starts at time `now_ns`. Callbacks bring every stored peer from offline to its state,
    /// and its fields from none to their values.
    ///
    /// # Errors
    ///
    /// [`OperationError`] if the store or a callback fails; the machine does not start.
    pub fn start(self, now_ns: u64) -> Result<PeerStateMachine<Id, S>, OperationError> {
        let mut machine = PeerStateMachine {
            core: self.core,
            subscribers: self.subscribers,
            store: self.store,
            prefix: self.prefix,
            loaded: Loaded::default(),
            stopped: false,
        };
        machine.core.now = now_ns;
        machine.load()?;
        machine.core.announce(true);
        machine.operation(|_| Ok(()))?;
        Ok(machine)
    }
}

impl<Id: PeerId, S: Store> PeerStateMachine<Id, S> {
    fn load(&mut self) -> Result<(), StoreError> {
        let (core, loaded, prefix) = (&mut self.core, &mut self.loaded, self.prefix.len());
        let mut outdated = Batch::new();
        self.store.scan(&self.prefix, &[], &mut |key, value| {
            let stored = record::decode(&core.layout, value);
            let id = key.get(prefix..).and_then(|id| Id::try_from(id).ok());
            match (stored, id) {
                (Stored::Outdated, _) => {
                    outdated.delete(key);
                    loaded.deleted += 1;
                }
                (Stored::Peer(state, fields), Some(id)) => {
                    core.load(id, state, fields);
                    loaded.peers += 1;
                }
                _ => loaded.skipped += 1,
            }
            ControlFlow::Continue(())
        })?;
        if !outdated.is_empty() {
            self.store.write(&outdated)?;
        }
        Ok(())
    }
}

fn key<Id: PeerId>(prefix: &[u8], id: &Id) -> Vec<u8> {
    [prefix, id.as_ref()].concat()
}

impl<Id: PeerId, S> fmt::Debug for Unstarted<Id, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unstarted").finish_non_exhaustive()
    }
}

impl<Id: PeerId, S> fmt::Debug for PeerStateMachine<Id, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerStateMachine")
            .field("core", &self.core)
            .field("stopped", &self.stopped)
            .finish_non_exhaustive()
    }
}
