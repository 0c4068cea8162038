//! Asks core and contract for their judgement, and checks that the contract acts on the judgement.

use crate::evm::{Evm, Revert, purse_of, purse_word, redeemBatchCall, redeemCall};
use alloy_primitives::{Address, Bytes, U256};
use cheque::{BankSnapshot, Deposit, Outcome, Redemption, simulate_packed_redemption};

/// Returns the judgement of packed bytes. Panics if core and contract disagree.
pub(crate) fn judge_both(chain: &mut Evm, packed: &Bytes, state: &BankSnapshot) -> (Outcome, u128) {
    let (outcome, payout) = simulate_packed_redemption(packed, state);
    let ours = (outcome, payout.get());
    let contracts = chain.outcome_of(packed, state.caller);
    assert_eq!(
        ours,
        contracts,
        "core and contract disagree on {packed}, unpacked {:?}, at {state:?}",
        Redemption::unpack(packed)
    );
    ours
}

/// Sends the redemption, asserts that the contract follows the judgement, and discards the changes.
pub(crate) fn assert_redeem_matches(
    chain: &mut Evm,
    packed: &Bytes,
    state: &BankSnapshot,
    (outcome, payout): (Outcome, u128),
) {
    let call = redeemCall {
        redemption: packed.clone(),
    };
    let Ok(r) = Redemption::unpack(packed) else {
        let refusal = chain.attempt(state.caller, 0, &call).unwrap_err();
        chain.forget();
        assert_eq!(outcome, Outcome::Malformed);
        assert_eq!(reason(refusal), outcome);
        return;
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
            assert_eq!(reason(refusal), outcome);
            assert_ne!(outcome, Outcome::Payable);
            assert_eq!(word(chain, &r.deposit), state.purse);
        }
    }
    chain.forget();
}

/// Sends the redemption in a batch, asserts that it is paid or skipped by the judgement, and discards the changes.
pub(crate) fn assert_batch_matches(
    chain: &mut Evm,
    packed: &Bytes,
    state: &BankSnapshot,
    (outcome, payout): (Outcome, u128),
) {
    let batch = redeemBatchCall {
        redemptions: vec![packed.clone()],
    };
    let payouts = chain.attempt(state.caller, 0, &batch).expect("a batch");
    let Ok(r) = Redemption::unpack(packed) else {
        chain.forget();
        assert_eq!(payouts, [0]);
        return;
    };
    let left = word(chain, &r.deposit);
    chain.forget();
    if outcome == Outcome::Payable && r.to.is_zero() {
        assert_eq!(payouts, [payout]);
        assert_eq!(left, U256::from(r.deposit.amount - payout));
    } else {
        assert_eq!(payouts, [0]);
        assert_eq!(left, state.purse);
    }
}

/// Returns the word of a purse, pending changes included.
fn word(chain: &mut Evm, purse: &Deposit) -> U256 {
    let purse = chain.attempt(Address::ZERO, 0, &purse_of(purse));
    purse_word(purse.expect("a view does not revert"))
}

/// Returns the outcome in the revert of a redemption.
pub(crate) fn reason(revert: Revert) -> Outcome {
    match revert {
        Revert::NotRedeemable(refusal) => refusal.outcome,
        other => panic!("redeem reverted with {other:?}"),
    }
}
