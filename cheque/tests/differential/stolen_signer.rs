//! A thief with the signer's key, the payer's store and all the time it wants. It can spend allowances of listed payees,
//! and nothing else: it gets no coin, and neither bank nor payees take anything else for good.

use crate::{
    common::{rng, salt},
    evm::{Revert, openCall, reclaimCall, redeemCall},
    thief::{ALLOWANCE, DEADLINE, SAVINGS, scene},
    world,
};
use alloy_primitives::{Address, Bytes, U256};
use cheque::{
    AllowanceTree, Amount, Deposit, Opening, Outcome, Purse, Rejection, SignedCheque, SigningKey,
    Withdraw,
};
use cheque_bindings::IChequeBank::{openForCall, reopenCall, withdrawCall, withdrawForCall};

#[test]
fn a_stolen_signer_pays_nobody_who_is_not_listed() {
    let mut scene = scene();
    let (payee, thief) = (scene.payee(), scene.thief);
    // Its own cheque, with somebody else's place in the tree.
    let mut r = scene.redemption(payee, ALLOWANCE);
    let (spent, bank) = (Amount::new(ALLOWANCE), scene.chain.bank);
    let cheque = SignedCheque::sign(&scene.open.signer, &bank, scene.open.id, thief, spent, None);
    r.payee = thief;
    r.signature = Bytes::copy_from_slice(cheque.signature.as_bytes());
    assert_eq!(scene.outcome(&r, thief), Outcome::BadProof);
    let opening = scene.opening(thief, payee, ALLOWANCE);
    let refused = scene.received(thief, opening);
    assert!(
        matches!(refused, Err(Rejection::BadAllowanceProof(_))),
        "{refused:?}"
    );

    // Another tree in which it is listed: that is another deposit, and nobody has opened it.
    let own = AllowanceTree::build([(thief, scene.open.tree.total())], &salt(&mut rng(1))).unwrap();
    let mut deposit = scene.open.deposit.clone();
    deposit.root = own.root();
    let id = bank.deposit_id(&deposit);
    let all = own.total();
    let opening = Opening {
        bank,
        deposit,
        allowance: own.proof(thief).unwrap(),
        payee: thief,
        cheque: SignedCheque::sign(&scene.open.signer, &bank, id, thief, all, None),
    };
    let mut r = scene.redemption(payee, 1);
    r.deposit = opening.deposit.clone();
    r.payee = thief;
    r.allowance = all.get();
    r.spent = all.get();
    r.salt = opening.allowance.salt;
    r.path = Default::default();
    r.siblings = Bytes::new();
    r.signature = Bytes::copy_from_slice(opening.cheque.signature.as_bytes());
    assert_eq!(scene.outcome(&r, thief), Outcome::NotOpen);
    assert_eq!(
        scene.received(thief, opening),
        Err(Rejection::NotConfirmed(id))
    );
    scene.nothing_was_taken();
}

#[test]
fn a_stolen_signer_pays_nobody_more_than_its_allowance() {
    let mut scene = scene();
    let payee = scene.payee();
    let all = scene.open.deposit.amount;
    for spent in [ALLOWANCE + 1, all, u128::MAX] {
        let r = scene.redemption(payee, spent);
        assert_eq!(scene.outcome(&r, payee), Outcome::OverAllowance);
        let opening = scene.opening(payee, payee, spent);
        let refused = scene.received(payee, opening);
        assert!(
            matches!(refused, Err(Rejection::OverAllowance { .. })),
            "{refused:?}"
        );
    }
    // A larger allowance is not in the tree.
    let mut r = scene.redemption(payee, all);
    r.allowance = all;
    assert_eq!(scene.outcome(&r, payee), Outcome::BadProof);
    let mut opening = scene.opening(payee, payee, all);
    opening.allowance.allowance = Amount::new(all);
    let refused = scene.received(payee, opening);
    assert!(
        matches!(refused, Err(Rejection::BadAllowanceProof(_))),
        "{refused:?}"
    );
    scene.nothing_was_taken();
}

#[test]
fn a_stolen_signer_pays_nothing_from_deposits_of_other_signers() {
    let mut scene = scene();
    let (payee, bank) = (scene.payee(), scene.chain.bank);
    let id = bank.deposit_id(&scene.other);
    let spent = Amount::new(ALLOWANCE);
    let cheque = SignedCheque::sign(&scene.open.signer, &bank, id, payee, spent, None);
    let mut r = scene.redemption(payee, ALLOWANCE);
    r.deposit = scene.other.clone();
    r.signature = Bytes::copy_from_slice(cheque.signature.as_bytes());
    assert_eq!(scene.outcome(&r, payee), Outcome::BadSignature);
    let opening = Opening {
        deposit: scene.other.clone(),
        cheque,
        ..scene.opening(payee, payee, ALLOWANCE)
    };
    let refused = scene.received(payee, opening);
    assert!(
        matches!(refused, Err(Rejection::WrongSigner { .. })),
        "{refused:?}"
    );
    scene.nothing_was_taken();
}

