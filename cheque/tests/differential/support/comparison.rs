//! Asks core and contract for their judgement, and checks that the contract acts on the judgement.

use crate::evm::{Evm, Revert, purse_of, purse_word, redeemBatchCall, redeemCall};
use alloy_primitives::{Address, Bytes, U256};
use cheque::{BankSnapshot, Deposit, Outcome, Redemption, simulate_packed_redemption};

/// Packed bytes, the proof that comes with them, and the view of their sender.
#[derive(Clone, Copy)]
pub(crate) struct Sent<'a> {
    pub(crate) packed: &'a Bytes,
    pub(crate) proof: &'a Bytes,
    pub(crate) state: &'a BankSnapshot,
}

impl Sent<'_> {
    /// True if the contract reverts instead of answering `SeedUnknown`: for a proof that shows no seed.
    fn is_false(&self) -> bool {
        self.state.seed.is_none() && !self.proof.is_empty()
    }

    fn redeem_call(&self) -> redeemCall {
        redeemCall {
            redemption: self.packed.clone(),
            proof: self.proof.clone(),
        }
    }
}

/// Returns the judgement of packed bytes. Panics if core and contract disagree. To the core a false proof is like none.
pub(crate) fn judge_both(chain: &mut Evm, sent: Sent<'_>) -> (Outcome, u128) {
    let (outcome, payout) = simulate_packed_redemption(sent.packed, sent.state);
    let ours = (outcome, payout.get());
    let contracts = chain.outcome_of(sent.packed, sent.proof, sent.state.caller);
    let contracts = contracts.map_err(|revert| reason(revert, sent));
    let same = match contracts {
        Ok(contracts) => ours == contracts && !(outcome == Outcome::SeedUnknown && sent.is_false()),
        Err(contracts) => ours == (contracts, 0) && sent.is_false(),
    };
    let (unpacked, state) = (Redemption::unpack(sent.packed), sent.state);
    assert!(
        same,
        "core: {ours:?}, contract: {contracts:?} on {}, unpacked {unpacked:?}, with proof {}, at {state:?}",
        sent.packed, sent.proof
    );
    ours
}

/// Sends the redemption, asserts that the contract follows the judgement, and discards the changes.
pub(crate) fn assert_redeem_matches(
    chain: &mut Evm,
    sent: Sent<'_>,
    (outcome, payout): (Outcome, u128),
) {
    let (call, state) = (sent.redeem_call(), sent.state);
    let r = match Redemption::unpack(sent.packed) {
        Ok(r) => r,
        Err(error) => {
            let refusal = chain.attempt(state.caller, 0, &call).unwrap_err();
            chain.forget();
            assert_eq!(outcome, error.outcome());
            assert_eq!(reason(refusal, sent), outcome);
            return;
        }
    };
    let balance = Deposit {
        payer: r.payee,
        lane: 0,
        ..r.deposit.clone()
    };
    let balance_before = word(chain, &balance);
    let coins_before = chain.coins(r.to);
    match chain.attempt(state.caller, 0, &call) {
        Ok(paid) => {
            assert_eq!((outcome, paid), (Outcome::Payable, payout));
            assert!(payout <= r.deposit.amount);
            let to_account = !r.to.is_zero();
            let (credit, coins) = if to_account { (0, payout) } else { (payout, 0) };
            let rest = U256::from(r.deposit.amount - payout);
            assert_eq!(word(chain, &r.deposit), rest);
            assert_eq!(word(chain, &balance), balance_before + U256::from(credit));
            assert_eq!(chain.coins(r.to), coins_before + U256::from(coins));
        }
        Err(refusal) => {
            assert_eq!(reason(refusal, sent), outcome);
            assert_ne!(outcome, Outcome::Payable);
            assert_eq!(word(chain, &r.deposit), state.purse);
        }
    }
    chain.forget();
}

/// Sends the redemption in a batch, asserts that it is paid or skipped by the judgement, and discards the changes.
pub(crate) fn assert_batch_matches(
    chain: &mut Evm,
    sent: Sent<'_>,
    (outcome, payout): (Outcome, u128),
) {
    let state = sent.state;
    let unpacked = Redemption::unpack(sent.packed).ok();
    // A batch has no proof for bytes that name no draw.
    let proven = unpacked.as_ref().filter(|_| !sent.proof.is_empty());
    let batch = redeemBatchCall {
        redemptions: vec![sent.packed.clone()],
        drawTimes: proven.map(|r| r.deposit.drawTime).into_iter().collect(),
        proofs: proven.map(|_| sent.proof.clone()).into_iter().collect(),
    };
    let payouts = chain.attempt(state.caller, 0, &batch);
    let left = unpacked.as_ref().map(|r| word(chain, &r.deposit));
    chain.forget();
    if proven.is_some() && sent.is_false() {
        // Proofs come first, whatever is to be said of the redemption.
        let refusal = payouts.unwrap_err();
        assert_eq!(reason(refusal, sent), Outcome::SeedUnknown);
        return;
    }
    let payouts = payouts.expect("a batch");
    match unpacked {
        Some(r) if outcome == Outcome::Payable && r.to.is_zero() => {
            assert_eq!(payouts, [payout]);
            assert_eq!(left, Some(U256::from(r.deposit.amount - payout)));
        }
        _ => {
            assert_eq!(payouts, [0]);
            assert_eq!(left.unwrap_or(state.purse), state.purse);
        }
    }
}

/// Returns the word of a purse, pending changes included.
fn word(chain: &mut Evm, purse: &Deposit) -> U256 {
    let purse = chain.attempt(Address::ZERO, 0, &purse_of(purse));
    purse_word(purse.expect("a view does not revert"))
}

/// Returns the outcome in the revert of a redemption: `SeedUnknown` for a false proof.
pub(crate) fn reason(revert: Revert, sent: Sent<'_>) -> Outcome {
    match revert {
        Revert::NotRedeemable(refusal) => refusal.outcome,
        Revert::InvalidSeedProof(error) => {
            assert!(sent.is_false(), "a true proof, or none, is called false");
            let r = Redemption::unpack(sent.packed).expect("a redemption that names its draw");
            assert_eq!(error.drawTime, r.deposit.drawTime);
            Outcome::SeedUnknown
        }
        other => panic!("redeem reverted with {other:?}"),
    }
}
