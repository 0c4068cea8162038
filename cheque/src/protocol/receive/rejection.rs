//! The reasons to reject a payment (SPEC section 13.2).

use crate::protocol::{
    allowance::proof::ProofError,
    amount::Amount,
    cheque::{SignedCheque, StreamTermsError},
    now::ClockError,
    signature::SignatureError,
    terms::{DepositId, TermsError},
};
use alloy_primitives::{Address, B256};

/// The reason why a payee rejects a payment.
///
/// A rejection does not change the payee's position, and does not prove that the payer cheated: honest messages get
/// lost, doubled and reordered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The opening names another payee.
    #[error("the cheque is for payee {found}, not for {expected}")]
    WrongPayee {
        /// The payee of the opening.
        found: Address,
        /// The payee of the policy.
        expected: Address,
    },
    /// The payee accepts no bank on this chain.
    #[error("chain {0} is not accepted")]
    ChainNotAccepted(u64),
    /// The payee does not accept this bank.
    #[error("bank {0} is not accepted")]
    BankNotAccepted(Address),
    /// The payee does not accept this token.
    #[error("token {0} is not accepted")]
    TokenNotAccepted(Address),
    /// The token has no rate, so the cost of redeeming is unknown.
    #[error("token {0} has no rate against the native coin; set one to know the cost of redeeming")]
    TokenWithoutRate(Address),
    /// No bank opens such a deposit.
    #[error("the deposit's terms are impossible: {0}")]
    BadTerms(#[from] TermsError),
    /// The sender that the host authenticated is not the deposit's signer.
    #[error("the payment came from {from}, the deposit's signer is {signer}")]
    WrongFrom {
        /// The authenticated sender.
        from: Address,
        /// The deposit's signer, the owner of the account to credit.
        signer: Address,
    },
    /// The first proof of a deposit must be an opening.
    #[error("deposit {0} is unknown here; send an opening (the cheque with its deposit's terms)")]
    UnknownDeposit(DepositId),
    /// The host passed the position of another deposit.
    #[error(
        "the position is of deposit {found}, the proof of {expected}; pass the position of the proof's deposit"
    )]
    WrongPosition {
        /// The position's deposit.
        found: DepositId,
        /// The proof's deposit.
        expected: DepositId,
    },
    /// The opening proves another allowance than the position. A payee uses a single leaf of each deposit, so that its
    /// total belongs to a single allowance.
    #[error("deposit {0} already grants this payee another allowance")]
    SecondAllowance(DepositId),
    /// The clocks tell no time to pay by: node, beacon or clock are off.
    #[error(transparent)]
    Clock(#[from] ClockError),
    /// The chain has stopped finalizing, so an opening may be taken back after the draw is known.
    #[error(
        "the chain's final block has time {final_time}, more than {limit} s before {now}; wait until the chain \
         finalizes again"
    )]
    ChainNotFinal {
        /// The time of the final block, seconds since 1970.
        final_time: u64,
        /// The latest of the three clocks, seconds since 1970.
        now: u64,
        /// The largest age of the final block, in seconds.
        limit: u64,
    },
    /// The bank does not hold the deposit, or its opening is not confirmed.
    #[error(
        "deposit {0} is not open, or not confirmed yet; wait until its opening is confirmed, or use another deposit"
    )]
    NotConfirmed(DepositId),
    /// The draw is so close that it might become known before the cheque is stored.
    #[error(
        "the draw at {draw_time} is less than {cutoff} s after {now}, or over; use a deposit with a later draw"
    )]
    PastCutoff {
        /// The latest of the three clocks, seconds since 1970.
        now: u64,
        /// The time of the draw, seconds since 1970.
        draw_time: u64,
        /// The payee's cutoff, in seconds.
        cutoff: u64,
    },
    /// The payee would wait too long for the draw.
    #[error("the draw at {draw_time} is later than {latest}; use a deposit with an earlier draw")]
    HorizonTooLong {
        /// The time of the draw, seconds since 1970.
        draw_time: u64,
        /// The latest time of a draw that the payee accepts now, seconds since 1970.
        latest: u64,
    },
    /// The window to redeem a win is too short.
    #[error(
        "a win could be redeemed for {window} s only, the payee wants {min} s; use a deposit with a longer window"
    )]
    WindowTooShort {
        /// The time after the draw in which a win can be redeemed, in seconds.
        window: u64,
        /// The shortest window that the payee accepts, in seconds.
        min: u64,
    },
    /// The deposit is larger than the payee allows.
    #[error(
        "the deposit's amount {amount} is more than the payee's limit {limit}; use smaller deposits"
    )]
    DepositTooLarge {
        /// The deposit's amount, in token units.
        amount: Amount,
        /// The payee's limit, in token units.
        limit: Amount,
    },
    /// The payee would have too much at stake with this signer.
    #[error(
        "all totals of this signer that are not drawn or redeemed come to {exposure}, more than the payee's limit \
         {limit}; pay less, or wait for the next draw"
    )]
    ExposureTooLarge {
        /// The sum, this payment included, in token units.
        exposure: Amount,
        /// The payee's limit, in token units.
        limit: Amount,
    },
    /// The payee would have too much at stake in deposits whose opening can still be taken back.
    #[error(
        "all totals of this signer in deposits that are not settled come to {unsettled}, more than the payee's limit \
         {limit}; pay less until the opening is final"
    )]
    UnsettledTooLarge {
        /// The sum, this payment included, in token units.
        unsettled: Amount,
        /// The payee's limit, in token units: a multiple of the cost of redeeming.
        limit: Amount,
    },
    /// The payout would not be worth its gas.
    #[error(
        "a win would pay {payout}; at a redemption cost of {cost} the payee wants at least {min}"
    )]
    PayoutTooSmall {
        /// The payout of a win, in token units.
        payout: Amount,
        /// The cost to redeem a win, in token units.
        cost: Amount,
        /// The smallest payout that the payee accepts, in token units.
        min: Amount,
    },
    /// The allowance proof does not fit the deposit.
    #[error("the allowance is not part of the deposit: {0}")]
    BadAllowanceProof(#[from] ProofError),
    /// No key made the signature.
    #[error("the cheque is not signed: {0}")]
    BadSignature(#[from] SignatureError),
    /// Another key signed the cheque, or the signer signed it for another payee, deposit or bank.
    #[error("the cheque is signed by {found}, the deposit's signer is {expected}")]
    WrongSigner {
        /// The key recovered for a cheque of this deposit and payee.
        found: Address,
        /// The deposit's signer.
        expected: Address,
    },
    /// The cheque has an anchor without a step, or a step without an anchor.
    #[error(transparent)]
    BadStreamTerms(#[from] StreamTermsError),
    /// The total exceeds the allowance.
    #[error("{spent} is spent of an allowance of {allowance}")]
    OverAllowance {
        /// The total of the proof, in token units; [`Amount::MAX`] stands for larger numbers too.
        spent: Amount,
        /// The payee's allowance, in token units.
        allowance: Amount,
    },
    /// The first cheque pays nothing and has no stream.
    #[error("the cheque pays nothing and begins no stream")]
    NothingSpent,
    /// The newest cheque has no stream.
    #[error("the newest cheque of deposit {0} has no stream")]
    NoStream(DepositId),
    /// Redeeming so many steps would cost more than the payee assumes.
    #[error(
        "the stream would have {steps} steps, and the payee follows {limit}; write a cheque instead"
    )]
    StreamTooLong {
        /// The number of steps shown.
        steps: u32,
        /// The payee's limit.
        limit: u32,
    },
    /// x does not lead to the value shown before, perhaps because it belongs to an older stream.
    #[error("the stream step does not lead to the newest cheque's anchor")]
    WrongStep,
    /// A new stream has the anchor of the present stream, whose steps are known.
    #[error(
        "the cheque reuses the anchor of the stream before; start the stream from a fresh secret"
    )]
    AnchorReused,
    /// The proof was counted before.
    #[error("this proof was counted before")]
    Replay,
    /// The proof is older than the newest one counted. A payer that has lost its records may resume from `newest` and
    /// `shown`, which it can check against its own key: see [`Account::resume`](crate::Account::resume).
    #[error(
        "the proof has a total of {total}, and {newest_total} was counted before; resume from the newest cheque"
    )]
    Stale {
        /// The total of the proof, in token units.
        total: Amount,
        /// The total counted before, in token units.
        newest_total: Amount,
        /// The newest cheque.
        newest: Box<SignedCheque>,
        /// The number of steps shown of its stream, and the x that shows them (zero for none).
        shown: (u32, B256),
    },
}

