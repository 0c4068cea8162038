//! The machine around the state: subscriptions, operations, time, the store.

use super::{
    context::{ChangeError, Core, Ctx, Event},
    flags::Flags,
    record::{self, Stored},
    setup::{Field, FieldValue, Setup, Value},
};
use crate::{
    id::NodeId,
    store::{Batch, Store, StoreError},
};
use std::{fmt, ops::ControlFlow, sync::Arc};

type StateCallback<Id> =
    Box<dyn FnMut(&mut Ctx<'_, Id>, &Id, &Flags, &Flags) -> Result<(), ChangeError> + Send>;
type FieldCallback<Id> = Box<
    dyn FnMut(
            &mut Ctx<'_, Id>,
            &Id,
            &Flags,
            Option<&Value>,
            Option<&Value>,
        ) -> Result<(), ChangeError>
        + Send,
>;

struct Subscribers<Id> {
    state: Vec<(u64, StateCallback<Id>)>,
    fields: Vec<(usize, FieldCallback<Id>)>,
}

/// A machine that does not run yet. This is the time to subscribe.
pub struct Unstarted<Id, S> {
    store: S,
    prefix: Vec<u8>,
    core: Core<Id>,
    subscribers: Subscribers<Id>,
}

/// Connects the parts of a program that work on the same nodes; see the [module](super).
pub struct NodeStateMachine<Id, S> {
    store: S,
    prefix: Vec<u8>,
    core: Core<Id>,
    subscribers: Subscribers<Id>,
    loaded: Loaded,
    closed: bool,
}

/// What a machine found in its store when it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// Nodes that are here again.
    pub nodes: usize,
    /// Entries of another version of the set-up, which were deleted.
    pub deleted: usize,
    /// Entries that could not be read, or whose decoder refused a field. They stay where they are.
    pub skipped: usize,
}

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperationError {
    /// The machine has stopped.
    #[error("the machine has stopped: start another one on the same store")]
    Closed,
    /// The operation or the first of its callbacks to fail. What was changed before stays, and all other callbacks
    /// were made.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The operation is done, but what it should have written may not be. The next write includes it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<Id: NodeId, S: Store> NodeStateMachine<Id, S> {
    /// A machine that keeps its nodes under `prefix` in a store that others may share.
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

    /// What the machine found in its store.
    pub const fn loaded(&self) -> Loaded {
        self.loaded
    }

    /// Runs `f` and then, in the order of what caused them, all callbacks of its changes and of theirs.
    ///
    /// If `f` fails, the changes it had made before stay, and their callbacks are made. Callbacks that always cause
    /// further changes never end: that they do end is up to whoever writes them.
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

    /// An operation of one [`Ctx::set_state`].
    pub fn set_state(
        &mut self,
        id: &Id,
        set: &Flags,
        reset: &Flags,
        timeout_ns: Option<u64>,
    ) -> Result<(), OperationError> {
        self.operation(|ctx| ctx.set_state(id, set, reset, timeout_ns))
    }

    /// An operation of one [`Ctx::set_field`].
    pub fn set_field<T: FieldValue>(
        &mut self,
        id: &Id,
        field: &Field<T>,
        value: Option<T>,
    ) -> Result<(), OperationError> {
        self.operation(|ctx| ctx.set_field(id, field, value))
    }

    /// An operation of one [`Ctx::add_timeout`].
    pub fn add_timeout(
        &mut self,
        id: &Id,
        flags: &Flags,
        timeout_ns: u64,
    ) -> Result<(), OperationError> {
        self.operation(|ctx| ctx.add_timeout(id, flags, timeout_ns))
    }

    /// Moves the machine's time to `now_ns`, unless it is later already, and resets the flags whose time is
    /// over: in the order in which they are due, then in which they were set, each in an operation at its own moment.
    ///
    /// Returns the first error, after everything that is due was done.
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

    /// When [`advance`](Self::advance) will next have something to do.
    pub fn next_timeout(&self) -> Option<u64> {
        self.core.timers.next()
    }

    /// The node's flags: none, if the machine does not know it.
    pub fn state(&self, id: &Id) -> Result<Flags, OperationError> {
        self.check_open()?;
        Ok(self.core.state(id))
    }

    /// The node's value of a field, if it has one.
    pub fn field<T: FieldValue>(
        &self,
        id: &Id,
        field: &Field<T>,
    ) -> Result<Option<Arc<T>>, OperationError> {
        self.check_open()?;
        Ok(self.core.field(id, field)?)
    }

    /// The nodes that have all flags of `require` and none of `exclude`, in order of their ids, with all their flags.
    pub fn nodes(
        &self,
        require: &Flags,
        exclude: &Flags,
    ) -> Result<impl Iterator<Item = (&Id, Flags)>, OperationError> {
        self.check_open()?;
        Ok(self.core.nodes(require, exclude)?)
    }

    /// Saves a node now, if it has changed since it was loaded or saved.
    pub fn persist(&mut self, id: &Id) -> Result<(), OperationError> {
        self.check_open()?;
        Ok(self.save(std::slice::from_ref(id))?)
    }

    /// Saves every node that has changed since it was loaded or saved.
    pub fn persist_all(&mut self) -> Result<(), OperationError> {
        self.check_open()?;
        Ok(self.save(&self.core.dirty())?)
    }

    /// Saves what has changed, then tells subscribers that every node goes offline. Afterwards everything else
    /// returns [`OperationError::Closed`].
    ///
    /// What callbacks change here goes to other callbacks as usual, and never to the store. If saving fails, the
    /// machine goes on as before.
    pub fn stop(&mut self) -> Result<(), OperationError> {
        self.persist_all()?;
        self.closed = true;
        self.core.announce(false);
        let called = self.call_back();
        self.core = Core::new(&Setup(Arc::clone(&self.core.layout)), self.core.now);
        Ok(called?)
    }

    const fn check_open(&self) -> Result<(), OperationError> {
        match self.closed {
            true => Err(OperationError::Closed),
            false => Ok(()),
        }
    }

    /// Makes callbacks breadth first: those that a callback causes come after all that were caused before.
    fn call_back(&mut self) -> Result<(), ChangeError> {
        let mut result = Ok(());
        while let Some(event) = self.core.queue.pop_front() {
            result = result.and(self.subscribers.tell(&mut self.core, &event));
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
        self.core.written(ids);
        Ok(())
    }
}

impl<Id: NodeId, S: Store> Unstarted<Id, S> {
    /// Calls `callback` whenever one of the flags of `mask` changes, with the node's flags before and after the change
    /// as far as they are in the mask.
    ///
    /// Callbacks of one change are made in the order of subscription.
    pub fn subscribe_state(
        &mut self,
        mask: &Flags,
        callback: impl FnMut(&mut Ctx<'_, Id>, &Id, &Flags, &Flags) -> Result<(), ChangeError>
        + Send
        + 'static,
    ) -> Result<(), ChangeError> {
        let mask = self.core.own(mask)?;
        self.subscribers.state.push((mask, Box::new(callback)));
        Ok(())
    }

    /// Calls `callback` whenever the field changes, with the node's flags at that moment and the value before and
    /// after.
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

    /// Loads what is stored and starts at time `now_ns` with callbacks that bring every stored node from
    /// offline to its state, and its fields from nothing to their values.
    ///
    /// # Errors
    ///
    /// If the store or one of these callbacks fails; then nothing has started.
    pub fn start(self, now_ns: u64) -> Result<NodeStateMachine<Id, S>, OperationError> {
        let mut machine = NodeStateMachine {
            core: self.core,
            subscribers: self.subscribers,
            store: self.store,
            prefix: self.prefix,
            loaded: Loaded::default(),
            closed: false,
        };
        machine.core.now = now_ns;
        machine.load()?;
        machine.core.announce(true);
        machine.operation(|_| Ok(()))?;
        Ok(machine)
    }
}

impl<Id: NodeId, S: Store> NodeStateMachine<Id, S> {
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
                (Stored::Node(state, fields), Some(id)) => {
                    core.load(id, state, fields);
                    loaded.nodes += 1;
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

impl<Id: NodeId> Subscribers<Id> {
    fn tell(&mut self, core: &mut Core<Id>, event: &Event<Id>) -> Result<(), ChangeError> {
        let mut result = Ok(());
        match event {
            Event::State { id, old, new } => {
                for (mask, callback) in &mut self.state {
                    let (old, new) = (
                        core.layout.flags(old & *mask),
                        core.layout.flags(new & *mask),
                    );
                    if old != new {
                        result = result.and(callback(&mut Ctx(core), id, &old, &new));
                    }
                }
            }
            Event::Field {
                id,
                index,
                state,
                old,
                new,
            } => {
                let state = core.layout.flags(*state);
                for (_, callback) in self.fields.iter_mut().filter(|(of, _)| of == index) {
                    let told = callback(&mut Ctx(core), id, &state, old.as_ref(), new.as_ref());
                    result = result.and(told);
                }
            }
        }
        result
    }
}

fn key<Id: NodeId>(prefix: &[u8], id: &Id) -> Vec<u8> {
    [prefix, id.as_ref()].concat()
}

impl<Id: NodeId, S> fmt::Debug for Unstarted<Id, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unstarted").finish_non_exhaustive()
    }
}

impl<Id: NodeId, S> fmt::Debug for NodeStateMachine<Id, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeStateMachine")
            .field("core", &self.core)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}
