//! Errors of sending transactions.

use crate::{node::error::NodeError, protocol::revert::Revert, store::async_store::StoredError};
use alloy::transports::TransportError;
use alloy_primitives::{Address, TxHash, U256};
use std::{sync::Arc, time::Duration};

/// A base fee that is far from that of the newest block: following it could cost many times as much, or leave a transaction
/// pending for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the node tells a base fee of {told} wei per gas, but its newest block has {newest}; name another node, or wait for \
     this one to be repaired"
)]
pub struct ImplausibleFee {
    /// The base fee in the node's fee history, in wei per unit of gas.
    pub told: u128,
    /// The base fee of the newest block, in wei per unit of gas.
    pub newest: u128,
}

/// The reason why a transaction was not sent, or not mined.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TxError {
    /// The node failed or refused a request.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The transaction was mined but reverted.
    #[error(
        "transaction {0} was mined but reverted: the state changed after its simulation; check the chain before repeating"
    )]
    Failed(TxHash),
    /// The transaction was not mined in time. It may still be mined.
    #[error(
        "transaction {hash} was not mined within {} s, but may still be; check {hash} before sending another",
        .after.as_secs()
    )]
    NotMined {
        /// The newest of the replacements.
        hash: TxHash,
        /// The timeout that has passed.
        after: Duration,
    },
    /// A transaction that this process did not send used the nonce.
    #[error("another transaction used nonce {nonce}; check for another wallet of the same account")]
    Replaced {
        /// The nonce.
        nonce: u64,
    },
    /// The sending account does not have enough of the native coin.
    #[error("{account} has {available} wei and needs {needed}, fees included; add native coin")]
    NotEnoughCoin {
        /// The sender.
        account: Address,
        /// The sender's balance, in wei.
        available: U256,
        /// The maximum cost of the transaction, value included, in wei.
        needed: U256,
    },
    /// The transaction must offer more per unit of gas than the wallet's limit.
    #[error(
        "a transaction must offer {required} wei per gas, but the limit is {limit}; wait, or raise the limit"
    )]
    FeeTooHigh {
        /// The fee that the transaction must offer, in wei per unit of gas.
        required: u128,
        /// The wallet's limit, in wei per unit of gas.
        limit: u128,
    },
    /// The transaction costs more than it is worth, by the fees that the node tells.
    #[error(
        "the transaction would cost {required} wei, but it is worth {limit}; wait for lower fees, and compare the node's fees \
         with another node's"
    )]
    CostTooHigh {
        /// What the transaction costs at present, in wei.
        required: U256,
        /// What it is worth, in wei.
        limit: U256,
    },
    /// The node tells fees that do not fit its newest block.
    #[error(transparent)]
    ImplausibleFee(#[from] ImplausibleFee),
    /// The rollup has no fee oracle, the contract that knows its fees for data.
    #[error("chain {0} has no oracle of its data fees, so the cost of a transaction is unknown")]
    NoFeeOracle(u64),
    /// The bytes in the store are not a signed call, or not of a kind that this program signs.
    #[error(
        "the stored transaction is corrupt or was not created by this program; check the store"
    )]
    NotATransaction,
    /// The wallet could not sign.
    #[error("the wallet could not sign: {0}")]
    Wallet(Arc<dyn std::error::Error + Send + Sync>),
}

impl From<TransportError> for TxError {
    fn from(error: TransportError) -> Self {
        Self::Node(error.into())
    }
}

/// The reason why an idempotent transaction was not sent, or not mined.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// The transaction failed.
    #[error(transparent)]
    Tx(#[from] TxError),
    /// The store failed.
    #[error(transparent)]
    Stored(#[from] StoredError),
    /// Another task or process has changed the stored record for the same purpose.
    #[error("another task is sending the same transaction; retry later")]
    Contended,
    /// The outcome of a transaction that must not be sent twice is unknown: its nonce is used without a receipt (nodes
    /// delete old receipts), or another account sent the transaction. The record stays.
    #[error(
        "cannot tell whether the transaction with nonce {nonce} from {from} was mined; check {hash}, and remove the record \
         if it was not"
    )]
    Undecided {
        /// The sending account.
        from: Address,
        /// The nonce.
        nonce: u64,
        /// The newest of the replacements.
        hash: TxHash,
    },
    /// The previous transaction for the purpose was cancelled by a mined transaction.
    #[error("the previous transaction was cancelled by {0}; retry once that is confirmed")]
    Cancelled(TxHash),
}

impl TxError {
    /// Returns the revert of the simulated call, if a contract refused the call.
    pub const fn revert(&self) -> Option<&Revert> {
        match self {
            Self::Node(NodeError::Reverted(revert)) => Some(revert),
            _ => None,
        }
    }
}
