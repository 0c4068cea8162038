//! v on the way from the payer to the bank: the payee does not rely on it, and gives the bank the right one.

use super::*;
use crate::protocol::{
    draw::Seed,
    redemption_check::{BankSnapshot, simulate_redemption},
    signature::Signature,
};
use alloy_primitives::Bytes;
use cheque_bindings::{Outcome, SeedSource};
use proptest::prelude::*;

fn with_v(mut cheque: SignedCheque, v: u8) -> SignedCheque {
    let mut bytes = *cheque.signature.as_bytes();
    bytes[64] = v;
    cheque.signature = Signature::from_bytes(bytes);
    cheque
}

fn other_v(cheque: SignedCheque) -> SignedCheque {
    let v = cheque.signature.as_bytes()[64];
    with_v(cheque, 27 + 28 - v)
}

/// What the bank says to the meta's redemption after the draw of `seed`.
fn judged(scene: &Scene, position: &Position, seed: Seed) -> (Outcome, Amount) {
    let state = BankSnapshot {
        bank: scene.bank,
        seed_source: SeedSource::PrevRandao,
        block: scene.deposit.drawBlock + 1,
        purse: scene.view.purse,
        recorded_seed: Some(seed),
        draw_block_hash: None,
        caller: scene.payee,
    };
    let redemption = position.redemption(Address::ZERO, Bytes::new(), Bytes::new());
    simulate_redemption(&redemption, &state)
}

proptest! {
    #[test]
    fn a_cheque_with_the_other_v_is_worth_as_much_and_redeems_alike(
        spent in 300_000u128..1_000_000, seed: [u8; 32]
    ) {
        let scene = scene();
        let first = scene.position(&scene.opening(250_000), None);
        let right = scene.cheque(spent, None);
        let mut outcomes = Vec::new();
        for cheque in [right, other_v(right)] {
            let received = scene.receive(&Proof::Cheque(scene.id(), cheque), Some(&first)).unwrap();
            let stored = Position::from_bytes(&received.position().to_bytes()).unwrap();
            prop_assert_eq!(&stored, received.position());
            let outcome = judged(&scene, &stored, Seed(seed.into()));
            prop_assert!(matches!(outcome.0, Outcome::Payable | Outcome::Loses));
            outcomes.push((received.value(), outcome));
            let redemption = stored.redemption(Address::ZERO, Bytes::new(), Bytes::new());
            prop_assert_eq!(&redemption.signature[..], right.signature.as_bytes());
        }
        prop_assert_eq!(outcomes[0], outcomes[1]);
    }

    #[test]
    fn whatever_signature_is_taken_is_one_that_the_bank_takes(
        index in 0usize..65, byte: u8, seed: [u8; 32]
    ) {
        let scene = scene();
        let first = scene.position(&scene.opening(250_000), None);
        let mut cheque = scene.cheque(300_000, None);
        let mut bytes = *cheque.signature.as_bytes();
        bytes[index] = byte;
        cheque.signature = Signature::from_bytes(bytes);
        if let Ok(received) = scene.receive(&Proof::Cheque(scene.id(), cheque), Some(&first)) {
            let outcome = judged(&scene, received.position(), Seed(seed.into())).0;
            prop_assert!(matches!(outcome, Outcome::Payable | Outcome::Loses));
        }
    }
}

#[test]
fn a_v_other_than_27_and_28_is_refused() {
    let scene = scene();
    let first = scene.position(&scene.opening(250_000), None);
    for v in [0, 1, 26, 29, 255] {
        let cheque = with_v(scene.cheque(300_000, None), v);
        assert_eq!(
            scene.rejects(&Proof::Cheque(scene.id(), cheque), Some(&first)),
            Rejection::BadSignature(crate::protocol::signature::SignatureError::WrongV(v))
        );
    }
}

#[test]
fn the_other_v_of_a_payment_counted_before_is_a_replay() {
    let scene = scene();
    let cheque = scene.cheque(300_000, None);
    let first = scene.position(&Proof::Opening(Box::new(scene.opening_with(cheque))), None);
    let again = Proof::Cheque(scene.id(), other_v(cheque));
    assert_eq!(scene.rejects(&again, Some(&first)), Rejection::Replay);
}

#[test]
fn an_opening_names_the_signer_by_its_v() {
    let scene = scene();
    let cheque = other_v(scene.cheque(300_000, None));
    assert!(matches!(
        scene.rejects(&Proof::Opening(Box::new(scene.opening_with(cheque))), None),
        Rejection::WrongSigner { .. } | Rejection::BadSignature(_)
    ));
}

#[test]
fn a_payer_resumes_from_its_own_cheque_whatever_its_v() {
    let scene = scene();
    let context = ChequeContext {
        key: &scene.key,
        bank: &scene.bank,
        deposit: scene.id(),
        payee: scene.payee,
    };
    let own = scene.cheque(300_000, None);
    let lost = Account::new(Amount::new(1_000_000));
    let account = lost
        .resume(&other_v(own), (0, B256::ZERO), &context)
        .unwrap();
    assert_eq!(account.newest(), Some(&own));
}