/// What a sender can do about a rejection. Exhaustive by design.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RejectionClass {
    /// The same proof may be accepted later: the chain, the clocks, the gas price or the payee's exposure have to change, or
    /// a message that comes first has to arrive.
    Retry,
    /// The same proof is never accepted here.
    Never,
    /// The proof was counted before, or is older than a counted proof. It is not counted again.
    Seen,
}

impl RejectionClass {
    /// Returns a stable name for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Never => "never",
            Self::Seen => "seen",
        }
    }
}

impl Rejection {
    /// Returns what the sender can do.
    pub const fn class(&self) -> RejectionClass {
        match self {
            Self::Replay | Self::Stale { .. } => RejectionClass::Seen,
            Self::Clock(_)
            | Self::ChainNotFinal { .. }
            | Self::UnknownDeposit(_)
            | Self::NotConfirmed(_)
            | Self::HorizonTooLong { .. }
            | Self::ExposureTooLarge { .. }
            | Self::UnsettledTooLarge { .. }
            | Self::TokenWithoutRate(_)
            | Self::PayoutTooSmall { .. }
            | Self::NoStream(_) => RejectionClass::Retry,
            _ => RejectionClass::Never,
        }
    }

    /// Returns the HTTP status of an answer that tells the rejection.
    ///
    /// | status | meaning |
    /// |---|---|
    /// | 402 | well-formed, but does not pay: not yet, too late, or too little; pay otherwise, or again later |
    /// | 409 | counted before, or older than a counted proof; or the secrets of its stream are known |
    /// | 422 | never valid here |
    /// | 503 | not checked, because clocks, node or beacon are behind, or the chain does not finalize; send it again |
    pub const fn http_status(&self) -> u16 {
        match self {
            Self::Stale { .. } | Self::Replay | Self::AnchorReused => 409,
            Self::Clock(_) | Self::ChainNotFinal { .. } => 503,
            Self::UnknownDeposit(_)
            | Self::NotConfirmed(_)
            | Self::PastCutoff { .. }
            | Self::HorizonTooLong { .. }
            | Self::WindowTooShort { .. }
            | Self::DepositTooLarge { .. }
            | Self::ExposureTooLarge { .. }
            | Self::UnsettledTooLarge { .. }
            | Self::TokenWithoutRate(_)
            | Self::PayoutTooSmall { .. }
            | Self::OverAllowance { .. }
            | Self::NothingSpent
            | Self::NoStream(_)
            | Self::StreamTooLong { .. } => 402,
            _ => 422,
        }
    }

