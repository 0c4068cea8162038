//! Trees made by hand that list a payee twice: the leaf that was accepted first counts.

use super::*;
use crate::protocol::allowance::proof::{AllowanceProof, Sibling};
use alloy_primitives::B128;

/// A leaf of the fixture's payee.
fn leaf(units: u128, salt: u8) -> AllowanceProof {
    AllowanceProof {
        allowance: Amount::new(units),
        salt: B128::repeat_byte(salt),
        path: 0,
        siblings: Vec::new(),
    }
}

fn node(leaf: &AllowanceProof, payee: Address) -> Sibling {
    Sibling {
        hash: leaf.walk(payee).unwrap().root,
        sum: leaf.allowance,
    }
}

/// A fixture whose deposit has two leaves of one payee, with the proofs of both.
fn twice(left: &AllowanceProof, right: &AllowanceProof) -> (Fixture, [AllowanceProof; 2]) {
    let payee = fixture().payee;
    let proofs = [
        AllowanceProof {
            siblings: vec![node(right, payee)],
            ..left.clone()
        },
        AllowanceProof {
            path: 1,
            siblings: vec![node(left, payee)],
            ..right.clone()
        },
    ];
    let fixture = fixture_with(|deposit| {
        deposit.amount = left.allowance.get() + right.allowance.get();
        deposit.root = proofs[0].walk(payee).unwrap().root;
    });
    for (proof, start) in proofs.iter().zip([0, left.allowance.get()]) {
        let found = proof.start(payee, &fixture.deposit);
        assert_eq!(found, Ok(Amount::new(start)), "not a leaf of the tree");
    }
    (fixture, proofs)
}

/// An opening by a proof of an allowance.
fn opening(fixture: &Fixture, allowance: &AllowanceProof, spent: u128) -> Proof {
    let mut opening = fixture.opening_with(fixture.cheque(spent, None));
    opening.allowance = allowance.clone();
    Proof::Opening(Box::new(opening))
}

/// Shows that each of the two leaves is accepted first, and the other one refused then.
fn refuses_the_second(fixture: &Fixture, proofs: &[AllowanceProof; 2]) {
    let [left, right] = proofs;
    for (first, second) in [(left, right), (right, left)] {
        let position = fixture.position(&opening(fixture, first, 300_000), None);
        for spent in [300_000, 350_000] {
            assert_eq!(
                fixture.rejects(&opening(fixture, second, spent), Some(&position)),
                Rejection::SecondAllowance(fixture.id())
            );
        }
        // The leaf of before still counts, and so do cheques without a proof.
        let again = opening(fixture, first, 350_000);
        let position = fixture.position(&again, Some(&position));
        let position = fixture.position(&fixture.later(360_000), Some(&position));
        assert_eq!(position.allowance(), first.allowance);
    }
}

#[test]
fn refuses_a_second_leaf_of_the_same_payee() {
    let (fixture, proofs) = twice(&leaf(600_000, 1), &leaf(400_000, 2));
    refuses_the_second(&fixture, &proofs);
}

#[test]
fn refuses_a_second_leaf_that_differs_in_its_path_alone() {
    let (fixture, proofs) = twice(&leaf(500_000, 1), &leaf(500_000, 1));
    let [left, right] = &proofs;
    let path = right.path;
    assert_eq!(
        AllowanceProof {
            path,
            ..left.clone()
        },
        *right
    );
    refuses_the_second(&fixture, &proofs);
}

#[test]
fn keeps_two_positions_for_two_payees_of_a_host() {
    let mut fixture = fixture();
    let first = fixture.position(&fixture.opening(300_000), None);
    fixture.payee = Address::repeat_byte(0x33);
    fixture.policy.payee = fixture.payee;
    let second = fixture.position(&fixture.opening(200_000), None);
    assert_eq!(
        (first.total().get(), second.total().get()),
        (300_000, 200_000)
    );
    assert_eq!(first.deposit_id(), second.deposit_id());
    assert_ne!(first.payee(), second.payee());
    // Neither total limits the other, and each payee's cheques count for its own leaf.
    let second = fixture.position(&fixture.later(250_000), Some(&second));
    assert_eq!(second.total().get(), 250_000);
    let mixed = fixture.rejects(&fixture.later(260_000), Some(&first));
    assert_eq!(mixed.code(), "wrong_payee");
}
