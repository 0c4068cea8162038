//! What the operator is told when a call is refused.

use super::{
    operator::text,
    params::{ALERT, PERIOD},
};
use crate::{
    balance::{ChangeBalanceError, LoadBalanceError},
    pool::SetCapacityError,
    store::StoreError,
};

/// Why a call of the operator was refused. Texts that quote a name are those of the LES server's RPC.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// There is no such parameter of a client.
    #[error("invalid client parameter '{0}'")]
    ClientParameter(String),
    /// There is no such default.
    #[error("invalid default parameter '{0}'")]
    DefaultParameter(String),
    /// The parameter cannot have this value.
    #[error("invalid value for parameter '{0}'")]
    Value(String),
    /// A tag is empty or a user's tag starts with `$`, or there is no such automatic tag.
    #[error("invalid client tag '{0}'")]
    Tag(String),
    /// Not an id of this market's kind of nodes.
    #[error("invalid client id '{0}': give 0x and the id's bytes in hexadecimal")]
    Id(String),
    /// A client has one of the two.
    #[error(
        "invalid value for parameter '{ALERT}': '{PERIOD}' is set with it, and a client has one of them: leave one out"
    )]
    TwoNotices,
    /// A time is not negative.
    #[error("invalid bias {0}: give a time in nanoseconds, 0 or more")]
    Bias(i64),
    /// Capacity and prices belong to a connection.
    #[error("client {0} is not connected")]
    NotConnected(String),
    /// Nobody could be made to give way for so much.
    #[error(
        "total capacity exceeded: {requested} is asked for in all, and there is {total}: ask for less, or for fewer clients"
    )]
    TotalCapacity {
        /// For all clients together.
        requested: u128,
        /// What there is to share, as it was announced.
        total: u64,
    },
    /// The capacity was not granted.
    #[error("client {id}: {source}")]
    Capacity {
        /// The client.
        id: String,
        /// Why.
        source: SetCapacityError,
    },
    /// The balance was not changed.
    #[error(transparent)]
    Balance(#[from] ChangeBalanceError),
    /// A balance or tag cannot be read or written.
    #[error(transparent)]
    Load(#[from] LoadBalanceError),
    /// The tags of a client are damaged.
    #[error("the stored tags of client {0} are damaged: set them anew")]
    DamagedTags(String),
    /// The default prices or the bias are damaged.
    #[error("the stored defaults are damaged ({length} bytes): restore the store from a backup")]
    DamagedDefaults {
        /// The record's length.
        length: usize,
    },
    /// A later version of this library wrote them.
    #[error(
        "the stored defaults have version {found}, and this program reads version 1: use a newer program"
    )]
    DefaultsVersion {
        /// The record's version.
        found: u8,
    },
    /// Several clients are in the way.
    #[error("multiple errors: {}", joined(.0))]
    Multiple(Vec<Self>),
}

impl From<StoreError> for OperatorError {
    fn from(error: StoreError) -> Self {
        Self::Load(error.into())
    }
}

impl OperatorError {
    /// Whether the caller can do something about it; otherwise it is the store.
    pub const fn is_callers(&self) -> bool {
        !matches!(
            self,
            Self::Load(_)
                | Self::DamagedTags(_)
                | Self::DamagedDefaults { .. }
                | Self::DefaultsVersion { .. }
                | Self::Balance(ChangeBalanceError::Load(_))
        )
    }

    /// The error for clients that cannot have a capacity.
    pub(super) fn capacity<Id: AsRef<[u8]>>(refused: Vec<(Id, SetCapacityError)>) -> Self {
        let error = |(id, source): (Id, _)| Self::Capacity {
            id: text(&id),
            source,
        };
        Self::one_of(refused.into_iter().map(error).collect())
    }

    /// One error for all that went wrong, if anything did.
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
