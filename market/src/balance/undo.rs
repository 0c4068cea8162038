//! What is remembered of a batch until it is written.

use crate::{store::interface::Batch, value::expiring::ExpiringValue};

/// The state before a batch, to undo its operations.
#[derive(Debug)]
pub(super) struct Undo<Id> {
    /// Net changes of tokens, in order.
    pub(super) credits: Vec<(Id, i64)>,
    pub(super) inactive: ExpiringValue,
    pub(super) active: Option<(ExpiringValue, u64)>,
    /// True if the operations stay, whatever becomes of the write.
    pub(super) stays: bool,
    /// The batch, once its write has failed.
    pub(super) failed: Option<Batch>,
}

/// The outcome of looking for a failed write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// No write had failed.
    Idle,
    /// The write was made.
    Written,
    /// The write was not made, and its operations are undone.
    Undone,
    /// The write was not made, and is owed.
    Owed,
}
