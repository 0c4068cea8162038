//! Nodes as sets of flags: parts of a program that work on the same nodes meet here and nowhere else.
//!
//! Every node has a state, which is a set of flags, and values of typed fields. Parts of the program set flags and
//! fields of their own and subscribe to those of others. A change and everything that callbacks change in consequence
//! is one *operation*: it returns when all its callbacks have returned. Callbacks are made breadth first, so that every
//! subscriber hears of changes in the order in which one caused the other, and never two at a time.
//!
//! 1. A [`SetupBuilder`] declares flags and fields and says which of them are stored.
//! 2. [`NodeStateMachine::prepare`] gives an [`Unstarted`] machine, the only one that takes subscriptions.
//! 3. [`Unstarted::start`] loads stored nodes and gives the running machine, which has no clock: the host calls
//!    [`NodeStateMachine::advance`].
//! 4. [`NodeStateMachine::stop`] saves, and tells subscribers that all nodes go offline.
//!
//! # What is kept
//!
//! 1. Flags and fields that were declared persistent are stored, others never.
//! 2. Stored nodes are loaded at start.
//! 3. A node is saved if it is new or has changed since it was loaded or saved: at stop, or when told.
//! 4. A node without flags is nothing: it is forgotten at once, in memory and in the store, and so are its fields, of
//!    whose end their subscribers are told. A field cannot be set before a flag. (Keeping nodes for the sake of a field
//!    would make whoever sets it responsible for forgetting them.)
//! 5. Changes that are not saved are lost if the process dies, except those of rule 4.
//! 6. What is saved is the persistent part of a node, without flags that a timer will reset. If no flag remains, the
//!    node is not saved, and what was saved of it before is removed. The node in memory stays as it is.

//!
//! ```
//! use cheque_market::{nodes::{Flags, NodeStateMachine, SetupBuilder}, store::Memory};
//!
//! const SECOND: u64 = 1_000_000_000;
//!
//! let mut setup = SetupBuilder::new(1);
//! let connected = setup.flag("connected")?;
//! let trusted = setup.persistent_flag("trusted")?;
//! let requests = setup.field::<u64>("requests")?;
//!
//! let mut machine = NodeStateMachine::<[u8; 32], _>::prepare(&setup.build(), Memory::new(), b"nodes:");
//! let count = requests.clone();
//! machine.subscribe_state(&connected, move |ctx, id, _old, new| {
//!     // Told of the connection, and changes the node in the same operation.
//!     ctx.set_field(id, &count, (!new.is_empty()).then_some(0))
//! })?;
//!
//! let mut machine = machine.start(0)?;
//! let (id, none) = ([7; 32], Flags::none());
//! machine.set_state(&id, &trusted, &none, None)?;
//! machine.set_state(&id, &connected, &none, Some(10 * SECOND))?;
//! assert_eq!(machine.field(&id, &requests)?.as_deref(), Some(&0));
//! machine.advance(10 * SECOND)?;
//! assert_eq!(machine.state(&id)?.to_string(), "[trusted]");
//! assert_eq!(machine.field(&id, &requests)?, None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod context;
mod flags;
mod machine;
mod record;
mod setup;
#[cfg(test)]
mod tests;
mod timers;

pub use context::{ChangeError, Ctx};
pub use flags::{Flags, ForeignFlags};
pub use machine::{Loaded, NodeStateMachine, OperationError, Unstarted};
pub use setup::{Field, FieldValue, MAX_FLAGS, Setup, SetupBuilder, SetupError};
