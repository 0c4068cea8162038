//! Errors of sending transactions.

use crate::{node::error::NodeError, protocol::revert::Revert, store::async_store::StoredError};
use alloy::transports::TransportError;
use alloy_primitives::{Address, TxHash, U256};
use std::time::Duration;

/// Why a transaction was not sent, or not mined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TxError {
    /// The node.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The transaction is in a block but reverted.
    #[error(
        "transaction {0} was mined but reverted: somebody was faster, or the state changed meanwhile"
    )]
    Failed(TxHash),
    /// The transaction is not in a block yet. It may still be: look again before sending another.
    #[error(
        "transaction {hash} was not mined within {} s; it may still be mined: look at {hash} before repeating",
        .after.as_secs()
    )]
    NotMined {
        /// The transaction.
        hash: TxHash,
        /// How long was waited.
        after: Duration,
    },
    /// The account's next number was used by a transaction that is not ours.
    #[error("the transaction was replaced by another one with the same nonce {nonce}")]
    Replaced {
        /// The number.
        nonce: u64,
    },
    /// The sending account does not have enough of the native coin.
    #[error("{account} has {available} wei and needs {needed}, fees included")]
    NotEnoughCoin {
        /// The sender.
        account: Address,
        /// What it has.
        available: U256,
        /// What the transaction may cost, with its value.
        needed: U256,
    },
    /// The market asks for more per unit of gas than the wallet may offer.
    #[error(
        "a transaction would have to offer {asked} wei per gas, and the limit is {most}: wait, or raise it"
    )]
    FeeTooHigh {
        /// What would have to be offered, in wei per unit of gas.
        asked: u128,
        /// The most that may be offered.
        most: u128,
    },
    /// What the store keeps as a sent transaction is none.
    #[error("what the store keeps as a sent transaction is none that this program has made")]
    NotATransaction,
    /// The wallet could not sign.
    #[error("the wallet could not sign: {0}")]
    Wallet(Box<dyn std::error::Error + Send + Sync>),
}

impl From<TransportError> for TxError {
    fn from(error: TransportError) -> Self {
        Self::Node(error.into())
    }
}

/// Why a transaction that must happen once did not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// The chain.
    #[error(transparent)]
    Tx(#[from] TxError),
    /// The store.
    #[error(transparent)]
    Stored(#[from] StoredError),
    /// Another task of this process sends for the same purpose at this moment.
    #[error("the same transaction is being sent elsewhere")]
    Contended,
    /// What became of a transaction that must not be sent twice cannot be told: its nonce is used and the node has no
    /// receipt of it (nodes forget those), or it is another account's. It stays known.
    #[error(
        "nobody knows whether transaction {nonce} of {from} was made: look at {hash}; if it was not, have it forgotten"
    )]
    Undecided {
        /// Whose transaction.
        from: Address,
        /// Its nonce.
        nonce: u64,
        /// The newest of its replacements.
        hash: TxHash,
    },
    /// What was sent before was cancelled, and its nonce is used.
    #[error(
        "what was sent before is cancelled by {0}: it can be sent anew once that is as deep in the chain as counts"
    )]
    Cancelled(TxHash),
}

impl TxError {
    /// The revert of the simulated call, if a contract refused it.
    pub const fn revert(&self) -> Option<&Revert> {
        match self {
            Self::Node(NodeError::Reverted(revert)) => Some(revert),
            _ => None,
        }
    }
}
