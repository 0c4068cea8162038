//! A thief has the signer's key, the payer's store and unlimited time. The key can spend allowances of listed payees and
//! nothing else: the thief gets no coin, and bank and payees refuse all else.

use crate::{
    evm::{Revert, openCall, reclaimCall, redeemCall},
    random::{rng, salt},
    support::generate,
    support::theft::{ALLOWANCE, DEADLINE, SAVINGS, theft},
};
use alloy_primitives::{Address, Bytes, U256};
use cheque::{
    AllowanceTree, Amount, Deposit, Opening, Outcome, Purse, Rejection, SignedCheque, SigningKey,
    Withdraw,
};
use cheque_bindings::IChequeBank::{openForCall, reopenCall, withdrawCall, withdrawForCall};

#[test]
fn stolen_signer_pays_no_unlisted_payee() {
    let mut theft = theft();
    let (payee, thief) = (theft.payee(), theft.thief);
    // The thief's own cheque, with a listed payee's place in the tree.
    let mut r = theft.redemption(payee, ALLOWANCE);
    let (spent, bank) = (Amount::new(ALLOWANCE), theft.chain.bank);
    let cheque = SignedCheque::sign(&theft.open.signer, &bank, theft.open.id, thief, spent, None);
    r.payee = thief;
    r.signature = Bytes::copy_from_slice(cheque.signature.as_bytes());
    assert_eq!(theft.outcome(&r, thief), Outcome::NotOpen);
    let opening = theft.opening(thief, payee, ALLOWANCE);
    let refused = theft.receive(thief, opening);
    assert!(
        matches!(refused, Err(Rejection::BadAllowanceProof(_))),
        "{refused:?}"
    );

    // A tree that lists the thief belongs to another deposit, which is not open.
    let own = AllowanceTree::build([(thief, theft.open.tree.total())], &salt(&mut rng(1))).unwrap();
    let mut deposit = theft.open.deposit.clone();
    deposit.root = own.root();
    let id = bank.deposit_id(&deposit);
    let all = own.total();
    let opening = Opening {
        bank,
        deposit,
        allowance: own.proof(thief).unwrap(),
        payee: thief,
        cheque: SignedCheque::sign(&theft.open.signer, &bank, id, thief, all, None),
    };
    let mut r = theft.redemption(payee, 1);
    r.deposit = opening.deposit.clone();
    r.payee = thief;
    r.allowance = all.get();
    r.spent = all.get();
    r.salt = opening.allowance.salt;
    r.path = Default::default();
    r.siblings = Bytes::new();
    r.signature = Bytes::copy_from_slice(opening.cheque.signature.as_bytes());
    assert_eq!(theft.outcome(&r, thief), Outcome::NotOpen);
    assert_eq!(
        theft.receive(thief, opening),
        Err(Rejection::NotConfirmed(id))
    );
    theft.assert_nothing_taken();
}

#[test]
fn stolen_signer_pays_no_more_than_an_allowance() {
    let mut theft = theft();
    let payee = theft.payee();
    let all = theft.open.deposit.amount;
    for spent in [ALLOWANCE + 1, all, u128::MAX] {
        let r = theft.redemption(payee, spent);
        assert_eq!(theft.outcome(&r, payee), Outcome::OverAllowance);
        let opening = theft.opening(payee, payee, spent);
        let refused = theft.receive(payee, opening);
        assert!(
            matches!(refused, Err(Rejection::OverAllowance { .. })),
            "{refused:?}"
        );
    }
    // The tree has no larger allowance.
    let mut r = theft.redemption(payee, all);
    r.allowance = all;
    assert_eq!(theft.outcome(&r, payee), Outcome::NotOpen);
    let mut opening = theft.opening(payee, payee, all);
    opening.allowance.allowance = Amount::new(all);
    let refused = theft.receive(payee, opening);
    assert!(
        matches!(refused, Err(Rejection::BadAllowanceProof(_))),
        "{refused:?}"
    );
    theft.assert_nothing_taken();
}

#[test]
fn stolen_signer_pays_nothing_from_other_signers_deposits() {
    let mut theft = theft();
    let (payee, bank) = (theft.payee(), theft.chain.bank);
    let id = bank.deposit_id(&theft.other);
    let spent = Amount::new(ALLOWANCE);
    let cheque = SignedCheque::sign(&theft.open.signer, &bank, id, payee, spent, None);
    let mut r = theft.redemption(payee, ALLOWANCE);
    r.deposit = theft.other.clone();
    r.signature = Bytes::copy_from_slice(cheque.signature.as_bytes());
    assert_eq!(theft.outcome(&r, payee), Outcome::BadSignature);
    let opening = Opening {
        deposit: theft.other.clone(),
        cheque,
        ..theft.opening(payee, payee, ALLOWANCE)
    };
    let refused = theft.receive(payee, opening);
    assert!(
        matches!(refused, Err(Rejection::WrongSigner { .. })),
        "{refused:?}"
    );
    theft.assert_nothing_taken();
}

