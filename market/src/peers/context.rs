//! Reads and changes inside an operation.

use super::{
    core::Core,
    error::ChangeError,
    flags::Flags,
    setup::{Field, FieldValue},
};
use crate::id::PeerId;
use std::sync::Arc;

/// A running operation: reads, and changes whose callbacks run later in the same operation.
///
/// Reads show the newest state, which may be ahead of the change that a callback reports.
#[derive(Debug)]
pub struct Ctx<'a, Id>(pub(super) &'a mut Core<Id>);

impl<Id: PeerId> Ctx<'_, Id> {
    /// Returns the machine's time, set by [`PeerStateMachine::advance`](super::PeerStateMachine::advance).
    pub const fn now_ns(&self) -> u64 {
        self.0.now
    }

    /// Returns the peer's flags, empty for an unknown peer.
    pub fn state(&self, id: &Id) -> Flags {
        self.0.state(id)
    }

    /// Returns the peer's value of a field, if any.
    ///
    /// # Errors
    ///
    /// [`ChangeError::ForeignField`].
    pub fn field<T: FieldValue>(
        &self,
        id: &Id,
        field: &Field<T>,
    ) -> Result<Option<Arc<T>>, ChangeError> {
        self.0.field(id, field)
    }

    /// Iterates over the peers that have all flags of `require` and none of `exclude`, in order of their ids, with
    /// all their flags.
    ///
    /// # Errors
    ///
    /// [`ChangeError::ForeignFlags`].
    pub fn peers(
        &self,
        require: &Flags,
        exclude: &Flags,
    ) -> Result<impl Iterator<Item = (&Id, Flags)>, ChangeError> {
        self.0.peers(require, exclude)
    }

    /// Resets the flags of `reset`, then sets the flags of `set`.
    ///
    /// Cancels the timers of all these flags. With a timeout, the machine resets the flags of `set` afterwards unless
    /// they are set or reset before; a moment after the year 2554 never comes.
    ///
    /// A peer without flags is removed together with its fields, in memory and in the store.
    ///
    /// # Errors
    ///
    /// [`ChangeError::ForeignFlags`] or [`ChangeError::OfflineFlag`].
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

    /// Sets a field or, with `None`, removes it. Does nothing for a peer without flags.
    ///
    /// # Errors
    ///
    /// [`ChangeError::ForeignField`].
    pub fn set_field<T: FieldValue>(
        &mut self,
        id: &Id,
        field: &Field<T>,
        value: Option<T>,
    ) -> Result<(), ChangeError> {
        self.0.set_field(id, field, value)
    }

    /// Sets the timeout of those of `flags` that the peer has, replacing any earlier timeout.
    ///
    /// # Errors
    ///
    /// [`ChangeError::ForeignFlags`] or [`ChangeError::OfflineFlag`].
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
