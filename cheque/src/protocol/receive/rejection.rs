//! Why a payment is not counted.

use crate::protocol::{
    allowance::proof::ProofError,
    amount::Amount,
    cheque::{SignedCheque, StreamTermsError},
    signature::SignatureError,
    terms::{DepositId, TermsError},
};
use alloy_primitives::{Address, B256};

/// Why a payee does not count a payment. None of these changes the payee's meta, and none says that the payer cheated:
/// honest messages get lost, doubled and reordered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The cheque is made out to somebody else.
    #[error("the cheque is for payee {found}, not for {expected}")]
    WrongPayee {
        /// Who it is for.
        found: Address,
        /// This payee.
        expected: Address,
    },
    /// The payee does not use this chain.
    #[error("chain {0} is not accepted")]
    ChainNotAccepted(u64),
    /// The payee does not trust this contract.
    #[error("bank {0} is not accepted")]
    BankNotAccepted(Address),
    /// The payee does not take this token.
    #[error("token {0} is not accepted")]
    TokenNotAccepted(Address),
    /// No rate tells what redeeming costs in this token.
    #[error("token {0} has no rate against the native coin, so the cost of redeeming is unknown")]
    TokenWithoutRate(Address),
    /// No bank would open such a deposit.
    #[error("the deposit's terms are impossible: {0}")]
    BadTerms(#[from] TermsError),
    /// The host knows the sender, and it is not the deposit's signer.
    #[error("the payment came from {from}, the deposit's signer is {signer}")]
    WrongFrom {
        /// Whom the host authenticated.
        from: Address,
        /// The deposit's signer, whose account would be credited.
        signer: Address,
    },
    /// The first proof of a deposit has to be an opening.
    #[error("deposit {0} is unknown here; send an opening (the cheque with its deposit's terms)")]
    UnknownDeposit(DepositId),
    /// The meta is not the one of this proof: a mistake of the host.
    #[error("the meta is of deposit {found}, the proof of {expected}")]
    WrongMeta {
        /// The meta's deposit.
        found: DepositId,
        /// The proof's deposit.
        expected: DepositId,
    },
    /// One leaf of a deposit is enough for a payee: a second would confuse what was spent of which.
    #[error("deposit {0} already grants this payee another allowance")]
    SecondAllowance(DepositId),
    /// The node is behind, or the clock is wrong.
    #[error(
        "the newest block is of time {head_time}, the clock says {now}; they may differ by {limit} s"
    )]
    StaleView {
        /// Time of the newest block, seconds since 1970.
        head_time: u64,
        /// Time of the clock, seconds since 1970.
        now: u64,
        /// The largest difference, in seconds.
        limit: u64,
    },
    /// The bank does not hold the deposit, or not for long enough yet.
    #[error("deposit {0} is not open, or not confirmed yet")]
    NotConfirmed(DepositId),
    /// Too close to the draw: the seed might become known before the cheque is safe.
    #[error(
        "the draw at block {draw_block} is too close to the newest block {head}: the cutoff is {cutoff} blocks"
    )]
    PastCutoff {
        /// The newest block.
        head: u64,
        /// The draw block.
        draw_block: u64,
        /// The payee's cutoff, in blocks.
        cutoff: u64,
    },
    /// On a rollup, the layer-1 block that holds the seed may exist already.
    #[error(
        "the seed of block {draw_block} may be public from time {public} on, the clock says {now}"
    )]
    SeedMayBePublic {
        /// The draw block.
        draw_block: u64,
        /// The earliest time at which the seed can be known, seconds since 1970.
        public: u64,
        /// Time of the clock.
        now: u64,
    },
    /// The payee's money would be tied up for too long.
    #[error("the draw at block {draw_block} is further ahead than block {latest}")]
    HorizonTooLong {
        /// The draw block.
        draw_block: u64,
        /// The latest one the payee accepts now.
        latest: u64,
    },
    /// There would be too little time to redeem.
    #[error("a win could be redeemed for {window} blocks only, the payee wants {least}")]
    WindowTooShort {
        /// Blocks from the draw in which a win can be redeemed.
        window: u64,
        /// The shortest window the payee accepts.
        least: u64,
    },
    /// A proposer might withhold the block before the draw for such a sum.
    #[error("the deposit's amount {amount} is more than the payee's limit {limit}")]
    DepositTooLarge {
        /// The deposit's amount.
        amount: Amount,
        /// The payee's limit.
        limit: Amount,
    },
    /// A proposer might withhold the block before the draw for the sum of this signer's deposits.
    #[error(
        "all deposits of this signer and draw block come to {exposure}, more than the payee's limit {limit}"
    )]
    ExposureTooLarge {
        /// The sum, this deposit included.
        exposure: Amount,
        /// The payee's limit.
        limit: Amount,
    },
    /// The prize would not be worth its gas.
    #[error(
        "a win would pay {payout}; at a redemption cost of {cost} the payee wants at least {least}"
    )]
    PayoutTooSmall {
        /// What a win would pay.
        payout: Amount,
        /// What it costs to redeem.
        cost: Amount,
        /// The smallest payout that the payee accepts.
        least: Amount,
    },
    /// The proof of the allowance proves nothing.
    #[error("the allowance is not part of the deposit: {0}")]
    BadAllowanceProof(#[from] ProofError),
    /// The signature is no signature.
    #[error("the cheque is not signed: {0}")]
    BadSignature(#[from] SignatureError),
    /// Signed by another key, or for another payee, deposit or bank.
    #[error("the cheque is signed by {found}, the deposit's signer is {expected}")]
    WrongSigner {
        /// Whose signature it is, as a cheque of this deposit and payee.
        found: Address,
        /// The deposit's signer.
        expected: Address,
    },
    /// An anchor without a step, or the reverse.
    #[error(transparent)]
    BadStreamTerms(#[from] StreamTermsError),
    /// More spent than the allowance holds.
    #[error("{spent} is spent of an allowance of {allowance}")]
    OverAllowance {
        /// What the proof claims was spent; [`Amount::MAX`] stands for any larger number too.
        spent: Amount,
        /// The payee's allowance.
        allowance: Amount,
    },
    /// Nothing is spent, and no stream begins.
    #[error("the cheque pays nothing and begins no stream")]
    NothingSpent,
    /// The newest cheque has no stream.
    #[error("the newest cheque of deposit {0} has no stream")]
    NoStream(DepositId),
    /// Redeeming so many steps would cost more than the payee reckons with.
    #[error("the stream would be {steps} steps long, the payee follows {limit}")]
    StreamTooLong {
        /// The number of steps shown.
        steps: u32,
        /// The payee's limit.
        limit: u32,
    },
    /// x does not lead to what was shown before; perhaps it belongs to an older stream.
    #[error("the stream step does not lead to the newest cheque's anchor")]
    WrongStep,
    /// The anchor of the stream in progress cannot begin another one: its steps are known.
    #[error("the cheque begins a stream with the anchor of the one before")]
    AnchorReused,
    /// A proof that was counted before.
    #[error("this proof was counted before")]
    Replay,
    /// An older proof than the newest one counted. A payer that has lost its records may resume from `newest` and `shown`,
    /// which it can check against its own key: see [`Account::resume`](crate::Account::resume).
    #[error("the proof comes to {total}, {newest_total} was counted before")]
    Stale {
        /// What the proof comes to.
        total: Amount,
        /// What the newest proofs come to.
        newest_total: Amount,
        /// The newest cheque.
        newest: Box<SignedCheque>,
        /// The number of steps shown of its stream, and the x that shows them (zero for none).
        shown: (u32, B256),
    },
}

impl Rejection {
    /// A stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::WrongPayee { .. } => "wrong_payee",
            Self::ChainNotAccepted(_) => "chain_not_accepted",
            Self::BankNotAccepted(_) => "bank_not_accepted",
            Self::TokenNotAccepted(_) => "token_not_accepted",
            Self::TokenWithoutRate(_) => "token_without_rate",
            Self::BadTerms(_) => "bad_terms",
            Self::WrongFrom { .. } => "wrong_from",
            Self::UnknownDeposit(_) => "unknown_deposit",
            Self::WrongMeta { .. } => "wrong_meta",
            Self::SecondAllowance(_) => "second_allowance",
            Self::StaleView { .. } => "stale_view",
            Self::NotConfirmed(_) => "not_confirmed",
            Self::PastCutoff { .. } => "past_cutoff",
            Self::SeedMayBePublic { .. } => "seed_may_be_public",
            Self::HorizonTooLong { .. } => "horizon_too_long",
            Self::WindowTooShort { .. } => "window_too_short",
            Self::DepositTooLarge { .. } => "deposit_too_large",
            Self::ExposureTooLarge { .. } => "exposure_too_large",
            Self::PayoutTooSmall { .. } => "payout_too_small",
            Self::BadAllowanceProof(_) => "bad_allowance_proof",
            Self::BadSignature(_) => "bad_signature",
            Self::WrongSigner { .. } => "wrong_signer",
            Self::BadStreamTerms(_) => "bad_stream_terms",
            Self::OverAllowance { .. } => "over_allowance",
            Self::NothingSpent => "nothing_spent",
            Self::NoStream(_) => "no_stream",
            Self::StreamTooLong { .. } => "stream_too_long",
            Self::WrongStep => "wrong_step",
            Self::AnchorReused => "anchor_reused",
            Self::Replay => "replay",
            Self::Stale { .. } => "stale",
        }
    }
}
