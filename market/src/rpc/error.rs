//! What the operator is told when a call is refused.

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
    /// Capacity and prices belong to a connection.
    #[error("client {0} is not connected")]
    NotConnected(String),
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
    /// Several clients could not be changed; the others are.
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
            Self::Load(_) | Self::DamagedTags(_) | Self::Balance(ChangeBalanceError::Load(_))
        )
    }

    /// One error for all that went wrong, if anything did.
    pub(super) fn of(mut errors: Vec<Self>) -> Result<(), Self> {
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            _ => Err(Self::Multiple(errors)),
        }
    }
}

fn joined(errors: &[OperatorError]) -> String {
    let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
    texts.join("; ")
}
