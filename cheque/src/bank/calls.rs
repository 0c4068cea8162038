//! Calls of the bank's functions, to send as transactions.

use crate::{
    protocol::{amount::Amount, beacon::round::BeaconRound, signature::Signature, terms::Bank},
    tx::wallet::Call,
};
use alloy_primitives::{Address, Bytes, U256};
use cheque_bindings::IChequeBank;
use cheque_bindings::{Deposit, Withdraw};

impl Call {
    /// Adds `amount` to an account's balance. Sends the native coin along; a token needs an [approval](Call::approve) first.
    pub fn fund(bank: &Bank, token: Address, account: Address, amount: Amount) -> Self {
        let amount = amount.to_u256();
        let call = IChequeBank::fundCall {
            token,
            account,
            amount,
        };
        let value = if token.is_zero() { amount } else { U256::ZERO };
        Self::new(bank.address(), &call).with_value(value)
    }

    /// Withdraws idle money from the sender's purse `lane` (0: the balance) to `to`.
    pub fn withdraw(bank: &Bank, token: Address, lane: u64, amount: U256, to: Address) -> Self {
        let call = IChequeBank::withdrawCall {
            token,
            lane,
            amount,
            to,
        };
        Self::new(bank.address(), &call)
    }

    /// Withdraws an account's idle money as its signed agreement says.
    pub fn withdraw_for(bank: &Bank, agreement: &Withdraw, signature: Bytes) -> Self {
        let call = IChequeBank::withdrawForCall {
            account: agreement.account,
            token: agreement.token,
            lane: agreement.lane,
            amount: agreement.amount,
            to: agreement.to,
            nonce: agreement.nonce,
            deadline: agreement.deadline,
            signature,
        };
        Self::new(bank.address(), &call)
    }

    /// Opens the sender's own deposit, with `value` wei.
    pub fn open(bank: &Bank, deposit: &Deposit, value: U256) -> Self {
        let call = IChequeBank::openCall {
            deposit: deposit.clone(),
        };
        Self::new(bank.address(), &call).with_value(value)
    }

    /// Opens another payer's deposit, by the payer's signature over [`Bank::open_digest`].
    pub fn open_for(bank: &Bank, deposit: &Deposit, deadline: U256, signature: &Signature) -> Self {
        let call = IChequeBank::openForCall {
            deposit: deposit.clone(),
            deadline,
            signature: Bytes::copy_from_slice(signature.as_bytes()),
        };
        Self::new(bank.address(), &call)
    }

    /// Reclaims the sender's deposit `expired` unless already reclaimed, and opens `next` in its purse.
    pub fn reopen(bank: &Bank, expired: &Deposit, next: &Deposit, value: U256) -> Self {
        let call = IChequeBank::reopenCall {
            expired: expired.clone(),
            next: next.clone(),
        };
        Self::new(bank.address(), &call).with_value(value)
    }

    /// Reclaims a deposit not redeemed in time: the amount becomes idle money of its purse.
    pub fn reclaim(bank: &Bank, deposit: &Deposit) -> Self {
        let call = IChequeBank::reclaimCall {
            deposit: deposit.clone(),
        };
        Self::new(bank.address(), &call)
    }

    /// Records the seed of a draw time in the bank, for ever. `round` is that of the time.
    pub fn record_seed(bank: &Bank, round: &BeaconRound) -> Self {
        let call = IChequeBank::recordSeedCall {
            drawTime: round.time(),
            proof: proof_of(round),
        };
        Self::new(bank.address(), &call)
    }

    /// Redeems a cheque. `packed` is the result of [`Redemption::pack`](cheque_bindings::Redemption::pack), `round` that of
    /// the draw, unless its seed is recorded.
    pub fn redeem(bank: &Bank, packed: Bytes, round: Option<&BeaconRound>) -> Self {
        let call = IChequeBank::redeemCall {
            redemption: packed,
            proof: round.map(proof_of).unwrap_or_default(),
        };
        Self::new(bank.address(), &call)
    }

    /// Redeems many cheques, each packed as for [`redeem`](Call::redeem), to their payees' balances. `rounds` are those of
    /// the draws whose seeds are not recorded, each once. The bank skips cheques not payable.
    pub fn redeem_batch(bank: &Bank, packed: Vec<Bytes>, rounds: &[BeaconRound]) -> Self {
        let call = IChequeBank::redeemBatchCall {
            redemptions: packed,
            drawTimes: rounds.iter().map(BeaconRound::time).collect(),
            proofs: rounds.iter().map(proof_of).collect(),
        };
        Self::new(bank.address(), &call)
    }
}

/// Returns the proof of a round in the form of the bank.
pub(super) fn proof_of(round: &BeaconRound) -> Bytes {
    Bytes::copy_from_slice(round.proof().as_bytes())
}
