//! Errors of operations.

use super::flags::ForeignFlags;
use crate::store::interface::StoreError;

/// An error of a read or a change. Nothing changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// The flags belong to another setup.
    #[error(
        "the flags belong to another setup than the machine; use the flags of the machine's setup"
    )]
    ForeignFlags,
    /// The field belongs to another setup.
    #[error(
        "the field belongs to another setup than the machine; use the field of the machine's setup"
    )]
    ForeignField,
    /// The flag is the offline flag, which only the machine sets or resets.
    #[error("the flag \"offline\" is reserved for the machine; start or stop the machine instead")]
    OfflineFlag,
}

impl From<ForeignFlags> for ChangeError {
    fn from(_: ForeignFlags) -> Self {
        Self::ForeignFlags
    }
}

/// An error of an operation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperationError {
    /// The machine has stopped.
    #[error("the machine has stopped; start another machine on the same store")]
    Stopped,
    /// The operation or one of its callbacks failed; this is the first error. Earlier changes stay, and all other
    /// callbacks ran.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The operation is done, but its writes may not be stored. The next write includes them.
    #[error(transparent)]
    Store(#[from] StoreError),
}