    /// Returns a stable name for programs, in snake case.
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
            Self::WrongPosition { .. } => "wrong_position",
            Self::SecondAllowance(_) => "second_allowance",
            Self::Clock(error) => error.code(),
            Self::ChainNotFinal { .. } => "chain_not_final",
            Self::NotConfirmed(_) => "not_confirmed",
            Self::PastCutoff { .. } => "past_cutoff",
            Self::HorizonTooLong { .. } => "horizon_too_long",
            Self::WindowTooShort { .. } => "window_too_short",
            Self::DepositTooLarge { .. } => "deposit_too_large",
            Self::ExposureTooLarge { .. } => "exposure_too_large",
            Self::UnsettledTooLarge { .. } => "unsettled_too_large",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_and_statuses_agree() {
        let id = DepositId(B256::ZERO);
        let limit = Amount::ZERO;
        for (rejection, class, status) in [
            (Rejection::Replay, RejectionClass::Seen, 409),
            (Rejection::AnchorReused, RejectionClass::Never, 409),
            (Rejection::NotConfirmed(id), RejectionClass::Retry, 402),
            (Rejection::UnknownDeposit(id), RejectionClass::Retry, 402),
            (
                Rejection::ExposureTooLarge {
                    exposure: limit,
                    limit,
                },
                RejectionClass::Retry,
                402,
            ),
            (
                Rejection::PastCutoff {
                    now: 1,
                    draw_time: 1,
                    cutoff: 1,
                },
                RejectionClass::Never,
                402,
            ),
            (
                Rejection::ChainNotFinal {
                    final_time: 0,
                    now: 1,
                    limit: 0,
                },
                RejectionClass::Retry,
                503,
            ),
            (Rejection::ChainNotAccepted(1), RejectionClass::Never, 422),
            (Rejection::WrongStep, RejectionClass::Never, 422),
        ] {
            let found = (rejection.class(), rejection.http_status());
            assert_eq!(found, (class, status), "{}", rejection.code());
        }
    }
}
