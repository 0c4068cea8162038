//! Payments of a known deposit allocate nothing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../benches/fixture.rs"]
#[allow(dead_code, reason = "the benches use the rest")]
mod fixture;

use allocation_counter::measure;
use cheque::{Amount, Proof};
use fixture::Fixture;

#[test]
fn receives_payments_of_a_known_deposit_without_allocation() {
    let fixture = Fixture::new();
    let (position, cheques) = (fixture.position(), fixture.cheques(3));
    let (begin, steps) = fixture.stream();
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
            newest = fixture.receive(&proof, Some(&newest)).position().clone();
        }
    });
    assert!(newest.total() > Amount::ZERO);
    assert_eq!(counted.count_total, 0, "in {} payments", wire.len());
}

#[test]
fn writes_a_cheque_without_allocation() {
    let fixture = Fixture::new();
    let mut account = fixture.account();
    let counted = measure(|| {
        account = account
            .write_cheque(Amount::new(1_000), &fixture.context())
            .unwrap();
    });
    assert_eq!(counted.count_total, 0);
}

#[test]
fn encodes_a_position_with_two_allocations() {
    let fixture = Fixture::new();
    let position = fixture.position();
    // An allocation for the bytes, and another for the packed siblings.
    let written = measure(|| drop(position.to_bytes()));
    assert_eq!(written.count_total, 2);
}
