//! Errors of the bank's client.

use crate::{
    bank::head::HeadCheckError,
    node::error::NodeError,
    protocol::{chain_profile::UnsupportedChain, draw::HeaderError, terms::DepositId},
};
use alloy::transports::TransportError;
use alloy_primitives::Address;

/// Why something could not be read from a bank or its chain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BankError {
    /// The node.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// What the node says of its newest block cannot be, or cannot be yet.
    #[error(transparent)]
    Head(#[from] HeadCheckError),
    /// The project has no profile of the chain.
    #[error(transparent)]
    UnsupportedChain(#[from] UnsupportedChain),
    /// There is no contract where the bank should be.
    #[error("there is no bank at {bank} on chain {chain_id}: check the address, or deploy one")]
    NoBank {
        /// Where it should be.
        bank: Address,
        /// The chain that the node follows.
        chain_id: u64,
    },
    /// The contract answers unlike a bank.
    #[error("the contract at {0} is not a cheque bank of this version")]
    NotABank(Address),
    /// The contract answers unlike an ERC-20 token.
    #[error("the contract at {0} is not an ERC-20 token")]
    NotAToken(Address),
    /// The node follows another chain.
    #[error("the node follows chain {found}, the bank is on chain {expected}")]
    WrongChain {
        /// The bank's chain.
        expected: u64,
        /// The node's chain.
        found: u64,
    },
    /// A rollup without the contract that tells its data fees.
    #[error(
        "chain {0} does not tell what it charges for data, so the cost of redeeming is unknown"
    )]
    NoFeeOracle(u64),
    /// The node does not have a block.
    #[error("the node does not have block {0}")]
    NoBlock(u64),
    /// The purse does not hold the deposit any more, and no event says why. Nothing is concluded from that.
    #[error(
        "deposit {id} was open and is not any more, and the node has no event of blocks {from}..={to} that says why: it \
         lacks events, so ask another one"
    )]
    NoEvent {
        /// The deposit.
        id: DepositId,
        /// The first block that was searched.
        from: u64,
        /// The last one.
        to: u64,
    },
    /// The header that the node gives for a block is not that block's.
    #[error("the node's header of block {block}: {source}")]
    Header {
        /// The block's number.
        block: u64,
        /// What is wrong with it.
        source: HeaderError,
    },
}

impl From<TransportError> for BankError {
    fn from(error: TransportError) -> Self {
        Self::Node(error.into())
    }
}
