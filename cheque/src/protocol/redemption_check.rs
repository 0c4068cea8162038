//! The contract's check of a redemption, off-chain (SPEC section 10).

use crate::protocol::{
    allowance::proof::{AllowanceProof, ProofError},
    amount::Amount,
    draw::{Seed, payout, roll, seed_from_header},
    signature::{Signature, recover},
    stream::{MAX_STEPS, hash_chain},
    terms::{Bank, DepositId},
};
use alloy_primitives::{Address, B256, U256};
use cheque_bindings::{Outcome, Redemption, SeedSource};

/// The inputs of the contract's check, as of the block of the redemption.
///
/// Does not check that they come from the same block. Plain data, exhaustive by design: a missing input must not
/// compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BankSnapshot {
    /// The bank.
    pub bank: Bank,
    /// The bank's source of seeds.
    pub seed_source: SeedSource,
    /// The number of the block that includes the redemption.
    pub block: u64,
    /// The word of the deposit's purse.
    pub purse: U256,
    /// The recorded seed of the draw block, if any.
    pub recorded_seed: Option<Seed>,
    /// The hash of the draw block, if the chain knows it (already and still).
    pub draw_block_hash: Option<B256>,
    /// The sender of the redemption.
    pub caller: Address,
}

/// Simulates `redeem`: returns the outcome, and the payout in token units if known, else zero.
///
/// Makes the checks of the contract's `outcomeOf` in their order, with two exceptions. Does not ask a contract for its
/// consent (ERC-1271). And if `to` is the bank itself, the contract reverts before any check.
pub fn simulate_redemption(redemption: &Redemption, state: &BankSnapshot) -> (Outcome, Amount) {
    match judge(redemption, state) {
        Ok(payout) => (Outcome::Payable, payout),
        Err((outcome, payout)) => (outcome, payout),
    }
}

/// Simulates `redeem` for packed bytes; [`Outcome::Malformed`] if they are not a redemption.
pub fn simulate_packed_redemption(packed: &[u8], state: &BankSnapshot) -> (Outcome, Amount) {
    match Redemption::unpack(packed) {
        Ok(redemption) => simulate_redemption(&redemption, state),
        Err(_) => (Outcome::Malformed, Amount::ZERO),
    }
}

type Refusal = (Outcome, Amount);

fn judge(r: &Redemption, state: &BankSnapshot) -> Result<Amount, Refusal> {
    let refuse = |outcome| (outcome, Amount::ZERO);
    let id = state.bank.deposit_id(&r.deposit);
    if state.purse != U256::from_be_bytes(id.0.0) {
        return Err(refuse(Outcome::NotOpen));
    }
    if state.block <= r.deposit.drawBlock {
        return Err(refuse(Outcome::TooEarly));
    }
    if state.block > r.deposit.lastRedeemBlock {
        return Err(refuse(Outcome::TooLate));
    }
    let (total, start) = promised(r, id, state).map_err(refuse)?;
    let seed = seed(r, state).map_err(refuse)?;
    let Some(payout) = payout(total, Amount::new(r.allowance), &r.deposit) else {
        // Unreachable after the checks above.
        return Err(refuse(Outcome::BadProof));
    };
    if !payout.wins(start, roll(seed, id, Amount::new(r.deposit.amount))) {
        return Err((Outcome::Loses, payout.amount));
    }
    if !agreed(r, id, total, payout.amount, state) {
        return Err((Outcome::ConsentMissing, payout.amount));
    }
    Ok(payout.amount)
}

/// Checks the cheque, and returns its total and the start of the payee's range.
fn promised(
    r: &Redemption,
    id: DepositId,
    state: &BankSnapshot,
) -> Result<(Amount, Amount), Outcome> {
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
    let start = locate(r).map_err(|_| Outcome::BadProof)?;
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
    Ok((Amount::new(shown.to()), start))
}

/// Checks the allowance proof, and returns the start of the payee's range.
fn locate(r: &Redemption) -> Result<Amount, ProofError> {
    let proof = AllowanceProof {
        allowance: Amount::new(r.allowance),
        salt: r.salt,
        path: r.path.to(),
        siblings: AllowanceProof::unpack_siblings(&r.siblings)?,
    };
    proof.start(r.payee, &r.deposit)
}

fn seed(r: &Redemption, state: &BankSnapshot) -> Result<Seed, Outcome> {
    if let Some(seed) = state.recorded_seed {
        return Ok(seed);
    }
    let from_header = state.seed_source == SeedSource::PrevRandao;
    if from_header && r.header.is_empty() {
        return Err(Outcome::SeedUnknown);
    }
    let hash = state.draw_block_hash.ok_or(Outcome::SeedUnknown)?;
    if from_header {
        seed_from_header(&r.header, hash).map_err(|_| Outcome::BadHeader)
    } else if r.header.is_empty() {
        Ok(Seed(hash))
    } else {
        Err(Outcome::BadHeader)
    }
}

fn agreed(
    r: &Redemption,
    id: DepositId,
    total: Amount,
    payout: Amount,
    state: &BankSnapshot,
) -> bool {
    let whole_deposit = payout.get() == r.deposit.amount && r.to.is_zero();
    state.caller == r.payee
        || whole_deposit
        || signed_by(
            r.payee,
            state.bank.consent_digest(id, total, r.to),
            &r.consent,
        )
}

fn signed_by(account: Address, digest: B256, signature: &[u8]) -> bool {
    <[u8; 65]>::try_from(signature).is_ok_and(|bytes| {
        recover(digest, &Signature::from_bytes(bytes)).is_ok_and(|key| key.address() == account)
    })
}
