//! Reverted calls and outcomes of redemptions in words.

use alloy_primitives::Bytes;
use alloy_sol_types::SolInterface;
use cheque_bindings::{IChequeBankErrors, Outcome};
use std::fmt;

/// The data that a contract returned when a call reverted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revert(pub Bytes);

impl Revert {
    /// Decodes the data as an error of the bank. `None`: another contract reverted.
    pub fn bank_error(&self) -> Option<IChequeBankErrors> {
        IChequeBankErrors::abi_decode(&self.0).ok()
    }
}

impl fmt::Display for Revert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bank_error() {
            Some(error) => write!(f, "the bank refuses: {}", BankErrorText(&error)),
            None => write!(f, "the call reverts ({})", revert_text(&self.0)),
        }
    }
}

/// An error of the bank in words.
struct BankErrorText<'a>(&'a IChequeBankErrors);

impl fmt::Display for BankErrorText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use IChequeBankErrors as E;
        match self.0 {
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
            E::NotRedeemable(e) => write!(f, "it cannot be redeemed: {}", outcome_text(e.outcome)),
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

/// Solidity's `Error(string)` in clear, anything else in hexadecimal.
fn revert_text(data: &Bytes) -> String {
    if data.is_empty() {
        return "without a reason".to_owned();
    }
    alloy_sol_types::decode_revert_reason(data).unwrap_or_else(|| data.to_string())
}

/// An outcome of a redemption in words.
pub const fn outcome_text(outcome: Outcome) -> &'static str {
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
