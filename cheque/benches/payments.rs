//! `cargo bench -p cheque --bench payments`: times of the operations and of the cryptographic primitives in them.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench fails by panicking"
)]

mod fixture;

use alloy_primitives::keccak256;
use cheque::*;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use fixture::Fixture;
use secp256k1::{Message, Secp256k1, SecretKey};
use std::hint::black_box;

/// The primitives that every implementation needs.
fn primitives(c: &mut Criterion) {
    let mut group = c.benchmark_group("primitives");
    let context = Secp256k1::new();
    let secret = SecretKey::from_byte_array([7; 32]).unwrap();
    let key = secret.public_key(&context);
    let message = Message::from_digest([3; 32]);
    let signature = context.sign_ecdsa(message, &secret);
    group.bench_function("libsecp256k1 sign", |b| {
        b.iter(|| context.sign_ecdsa(black_box(message), &secret))
    });
    group.bench_function("libsecp256k1 verify", |b| {
        b.iter(|| {
            context
                .verify_ecdsa(black_box(message), &signature, &key)
                .unwrap()
        })
    });
    let recoverable = context.sign_ecdsa_recoverable(message, &secret);
    group.bench_function("libsecp256k1 recover", |b| {
        b.iter(|| {
            context
                .recover_ecdsa(black_box(message), &recoverable)
                .unwrap()
        })
    });
    group.bench_function("keccak256 of 32 bytes", |b| {
        b.iter(|| keccak256(black_box([5u8; 32])))
    });
    group.finish();
}

fn payer(c: &mut Criterion) {
    let fixture = Fixture::new();
    let account = fixture.account();
    c.bench_function("write_cheque", |b| {
        b.iter(|| {
            black_box(&account)
                .write_cheque(Amount::new(1_000), &fixture.context())
                .unwrap()
        })
    });
}

fn payee(c: &mut Criterion) {
    let fixture = Fixture::new();
    let mut group = c.benchmark_group("receive_payment");
    let opening = fixture.opening();
    group.bench_function("opening, 128 payees", |b| {
        b.iter(|| fixture.receive(black_box(&opening), None))
    });
    let (position, cheques) = (fixture.position(), fixture.cheques(1));
    group.bench_function("cheque", |b| {
        b.iter(|| fixture.receive(black_box(&cheques[0]), Some(&position)))
    });
    group.bench_function("cheque, bytes to bytes", |b| {
        let (proof, old) = (cheques[0].encode(), position.to_bytes());
        b.iter(|| {
            let proof = Proof::decode(black_box(&proof)).unwrap();
            let old = Position::from_bytes(black_box(&old)).unwrap();
            fixture.receive(&proof, Some(&old)).position().to_bytes()
        })
    });
    let (begin, steps) = fixture.stream();
    let begun = fixture.receive(&begin, Some(&position)).position().clone();
    let at_first = fixture.receive(&steps[0], Some(&begun)).position().clone();
    group.bench_function("stream step", |b| {
        b.iter(|| fixture.receive(black_box(&steps[1]), Some(&at_first)))
    });
    group.finish();
}

fn trees(c: &mut Criterion) {
    let mut group = c.benchmark_group("tree");
    group.sample_size(10);
    for payees in [1, 1_000, 100_000, 1_000_000] {
        group.throughput(Throughput::Elements(payees));
        let list: Vec<_> = fixture::allowances(payees).collect();
        let master = MasterSalt::from_bytes([9; 32]);
        group.bench_function(format!("build, {payees} payees"), |b| {
            b.iter_batched(
                || list.clone(),
                |list| AllowanceTree::build(list, &master).unwrap(),
                BatchSize::LargeInput,
            )
        });
        let tree = fixture::tree(payees);
        group.bench_function(format!("all proofs, {payees} payees"), |b| {
            b.iter(|| tree.proofs().for_each(|proof| drop(black_box(proof))))
        });
        group.throughput(Throughput::Elements(1));
        let payee = fixture::address(payees / 2);
        group.bench_function(format!("one proof, {payees} payees"), |b| {
            b.iter(|| tree.proof(black_box(payee)).unwrap())
        });
    }
    group.finish();
}

fn wire(c: &mut Criterion) {
    let fixture = Fixture::new();
    let (begin, steps) = fixture.stream();
    let proofs = [
        ("opening, 128 payees", fixture.opening()),
        ("cheque", fixture.cheques(1).remove(0)),
        ("cheque with a stream", begin),
        ("stream step", steps[0].clone()),
    ];
    let mut group = c.benchmark_group("wire");
    for (name, proof) in proofs {
        let bytes = proof.encode();
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(format!("encode, {name}"), |b| {
            b.iter(|| black_box(&proof).encode())
        });
        group.bench_function(format!("decode, {name}"), |b| {
            b.iter(|| Proof::decode(black_box(&bytes)).unwrap())
        });
    }
    group.finish();
}

criterion_group!(benches, primitives, payer, payee, trees, wire);
criterion_main!(benches);
