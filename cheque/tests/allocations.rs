//! What is allocated for a payment: nothing, where the payee knows the deposit.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../benches/scene.rs"]
#[allow(dead_code, reason = "the benches use more of it")]
mod scene;

use allocation_counter::measure;
use cheque::{Amount, Proof};
use scene::Scene;

#[test]
fn a_payment_allocates_nothing_once_the_deposit_is_known() {
    let scene = Scene::new();
    let (position, cheques) = (scene.position(), scene.cheques(3));
    let (begin, steps) = scene.stream();
    let wire: Vec<_> = cheques
        .iter()
        .chain([&begin])
        .chain(&steps)
        .map(Proof::encode)
        .collect();
    let mut newest = position;
    let counted = measure(|| {
        for bytes in &wire {
            let proof = Proof::decode(bytes).unwrap();
            newest = scene.receive(&proof, Some(&newest)).position().clone();
        }
    });
    assert!(newest.total() > Amount::ZERO);
    assert_eq!(counted.count_total, 0, "in {} payments", wire.len());
}

#[test]
fn a_cheque_is_written_without_an_allocation() {
    let scene = Scene::new();
    let mut account = scene.account();
    let counted = measure(|| {
        account = account
            .write_cheque(Amount::new(1_000), &scene.context())
            .unwrap();
    });
    assert_eq!(counted.count_total, 0);
}

#[test]
fn a_meta_is_stored_with_two_allocations() {
    let scene = Scene::new();
    let position = scene.position();
    // The bytes, and the siblings in the form in which they are written.
    let written = measure(|| drop(position.to_bytes()));
    assert_eq!(written.count_total, 2);
}