#[test]
fn stolen_signer_gives_no_consent_and_redirects_no_payout() {
    let mut theft = theft();
    let (payee, thief) = (theft.winner(), theft.thief);
    for (spent, to) in [(1, thief), (1, Address::ZERO), (ALLOWANCE - 1, thief)] {
        let mut r = theft.redemption(payee, spent);
        r.to = to;
        let digest = theft
            .chain
            .bank
            .consent_digest(theft.open.id, payee, Amount::new(spent), to);
        for consent in [Bytes::new(), theft.sign(digest)] {
            r.consent = consent;
            let outcome = theft.outcome(&r, thief);
            assert_eq!(outcome, Outcome::ConsentMissing);
        }
    }
    // Anybody may redeem the whole deposit for the payee, but only to the payee's balance.
    let mut r = theft.redemption(payee, ALLOWANCE);
    r.to = thief;
    assert_eq!(theft.outcome(&r, thief), Outcome::ConsentMissing);
    theft.assert_nothing_taken();
}

#[test]
fn stolen_signer_opens_and_closes_no_deposits() {
    let mut theft = theft();
    let payer = theft.open.deposit.payer;
    let mut next = Deposit {
        lane: 3,
        drawTime: theft.chain.draw_in(10),
        redeemUntil: theft.chain.draw_in(20),
        amount: SAVINGS,
        minPayout: SAVINGS,
        ..theft.open.deposit.clone()
    };
    let not_payer = |why: &Revert| matches!(why, Revert::NotPayer(_));
    let deposit = next.clone();
    theft.assert_refused(&openCall { deposit }, not_payer);
    let digest = theft
        .chain
        .bank
        .open_digest(theft.chain.bank.deposit_id(&next), DEADLINE);
    let open_for = openForCall {
        deposit: next.clone(),
        deadline: DEADLINE,
        signature: theft.sign(digest),
    };
    theft.assert_refused(
        &open_for,
        |why| matches!(why, Revert::InvalidSignature(error) if error.account == payer),
    );
    let deposit = theft.open.deposit.clone();
    theft.assert_refused(&reclaimCall { deposit }, |why| {
        matches!(why, Revert::StillRedeemable(_))
    });
    next.lane = theft.open.deposit.lane;
    let expired = theft.open.deposit.clone();
    theft.assert_refused(&reopenCall { expired, next }, not_payer);
    theft.assert_nothing_taken();
}

#[test]
fn stolen_signer_withdraws_nothing() {
    let mut theft = theft();
    let (payer, thief) = (theft.open.deposit.payer, theft.thief);
    for lane in [0, 1, 2] {
        let amount = U256::from(SAVINGS);
        // From the thief's own empty purses.
        let own = withdrawCall {
            token: Address::ZERO,
            lane,
            amount,
            to: thief,
        };
        theft.assert_refused(&own, |why| matches!(why, Revert::InsufficientFunds(_)));
        let withdraw = Withdraw {
            account: payer,
            token: Address::ZERO,
            lane,
            amount,
            to: thief,
            nonce: U256::from(7),
            deadline: DEADLINE,
        };
        let payers = withdrawForCall {
            account: payer,
            token: Address::ZERO,
            lane,
            amount,
            to: thief,
            nonce: withdraw.nonce,
            deadline: DEADLINE,
            signature: theft.sign(theft.chain.bank.withdraw_digest(&withdraw)),
        };
        theft.assert_refused(
            &payers,
            |why| matches!(why, Revert::InvalidSignature(error) if error.account == payer),
        );
    }
    theft.assert_nothing_taken();
}

#[test]
fn stolen_signer_spends_at_most_all_allowances() {
    let mut theft = theft();
    // All allowances to the last unit: the payees cannot detect the theft.
    let all: Vec<_> = theft.payees.0.iter().map(SigningKey::address).collect();
    let mut spent = 0;
    for payee in all {
        let opening = theft.opening(payee, payee, ALLOWANCE);
        let position = theft.receive(payee, opening).unwrap();
        spent += position.total().get();
    }
    let amount = theft.open.deposit.amount;
    assert_eq!(spent, amount);
    // The drawn payee gets at most the deposit.
    let winner = theft.winner();
    let redeem = redeemCall {
        redemption: generate::packed(&theft.redemption(winner, ALLOWANCE)),
        proof: theft.proof.clone(),
    };
    let paid = theft.chain.send(theft.thief, 0, &redeem);
    assert_eq!(paid.unwrap(), amount);
    assert_eq!(theft.idle(winner, 0), U256::from(amount));
    let payer = theft.open.deposit.payer;
    assert_eq!(theft.idle(payer, 0), U256::from(SAVINGS));
    let other = theft.chain.bank.deposit_id(&theft.other);
    assert_eq!(theft.idle(payer, 2), Purse::Open(other).word());
    theft.assert_thief_has_nothing();
}
