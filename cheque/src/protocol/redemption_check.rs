//! The contract's check of a redemption, off-chain (SPEC section 10).

use crate::protocol::{
    allowance::proof::{AllowanceProof, Walked},
    amount::Amount,
    draw::{Seed, payout, roll},
    signature::{Signature, recover},
    stream::{MAX_STEPS, hash_chain},
    terms::{Bank, DepositId},
};
use alloy_primitives::{Address, B256, U256};
use cheque_bindings::{Deposit, Outcome, Redemption};

/// The inputs of the contract's check, as of the block of the redemption.
///
/// Does not check that they come from the same block. Plain data, exhaustive by design: a missing input must not
/// compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BankSnapshot {
    /// The bank.
    pub bank: Bank,
    /// The timestamp of the block that includes the redemption, seconds since 1970.
    pub time: u64,
    /// The word of the deposit's purse.
    pub purse: U256,
    /// The seed of the draw time: recorded, or shown by a proof that comes with the call and was verified.
    pub seed: Option<Seed>,
    /// The sender of the redemption.
    pub caller: Address,
}

/// Simulates `redeem`: returns the outcome, and the payout in token units if known, else zero.
///
/// Makes the checks of the contract's `outcomeOf` in their order, with three exceptions. Does not ask a contract for its
/// consent (ERC-1271). If `to` is the bank itself, the contract reverts with `InvalidRecipient` before all of these checks.
/// And with a false proof of the seed the contract reverts: the caller verifies the proof before.
pub fn simulate_redemption(redemption: &Redemption, state: &BankSnapshot) -> (Outcome, Amount) {
    match judge(redemption, state) {
        Ok(payout) => (Outcome::Payable, payout),
        Err((outcome, payout)) => (outcome, payout),
    }
}

/// Simulates `redeem` for packed bytes; [`Outcome::Malformed`] or [`Outcome::BadProof`] if they are not a redemption.
pub fn simulate_packed_redemption(packed: &[u8], state: &BankSnapshot) -> (Outcome, Amount) {
    match Redemption::unpack(packed) {
        Ok(redemption) => simulate_redemption(&redemption, state),
        Err(error) => (error.outcome(), Amount::ZERO),
    }
}

type Refusal = (Outcome, Amount);

fn judge(r: &Redemption, state: &BankSnapshot) -> Result<Amount, Refusal> {
    let refuse = |outcome| (outcome, Amount::ZERO);
    let (deposit, start) = locate(r).ok_or(refuse(Outcome::BadProof))?;
    let id = state.bank.deposit_id(&deposit);
    if state.purse != U256::from_be_bytes(id.0.0) {
        return Err(refuse(Outcome::NotOpen));
    }
    if state.time <= r.deposit.drawTime {
        return Err(refuse(Outcome::TooEarly));
    }
    if state.time > r.deposit.redeemUntil {
        return Err(refuse(Outcome::TooLate));
    }
    let total = promised(r, id, state).map_err(refuse)?;
    let seed = state.seed.ok_or(refuse(Outcome::SeedUnknown))?;
    let Some(payout) = payout(total, Amount::new(r.allowance), &deposit) else {
        // An open deposit has minPayout <= amount, and the proof's sum is at least the allowance.
        return Err(refuse(Outcome::NotOpen));
    };
    if !payout.wins(start, roll(seed, id, Amount::new(deposit.amount))) {
        return Err((Outcome::Loses, payout.amount));
    }
    let whole_deposit = payout.amount.get() == deposit.amount && r.to.is_zero();
    if !whole_deposit && !agreed(r, id, total, state) {
        return Err((Outcome::ConsentMissing, payout.amount));
    }
    Ok(payout.amount)
}

/// Checks the cheque, and returns its total.
fn promised(r: &Redemption, id: DepositId, state: &BankSnapshot) -> Result<Amount, Outcome> {
    let k = u32::from(r.k);
    let shows_what_it_has = if k == 0 {
        r.x.is_zero()
    } else {
        !r.anchor.is_zero()
    };
    if k > MAX_STEPS || r.anchor.is_zero() != (r.step == 0) || !shows_what_it_has {
        return Err(Outcome::BadStream);
    }
    // No overflow: k is at most 2^12, so the sum is far below 2^256.
    let shown = U256::from(r.spent) + U256::from(k) * U256::from(r.step);
    if shown.is_zero() {
        return Err(Outcome::NothingSpent);
    }
    if shown > U256::from(r.allowance) {
        return Err(Outcome::OverAllowance);
    }
    let cheque = cheque_bindings::Cheque {
        depositId: id.0,
        payee: r.payee,
        spent: r.spent,
        anchor: r.anchor,
        step: r.step,
    };
    if !signed_by(
        r.deposit.signer,
        state.bank.cheque_digest(&cheque),
        &r.signature,
    ) {
        return Err(Outcome::BadSignature);
    }
    if k > 0 && hash_chain(r.x, k) != r.anchor {
        return Err(Outcome::BadStream);
    }
    Ok(Amount::new(shown.to()))
}

/// Walks the allowance proof: returns the deposit, whose amount and root the proof yields, and the start of the payee's
/// range.
fn locate(r: &Redemption) -> Option<(Deposit, Amount)> {
    let proof = AllowanceProof {
        allowance: Amount::new(r.allowance),
        salt: r.salt,
        path: r.path.to(),
        siblings: AllowanceProof::unpack_siblings(&r.siblings).ok()?,
    };
    let Walked { root, total, start } = proof.walk(r.payee).ok()?;
    let deposit = Deposit {
        amount: u128::try_from(total).ok()?,
        root,
        ..r.deposit.clone()
    };
    // start <= total
    Some((deposit, Amount::new(start.to())))
}

fn agreed(r: &Redemption, id: DepositId, total: Amount, state: &BankSnapshot) -> bool {
    state.caller == r.payee
        || signed_by(
            r.payee,
            state.bank.consent_digest(id, r.payee, total, r.to),
            &r.consent,
        )
}

fn signed_by(account: Address, digest: B256, signature: &[u8]) -> bool {
    <[u8; 65]>::try_from(signature).is_ok_and(|bytes| {
        recover(digest, &Signature::from_bytes(bytes)).is_ok_and(|key| key.address() == account)
    })
}

#[cfg(test)]
mod tests;
