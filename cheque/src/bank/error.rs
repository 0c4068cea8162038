//! Errors of the bank's client.

use crate::{
    bank::head::HeadCheckError,
    node::error::NodeError,
    protocol::{chain_profile::UnlistedChain, terms::DepositId},
    tx::{error::ImplausibleFee, gas::GasError, market::MarketError},
};
use alloy::transports::TransportError;
use alloy_primitives::Address;
use cheque_bindings::default_deployment;

/// The reason why a bank or its chain could not be read.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BankError {
    /// The node failed or refused a request.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The node's newest block cannot be acted upon.
    #[error(transparent)]
    Head(#[from] HeadCheckError),
    /// There is no profile of the chain.
    #[error(transparent)]
    UnlistedChain(#[from] UnlistedChain),
    /// There is no contract at the bank's address.
    #[error("there is no bank at {bank} on chain {chain_id}; {}", no_bank(*bank, *chain_id))]
    NoBank {
        /// The address without a contract.
        bank: Address,
        /// The node's chain.
        chain_id: u64,
    },
    /// The contract does not answer like a bank.
    #[error("the contract at {0} is not a cheque bank of this version; check the address")]
    NotABank(Address),
    /// The contract does not answer like an ERC-20 token.
    #[error("the contract at {0} is not an ERC-20 token; check the address")]
    NotAToken(Address),
    /// The node follows another chain.
    #[error(
        "the node follows chain {found}, but the bank is on chain {expected}; use a node of that chain"
    )]
    WrongChain {
        /// The bank's chain.
        expected: u64,
        /// The node's chain.
        found: u64,
    },
    /// The node tells fees that do not fit its newest block.
    #[error(transparent)]
    ImplausibleFee(#[from] ImplausibleFee),
    /// The rollup has no fee oracle, the contract that knows its fees for data.
    #[error("chain {0} has no oracle of its data fees, so the cost of redeeming is unknown")]
    NoFeeOracle(u64),
    /// The node does not have a block.
    #[error("the node does not have block {0}")]
    NoBlock(u64),
    /// The node answers a request for a block with another block.
    #[error(
        "the node answered with block {found} to a request for block {number}; use another node"
    )]
    OtherBlock {
        /// The number asked for.
        number: u64,
        /// The number of the block in the answer.
        found: u64,
    },
    /// The node names no final block.
    #[error(
        "the node has no block `finalized`, which it or another node had within the last hour; use another node"
    )]
    NoFinalBlock,
    /// The purse no longer holds the deposit, and the node returned no event of its end. The state of the deposit stays
    /// unchanged.
    #[error(
        "deposit {id} is no longer open, but the node returned no Redeemed or Reclaimed event for blocks {from}..={to}; use \
         a node with complete logs"
    )]
    NoEvent {
        /// The deposit.
        id: DepositId,
        /// The first block searched.
        from: u64,
        /// The last block searched.
        to: u64,
    },
}

/// Says what to do where no bank is: anybody can deploy the pinned one, for everybody.
fn no_bank(bank: Address, chain_id: u64) -> &'static str {
    match default_deployment(chain_id) {
        Some(pinned) if pinned.bank == bank => {
            "this is the address of the common bank, and `cheque deploy` puts it there for everybody"
        }
        _ => "check the address, or deploy a bank with `cheque deploy`",
    }
}

impl From<MarketError> for BankError {
    fn from(error: MarketError) -> Self {
        match error {
            MarketError::Node(error) => error.into(),
            MarketError::ImplausibleFee(error) => error.into(),
        }
    }
}

impl From<TransportError> for BankError {
    fn from(error: TransportError) -> Self {
        Self::Node(error.into())
    }
}

impl BankError {
    /// Names the chain of a failed question about gas.
    pub(super) fn of_gas(error: GasError, chain_id: u64) -> Self {
        match error {
            GasError::Node(error) => error.into(),
            GasError::NoOracle => Self::NoFeeOracle(chain_id),
        }
    }
}