#[test]
fn a_stolen_signer_consents_to_nothing_and_redirects_no_payout() {
    let mut scene = scene();
    let (payee, thief) = (scene.selected(), scene.thief);
    for (spent, to) in [(1, thief), (1, Address::ZERO), (ALLOWANCE - 1, thief)] {
        let mut r = scene.redemption(payee, spent);
        r.to = to;
        let digest = scene
            .chain
            .bank
            .consent_digest(scene.open.id, Amount::new(spent), to);
        for consent in [Bytes::new(), scene.sign(digest)] {
            r.consent = consent;
            let outcome = scene.outcome(&r, thief);
            assert_eq!(outcome, Outcome::ConsentMissing);
        }
    }
    // The whole deposit, which anybody may redeem for the payee: to its balance, and nowhere else.
    let mut r = scene.redemption(payee, ALLOWANCE);
    r.to = thief;
    assert_eq!(scene.outcome(&r, thief), Outcome::ConsentMissing);
    scene.nothing_was_taken();
}

#[test]
fn a_stolen_signer_opens_and_closes_no_deposits() {
    let mut scene = scene();
    let payer = scene.open.deposit.payer;
    let mut next = Deposit {
        lane: 3,
        drawBlock: scene.chain.block() + 10,
        lastRedeemBlock: scene.chain.block() + 20,
        amount: SAVINGS,
        minPayout: SAVINGS,
        ..scene.open.deposit.clone()
    };
    let not_payer = |why: &Revert| matches!(why, Revert::NotPayer(_));
    let deposit = next.clone();
    scene.refused(&openCall { deposit }, not_payer);
    let digest = scene
        .chain
        .bank
        .open_digest(scene.chain.bank.deposit_id(&next), DEADLINE);
    let open_for = openForCall {
        deposit: next.clone(),
        deadline: DEADLINE,
        signature: scene.sign(digest),
    };
    scene.refused(
        &open_for,
        |why| matches!(why, Revert::InvalidSignature(error) if error.account == payer),
    );
    let deposit = scene.open.deposit.clone();
    scene.refused(&reclaimCall { deposit }, |why| {
        matches!(why, Revert::StillRedeemable(_))
    });
    next.lane = scene.open.deposit.lane;
    let expired = scene.open.deposit.clone();
    scene.refused(&reopenCall { expired, next }, not_payer);
    scene.nothing_was_taken();
}

#[test]
fn a_stolen_signer_withdraws_nothing() {
    let mut scene = scene();
    let (payer, thief) = (scene.open.deposit.payer, scene.thief);
    for lane in [0, 1, 2] {
        let amount = U256::from(SAVINGS);
        // From purses of its own, for it has no others.
        let own = withdrawCall {
            token: Address::ZERO,
            lane,
            amount,
            to: thief,
        };
        scene.refused(&own, |why| matches!(why, Revert::InsufficientFunds(_)));
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
            signature: scene.sign(scene.chain.bank.withdraw_digest(&withdraw)),
        };
        scene.refused(
            &payers,
            |why| matches!(why, Revert::InvalidSignature(error) if error.account == payer),
        );
    }
    scene.nothing_was_taken();
}

#[test]
fn the_most_that_a_stolen_signer_can_do_is_to_spend_the_allowances_of_listed_payees() {
    let mut scene = scene();
    // All of them, to the last unit: payees take it, for they cannot know.
    let all: Vec<_> = scene.payees.0.iter().map(SigningKey::address).collect();
    let mut spent = 0;
    for payee in all {
        let opening = scene.opening(payee, payee, ALLOWANCE);
        let position = scene.received(payee, opening).unwrap();
        spent += position.total().get();
    }
    let amount = scene.open.deposit.amount;
    assert_eq!(spent, amount);
    // One of them is drawn, and gets at most the deposit.
    let winner = scene.selected();
    let redemption = world::packed(&scene.redemption(winner, ALLOWANCE));
    let paid = scene.chain.send(scene.thief, 0, &redeemCall { redemption });
    assert_eq!(paid.unwrap(), amount);
    assert_eq!(scene.idle(winner, 0), U256::from(amount));
    let payer = scene.open.deposit.payer;
    assert_eq!(scene.idle(payer, 0), U256::from(SAVINGS));
    let other = scene.chain.bank.deposit_id(&scene.other);
    assert_eq!(scene.idle(payer, 2), Purse::Open(other).word());
    scene.thief_has_nothing();
}
