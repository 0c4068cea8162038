//! This library, and the primitives in its operations.

use crate::fixture::{Fixture, STEPS};
use crate::measure::Case;
use alloy_primitives::{B256, keccak256};
use cheque::{Amount, Position, Proof};
use secp256k1::{Message, Secp256k1, SecretKey};
use std::hint::black_box;

const CHEQUES: usize = 200;

/// The primitives that every implementation needs, over as many different messages as cheques.
pub fn primitives() -> Vec<Case> {
    let context = Secp256k1::new();
    let secret = SecretKey::from_byte_array([7; 32]).unwrap();
    let key = secret.public_key(&context);
    let messages: Vec<_> = (0..CHEQUES as u64)
        .map(|number| Message::from_digest(keccak256(number.to_be_bytes()).0))
        .collect();
    let signed: Vec<_> = messages
        .iter()
        .map(|message| (*message, context.sign_ecdsa(*message, &secret)))
        .collect();
    let signer = context.clone();
    let mut x = B256::repeat_byte(5);
    vec![
        Case::new("libsecp256k1 verify", move || {
            for (message, signature) in &signed {
                context.verify_ecdsa(*message, signature, &key).unwrap();
            }
            signed.len() as u32
        }),
        Case::new("libsecp256k1 sign", move || {
            for message in &messages {
                black_box(signer.sign_ecdsa(*message, &secret));
            }
            messages.len() as u32
        }),
        Case::new("keccak256", move || {
            for _ in 0..16 * STEPS {
                x = keccak256(x);
            }
            black_box(x);
            16 * STEPS
        }),
    ]
}

/// Writing and receiving.
pub fn payments() -> Vec<Case> {
    let [payer, payee, app, opened, streamed] = [(); 5].map(|()| Fixture::new());
    let account = payer.account();
    let (position, cheques) = (payee.position(), payee.cheques(CHEQUES));
    let wire: Vec<_> = cheques.iter().map(Proof::encode).collect();
    let stored = position.to_bytes();
    let opening = opened.opening();
    let (begin, steps) = streamed.stream();
    let begun = streamed.receive(&begin, Some(&position)).position().clone();
    vec![
        Case::new("write_cheque", move || {
            let mut account = account.clone();
            for _ in 0..CHEQUES {
                account = account
                    .write_cheque(Amount::new(1_000), &payer.context())
                    .unwrap();
            }
            black_box(account);
            CHEQUES as u32
        }),
        Case::new("receive cheque", move || {
            let mut position = position.clone();
            for cheque in &cheques {
                position = payee.receive(cheque, Some(&position)).position().clone();
            }
            black_box(position);
            CHEQUES as u32
        }),
        Case::new("receive cheque, bytes to bytes", move || {
            let mut stored = stored.clone();
            for bytes in &wire {
                let proof = Proof::decode(bytes).unwrap();
                let old = Position::from_bytes(&stored).unwrap();
                stored = app.receive(&proof, Some(&old)).position().to_bytes();
            }
            black_box(stored);
            CHEQUES as u32
        }),
        Case::new("receive opening", move || {
            for _ in 0..CHEQUES {
                let _counted_nowhere = black_box(opened.receive(&opening, None));
            }
            CHEQUES as u32
        }),
        Case::new("receive step", move || {
            for _ in 0..16 {
                let mut position = begun.clone();
                for step in &steps {
                    position = streamed.receive(step, Some(&position)).position().clone();
                }
                black_box(position);
            }
            16 * STEPS
        }),
    ]
}

/// Bytes of an opening with 128 payees, a cheque, a cheque with a stream, and a step.
pub fn wire_bytes() -> [usize; 4] {
    let fixture = Fixture::new();
    let (begin, steps) = fixture.stream();
    let longest = steps.iter().map(|step| step.encode().len()).max();
    let cheque = fixture.cheques(1).remove(0);
    [
        fixture.opening().encode().len(),
        cheque.encode().len(),
        begin.encode().len(),
        longest.unwrap(),
    ]
}
