//! What can go wrong between this process and a chain.

use super::{secrets::without_secrets, sight::HeadCheckError};
use crate::{DepositId, HeaderError, Outcome, UnsupportedChain};
use alloy::transports::{RpcError, TransportError, TransportErrorKind};
use alloy_primitives::{Address, Bytes, TxHash, U256};
use alloy_sol_types::SolInterface;
use cheque_bindings::IChequeBankErrors;
use std::{fmt, time::Duration};

/// Why something could not be read from a chain, or sent to it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// The URL is no http, https, ws or wss URL.
    #[error("{url:?} is not the URL of a node: http, https, ws or wss")]
    Url {
        /// What was given, up to the host; nothing if it has none.
        url: String,
    },
    /// No node was named.
    #[error("no node was named: give the URL of one at least")]
    NoNode,
    /// The nodes that were named follow different chains.
    #[error(
        "node {node} follows chain {chain} and node {other_node} chain {other_chain}: name nodes of one chain"
    )]
    MixedChains {
        /// The first node that answers, counted from 1.
        node: usize,
        /// Its chain.
        chain: u64,
        /// Another node.
        other_node: usize,
        /// Its chain.
        other_chain: u64,
    },
    /// What the node says of its newest block cannot be, or cannot be yet.
    #[error(transparent)]
    Head(#[from] HeadCheckError),
    /// The node could not be reached, or refused the request.
    #[error("the node: {0}")]
    Rpc(#[source] Box<TransportError>),
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
    /// The bank refused the call.
    #[error("the bank refuses: {0}")]
    Refused(Refusal),
    /// Something else refused the call: a token, or a contract in between.
    #[error("the call reverts ({})", revert_text(.0))]
    Reverted(Bytes),
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

impl From<TransportError> for ChainError {
    fn from(error: TransportError) -> Self {
        if let RpcError::ErrorResp(response) = &error
            && let Some(data) = response.as_revert_data()
        {
            return match IChequeBankErrors::abi_decode(&data) {
                Ok(refusal) => Self::Refused(Refusal(Box::new(refusal))),
                Err(_) => Self::Reverted(data),
            };
        }
        // What comes from the way to the node may repeat its URL.
        Self::Rpc(Box::new(match error {
            RpcError::Transport(TransportErrorKind::Custom(source)) => {
                TransportErrorKind::custom_str(&without_secrets(&source.to_string()))
            }
            RpcError::Transport(
                TransportErrorKind::HttpError(http)
                | TransportErrorKind::HttpErrorWithRetryAfter { error: http, .. },
            ) => TransportErrorKind::custom_str(&format!("HTTP status {}", http.status)),
            RpcError::DeserError { err, .. } => {
                TransportErrorKind::custom_str(&format!("an answer that cannot be read: {err}"))
            }
            other => other,
        }))
    }
}

impl ChainError {
    /// The bank's refusal, if that is what this is.
    pub fn refusal(&self) -> Option<&IChequeBankErrors> {
        match self {
            Self::Refused(refusal) => Some(&refusal.0),
            _ => None,
        }
    }
}

/// Solidity's `Error(string)` in clear, anything else in hexadecimal.
fn revert_text(data: &Bytes) -> String {
    if data.is_empty() {
        return "without a reason".to_owned();
    }
    alloy_sol_types::decode_revert_reason(data).unwrap_or_else(|| data.to_string())
}

/// A custom error of the bank in words.
#[derive(Clone, Debug)]
pub struct Refusal(pub Box<IChequeBankErrors>);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use IChequeBankErrors as E;
        match &*self.0 {
            E::LeadOutOfRange(e) => {
                write!(f, "a lead of {} blocks is not in 1..={}", e.minLead, e.most)
            }
            E::NoRandomness(e) => write!(
                f,
                "this chain has no randomness (prevrandao is {}); use a bank with the block hash as its seed",
                e.prevrandao
            ),
            E::Reentered(_) => f.write_str("the call reentered the bank"),
            E::InvalidRecipient(e) => write!(f, "money cannot go to {}", e.recipient),
            E::WrongValue(e) => write!(f, "{} wei were sent and {} are needed", e.sent, e.needed),
            E::NotAToken(e) => write!(f, "there is no token contract at {}", e.token),
            E::WrongAmountReceived(e) => write!(
                f,
                "{} units of the token arrived and not {}: it takes a fee on transfers",
                e.received, e.expected
            ),
            E::ZeroAmount(_) => f.write_str("the amount is zero"),
            E::AmountTooHigh(e) => write!(f, "{} is more than {}", e.amount, e.most),
            E::NotPayer(e) => write!(
                f,
                "only the payer {} can do this, not {}",
                e.payer, e.caller
            ),
            E::ZeroSigner(_) => f.write_str("the deposit names no signer"),
            E::ZeroLane(_) => f.write_str("lane 0 holds no deposit"),
            E::MinPayoutTooHigh(e) => write!(
                f,
                "the smallest payout {} is more than the deposit's amount {}",
                e.minPayout, e.amount
            ),
            E::DrawTooSoon(e) => write!(
                f,
                "the draw block {} is too soon, the earliest is {}",
                e.drawBlock, e.earliest
            ),
            E::RedeemWindowEmpty(e) => write!(
                f,
                "the last block to redeem, {}, is not after the draw block {}",
                e.lastRedeemBlock, e.drawBlock
            ),
            E::UnusableId(e) => write!(
                f,
                "the id {} would read as money: change the terms",
                e.depositId
            ),
            E::PurseBusy(e) => write!(f, "the purse holds the open deposit {}", e.openDepositId),
            E::InsufficientFunds(e) => {
                write!(
                    f,
                    "{} units are there and {} are needed",
                    e.available, e.needed
                )
            }
            E::PurseMismatch(_) => {
                f.write_str("both deposits must have the same payer, token and lane")
            }
            E::DepositNotOpen(e) => write!(f, "deposit {} is not open", e.depositId),
            E::StillRedeemable(e) => write!(
                f,
                "the deposit can be redeemed until block {}, and reclaimed only after it",
                e.lastRedeemBlock
            ),
            E::NotRedeemable(e) => write!(f, "it cannot be redeemed: {}", reason(e.outcome)),
            E::InvalidSignature(e) => write!(f, "the signature is not one by {}", e.account),
            E::SignatureExpired(e) => {
                write!(f, "the signed agreement was valid until {}", e.deadline)
            }
            E::NonceUsed(e) => write!(f, "nonce {} of {} is used", e.nonce, e.account),
            E::BlockUnknown(e) => write!(
                f,
                "the chain does not know the hash of block {} (any more, or yet)",
                e.blockNumber
            ),
            E::InvalidHeader(e) => write!(
                f,
                "the header is not block {}'s, or carries no randomness",
                e.blockNumber
            ),
        }
    }
}

/// An outcome of a redemption in words.
pub const fn reason(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Payable => "it wins and would be paid",
        Outcome::Malformed => "it ends before what it announces, or announces several streams",
        Outcome::NotOpen => "the deposit is not open: never opened, redeemed already, or reclaimed",
        Outcome::TooEarly => "the draw block is not over",
        Outcome::TooLate => "the last block to redeem is over",
        Outcome::BadStream => "the stream steps do not lead to the cheque's anchor",
        Outcome::NothingSpent => "nothing was spent",
        Outcome::OverAllowance => "the cheque exceeds the allowance",
        Outcome::BadProof => "the allowance proof does not lead to the deposit",
        Outcome::BadSignature => "the cheque is not signed by the deposit's signer",
        Outcome::SeedUnknown => {
            "the seed of the draw block is not recorded, and no usable header was given"
        }
        Outcome::BadHeader => "the header is not the draw block's, or carries no randomness",
        Outcome::Loses => "it does not win",
        Outcome::ConsentMissing => "the payee has to agree, by sending it or by a signed consent",
        _ => "the bank gave an unknown reason",
    }
}
