//! The byte v of signatures: the payee does not rely on the payer's v, and gives the bank a v that recovers the signer.

use super::*;
use crate::protocol::{
    draw::Seed,
    redemption_check::{BankSnapshot, simulate_redemption},
    signature::Signature,
};
use alloy_primitives::Bytes;
use cheque_bindings::Outcome;
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

/// Simulates the redemption of a position after the draw of `seed`.
fn simulate(fixture: &Fixture, position: &Position, seed: Seed) -> (Outcome, Amount) {
    let state = BankSnapshot {
        bank: fixture.bank,
        time: DRAW + 1,
        purse: fixture.view.purse,
        seed: Some(seed),
        caller: fixture.payee,
    };
    let redemption = position.redemption(Address::ZERO, Bytes::new());
    simulate_redemption(&redemption, &state)
}

proptest! {
    #[test]
    fn values_and_redeems_a_cheque_with_the_other_v_alike(
        spent in 300_000u128..1_000_000, seed: [u8; 32]
    ) {
        let fixture = fixture();
        let first = fixture.position(&fixture.opening(250_000), None);
        let right = fixture.cheque(spent, None);
        let mut outcomes = Vec::new();
        for cheque in [right, other_v(right)] {
            let received = fixture.receive(&Proof::Cheque(fixture.id(), cheque), Some(&first)).unwrap();
            let stored = Position::from_bytes(&received.position().to_bytes()).unwrap();
            prop_assert_eq!(&stored, received.position());
            let outcome = simulate(&fixture, &stored, Seed(seed.into()));
            prop_assert!(matches!(outcome.0, Outcome::Payable | Outcome::Loses));
            outcomes.push((received.value(), outcome));
            let redemption = stored.redemption(Address::ZERO, Bytes::new());
            prop_assert_eq!(&redemption.signature[..], right.signature.as_bytes());
        }
        prop_assert_eq!(outcomes[0], outcomes[1]);
    }

    #[test]
    fn accepts_only_signatures_that_the_bank_accepts(
        index in 0usize..65, byte: u8, seed: [u8; 32]
    ) {
        let fixture = fixture();
        let first = fixture.position(&fixture.opening(250_000), None);
        let mut cheque = fixture.cheque(300_000, None);
        let mut bytes = *cheque.signature.as_bytes();
        bytes[index] = byte;
        cheque.signature = Signature::from_bytes(bytes);
        if let Ok(received) = fixture.receive(&Proof::Cheque(fixture.id(), cheque), Some(&first)) {
            let outcome = simulate(&fixture, received.position(), Seed(seed.into())).0;
            prop_assert!(matches!(outcome, Outcome::Payable | Outcome::Loses));
        }
    }
}

#[test]
fn refuses_a_v_other_than_27_and_28() {
    let fixture = fixture();
    let first = fixture.position(&fixture.opening(250_000), None);
    for v in [0, 1, 26, 29, 255] {
        let cheque = with_v(fixture.cheque(300_000, None), v);
        assert_eq!(
            fixture.rejects(&Proof::Cheque(fixture.id(), cheque), Some(&first)),
            Rejection::BadSignature(crate::protocol::signature::SignatureError::WrongV(v))
        );
    }
}

#[test]
fn treats_a_counted_payment_with_the_other_v_as_replay() {
    let fixture = fixture();
    let cheque = fixture.cheque(300_000, None);
    let first = fixture.position(
        &Proof::Opening(Box::new(fixture.opening_with(cheque))),
        None,
    );
    let again = Proof::Cheque(fixture.id(), other_v(cheque));
    assert_eq!(fixture.rejects(&again, Some(&first)), Rejection::Replay);
}

#[test]
fn recovers_the_signer_of_an_opening_by_its_v() {
    let fixture = fixture();
    let cheque = other_v(fixture.cheque(300_000, None));
    assert!(matches!(
        fixture.rejects(
            &Proof::Opening(Box::new(fixture.opening_with(cheque))),
            None
        ),
        Rejection::WrongSigner { .. } | Rejection::BadSignature(_)
    ));
}

#[test]
fn resumes_a_payer_from_its_own_cheque_with_any_v() {
    let fixture = fixture();
    let context = ChequeContext {
        key: &fixture.key,
        bank: &fixture.bank,
        deposit: fixture.id(),
        payee: fixture.payee,
    };
    let own = fixture.cheque(300_000, None);
    let lost = Account::new(Amount::new(1_000_000));
    let account = lost
        .resume(&other_v(own), (0, B256::ZERO), &context)
        .unwrap();
    assert_eq!(account.newest(), Some(&own));
}
