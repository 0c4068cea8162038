//! Errors of the operator's calls.

use super::{
    id_text::id_text,
    names::{ALERT, PERIOD},
};
use crate::{
    balance::error::{ChangeBalanceError, LoadBalanceError},
    pool::set_capacity::SetCapacityError,
    store::interface::StoreError,
};

/// An error of a call of the operator. Texts with a name in quotes are those of the LES server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// The parameter of a client is unknown.
    #[error("invalid client parameter '{0}'")]
    ClientParameter(String),
    /// The default parameter is unknown.
    #[error("invalid default parameter '{0}'")]
    DefaultParameter(String),
    /// The value is invalid for the parameter.
    #[error("invalid value for parameter '{0}'")]
    Value(String),
    /// The tag is empty, a user's tag that starts with `$`, or an unknown automatic tag.
    #[error("invalid client tag '{0}'")]
    Tag(String),
    /// The id does not fit the market's type of ids.
    #[error("invalid client id '{0}'; write 0x and the bytes of the id in hexadecimal")]
    Id(String),
    /// Both kinds of notice are set at once.
    #[error(
        "invalid value for parameter '{ALERT}': '{PERIOD}' is set as well, and a client has only one of them; omit one"
    )]
    TwoNotices,
    /// The bias is negative.
    #[error("invalid bias {0}; use a time in nanoseconds, 0 or more")]
    Bias(i64),
    /// The parameter needs a connection.
    #[error("client {0} is not connected")]
    NotConnected(String),
    /// The total capacity does not suffice, whichever clients yield.
    #[error(
        "total capacity exceeded: {requested} requested for all clients, {total} available; request less, or for fewer clients"
    )]
    TotalCapacity {
        /// Requested sum for all clients.
        requested: u128,
        /// Announced total capacity.
        total: u64,
    },
    /// The pool did not grant the capacity.
    #[error("client {id}: {source}")]
    Capacity {
        /// Id of the client.
        id: String,
        /// Reason of the pool.
        source: SetCapacityError,
    },
    /// The balance did not change.
    #[error(transparent)]
    Balance(#[from] ChangeBalanceError),
    /// A balance or tag cannot be read or written.
    #[error(transparent)]
    Load(#[from] LoadBalanceError),
    /// The stored tags of a client are damaged.
    #[error("the stored tags of client {0} are damaged; set the tags again")]
    DamagedTags(String),
    /// The stored prices or bias are damaged.
    #[error("the stored defaults of {length} bytes are damaged; restore the store from a backup")]
    DamagedDefaults {
        /// Length of the record.
        length: usize,
    },
    /// A later version of this library wrote the defaults.
    #[error(
        "the stored defaults have version {found} and this program reads version 1; use a newer program"
    )]
    DefaultsVersion {
        /// Version of the record.
        found: u8,
    },
    /// Several clients have errors.
    #[error("multiple errors: {}", joined(.0))]
    Multiple(Vec<Self>),
}

impl From<StoreError> for OperatorError {
    fn from(error: StoreError) -> Self {
        Self::Load(error.into())
    }
}

impl OperatorError {
    /// True if the caller can avoid the error; otherwise the store failed.
    pub const fn is_caller_error(&self) -> bool {
        !matches!(
            self,
            Self::Load(_)
                | Self::DamagedTags(_)
                | Self::DamagedDefaults { .. }
                | Self::DefaultsVersion { .. }
                | Self::Balance(ChangeBalanceError::Load(_))
        )
    }

    /// Returns the error for clients that cannot have a capacity.
    pub(super) fn capacity<Id: AsRef<[u8]>>(refused: Vec<(Id, SetCapacityError)>) -> Self {
        let error = |(id, source): (Id, _)| Self::Capacity {
            id: id_text(&id),
            source,
        };
        Self::one_of(refused.into_iter().map(error).collect())
    }

    /// Combines all errors into one, if any.
    pub(super) fn of(errors: Vec<Self>) -> Result<(), Self> {
        match errors.is_empty() {
            true => Ok(()),
            false => Err(Self::one_of(errors)),
        }
    }

    fn one_of(mut errors: Vec<Self>) -> Self {
        match errors.pop() {
            Some(error) if errors.is_empty() => error,
            last => {
                errors.extend(last);
                Self::Multiple(errors)
            }
        }
    }
}

fn joined(errors: &[OperatorError]) -> String {
    let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
    texts.join("; ")
}
