//! Compares the terms refused by core and contract.

use crate::{
    evm::{Evm, Revert, openCall},
    random::{account, cases, pick, rng, word},
};
use alloy_primitives::Address;
use cheque::{Deposit, SeedSource, TermsError, check_terms};
use rand::Rng;

const MIN_LEAD: u64 = 4;

/// Returns the core's error for a revert of `open` about the terms, or `None` for other reverts.
fn of_terms(revert: &Revert) -> Option<fn(&TermsError) -> bool> {
    Some(match revert {
        Revert::ZeroAmount(_) => |error| matches!(error, TermsError::ZeroAmount),
        Revert::ZeroSigner(_) => |error| matches!(error, TermsError::ZeroSigner),
        Revert::ZeroLane(_) => |error| matches!(error, TermsError::ZeroLane),
        Revert::MinPayoutTooHigh(_) => |error| matches!(error, TermsError::MinPayoutTooHigh { .. }),
        Revert::RedeemWindowEmpty(_) => {
            |error| matches!(error, TermsError::RedeemWindowEmpty { .. })
        }
        _ => return None,
    })
}

#[test]
fn refuses_the_same_terms_as_the_contract() {
    let rng = &mut rng(50);
    let mut chain = Evm::new(SeedSource::PrevRandao, MIN_LEAD);
    let (mut opened, mut refused) = (0, 0);
    for _ in 0..cases(2_000) {
        let earliest = chain.block() + MIN_LEAD;
        let amount = *pick(&[1, u128::MAX, rng.random_range(1..=u128::MAX)], rng);
        let draw_block = *pick(&[earliest, earliest + 1, u64::MAX - 1], rng);
        let mut deposit = Deposit {
            payer: account(rng),
            signer: account(rng),
            token: Address::ZERO,
            lane: *pick(&[1, 2, u64::MAX], rng),
            amount,
            minPayout: *pick(&[0, 1, amount], rng),
            drawBlock: draw_block,
            lastRedeemBlock: *pick(&[draw_block + 1, u64::MAX], rng),
            root: word(rng),
        };
        let mistakes = *pick(&[0, 1, 1, 2], rng);
        for _ in 0..mistakes {
            match rng.random_range(0..6) {
                0 => deposit.amount = 0,
                1 => deposit.signer = Address::ZERO,
                2 => deposit.lane = 0,
                3 => deposit.minPayout = deposit.amount.saturating_add(1),
                4 => deposit.lastRedeemBlock = deposit.drawBlock,
                _ => deposit.lastRedeemBlock = rng.random_range(0..=deposit.drawBlock),
            }
        }
        let ours = check_terms(&deposit);
        let call = openCall {
            deposit: deposit.clone(),
        };
        let contracts = chain.send(deposit.payer, deposit.amount, &call);
        match (ours, contracts) {
            (Ok(()), Ok(id)) => {
                assert_eq!(id, chain.bank.deposit_id(&deposit).0);
                opened += 1;
            }
            (Err(error), Err(revert)) => {
                let same = of_terms(&revert).expect("a mistake in the terms");
                // Of two mistakes each side names the first by its own order of checks.
                assert!(mistakes > 1 || same(&error), "{error} and {revert:?}");
                refused += 1;
            }
            (ours, contracts) => panic!("core: {ours:?}, contract: {contracts:?}, {deposit:?}"),
        }
    }
    assert!(
        opened > 100 && refused > 100,
        "{opened} opened, {refused} refused"
    );
}

#[test]
fn refuses_too_early_draw_in_contract_only() {
    let rng = &mut rng(51);
    let mut chain = Evm::new(SeedSource::PrevRandao, MIN_LEAD);
    let earliest = chain.block() + MIN_LEAD;
    for draw_block in [0, earliest - MIN_LEAD, earliest - 1] {
        let deposit = Deposit {
            drawBlock: draw_block,
            lastRedeemBlock: earliest + 100,
            amount: 10,
            minPayout: 10,
            lane: 1,
            payer: account(rng),
            signer: account(rng),
            token: Address::ZERO,
            root: word(rng),
        };
        assert_eq!(check_terms(&deposit), Ok(()));
        let payer = deposit.payer;
        let refusal = chain.send(payer, 10, &openCall { deposit }).unwrap_err();
        assert!(matches!(refusal, Revert::DrawTooSoon(_)));
    }
}
