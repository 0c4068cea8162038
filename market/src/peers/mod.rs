//! A state machine of peers: the only meeting point of program parts that work on the same peers.
//!
//! Every peer has a state, which is a set of flags, and values of typed fields. Each part of the program sets its own
//! flags and fields and subscribes to those of other parts. A change together with all changes by its callbacks is
//! one *operation*, which returns after the last callback. Callbacks run breadth first and one at a time, so every
//! subscriber sees a cause before its effects.
//!
//! 1. A [`SetupBuilder`] declares flags and fields and marks the persistent ones.
//! 2. [`PeerStateMachine::prepare`] returns an [`Unstarted`] machine; only an unstarted machine takes subscriptions.
//! 3. [`Unstarted::start`] loads stored peers and returns the running machine. The machine has no clock: the host
//!    calls [`PeerStateMachine::advance`].
//! 4. [`PeerStateMachine::stop`] saves, and reports to subscribers that all peers go offline.
//!
//! # Persistence
//!
//! 1. Only persistent flags and fields are stored.
//! 2. Stored peers are loaded at start.
//! 3. A new or changed peer is saved by `persist`, `persist_all` and `stop`.
//! 4. A peer without flags is removed at once, with its fields, in memory and in the store; subscribers of the fields
//!    get a callback. A field cannot be set before a flag. (If a field alone kept a peer, the part that sets the
//!    field would have to remove the peer.)
//! 5. Unsaved changes are lost if the process dies, except removals by rule 4.
//! 6. A save stores the persistent part of a peer, without flags that have a timer. If no flag remains, the stored
//!    record is deleted. The peer in memory does not change.
//!
//! ```
//! use cheque_market::{peers::{Flags, PeerStateMachine, SetupBuilder}, store::Memory};
//!
//! const SECOND: u64 = 1_000_000_000;
//!
//! let mut setup = SetupBuilder::new(1);
//! let connected = setup.flag("connected")?;
//! let trusted = setup.persistent_flag("trusted")?;
//! let requests = setup.field::<u64>("requests")?;
//!
//! let mut machine = PeerStateMachine::<[u8; 32], _>::prepare(&setup.build(), Memory::new(), b"peers:");
//! let count = requests.clone();
//! machine.subscribe_state(&connected, move |ctx, id, _old, new| {
//!     // Called for the connection; changes the peer in the same operation.
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

pub(crate) mod context;
pub(crate) mod core;
pub(crate) mod error;
pub(crate) mod flags;
pub(crate) mod record;
pub(crate) mod setup;
pub(crate) mod state_machine;
pub(crate) mod subscribers;
#[cfg(test)]
mod tests;
pub(crate) mod timers;

pub use context::Ctx;
pub use error::{ChangeError, OperationError};
pub use flags::{Flags, ForeignFlags};
pub use setup::{Field, FieldValue, MAX_FLAGS, Setup, SetupBuilder, SetupError};
pub use state_machine::{Loaded, PeerStateMachine, Unstarted};
