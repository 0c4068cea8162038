//! Checks trees.json and streams.json: allowance trees, proofs and hash chains.

use crate::file::{Int, deposit_of, vectors};
use alloy_primitives::{Address, B128, B256, Bytes, U256, keccak256};
use cheque::{
    AllowanceProof, AllowanceTree, Amount, MAX_STEPS, MasterSalt, ProofError, Stream, hash_chain,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Trees {
    trees: Vec<Tree>,
    planted: Vec<Planted>,
}

#[derive(Deserialize)]
struct Tree {
    name: String,
    master: B256,
    count: Int<u64>,
    allowances: Vec<Amount>,
    amount: Amount,
    root: B256,
    leaves: B256,
    proofs: Vec<TreeProof>,
}

#[derive(Deserialize)]
struct TreeProof {
    index: Int<usize>,
    payee: Address,
    allowance: Amount,
    salt: B128,
    leaf: B256,
    path: Int<u64>,
    siblings: Bytes,
    start: Amount,
}

#[derive(Deserialize)]
struct Planted {
    name: String,
    verdict: String,
    payee: Address,
    allowance: Amount,
    salt: B128,
    path: Int<u64>,
    siblings: Bytes,
    root: B256,
    amount: Amount,
    start: Amount,
}

/// Payee `number` of the files, and its default allowance.
fn payee(number: u64) -> (Address, Amount) {
    let hash = keccak256(U256::from(number).to_be_bytes::<32>());
    let first: U256 = U256::from_be_bytes(hash.0) >> 192;
    let size = first.to::<u64>() >> (number % 64);
    (Address::from_word(hash), Amount::new(u128::from(size) + 1))
}

#[test]
fn builds_leaves_roots_and_proofs() {
    let vectors: Trees = vectors!("trees");
    assert!(vectors.trees.iter().any(|tree| tree.count.0 == 1000));
    for v in vectors.trees {
        let list = (0..v.count.0).map(|number| {
            let (payee, size) = payee(number);
            let listed = v.allowances.get(number as usize).copied();
            (payee, listed.unwrap_or(size))
        });
        let tree = AllowanceTree::build(list, &MasterSalt::from_bytes(v.master.0)).unwrap();
        assert_eq!(
            (tree.root(), tree.total()),
            (v.root, v.amount),
            "{}",
            v.name
        );
        let leaves: Vec<(Address, AllowanceProof)> = tree.proofs().collect();
        let hashes: Vec<u8> = leaves
            .iter()
            .flat_map(|(p, proof)| leaf(*p, proof).0)
            .collect();
        assert_eq!(keccak256(hashes), v.leaves, "{}", v.name);

        let deposit = deposit_of(v.root, v.amount.get(), 0);
        assert!(!v.proofs.is_empty());
        for expected in v.proofs {
            let (payee, proof) = &leaves[expected.index.0];
            assert_eq!(*payee, expected.payee, "{}", v.name);
            assert_eq!(tree.proof(*payee).as_ref(), Some(proof));
            assert_eq!(proof.allowance, expected.allowance, "{}", v.name);
            assert_eq!(proof.salt, expected.salt, "{}", v.name);
            assert_eq!(leaf(*payee, proof), expected.leaf, "{}", v.name);
            assert_eq!(proof.path, expected.path.0, "{}", v.name);
            assert_eq!(proof.packed_siblings(), expected.siblings, "{}", v.name);
            assert_eq!(
                proof.start(*payee, &deposit),
                Ok(expected.start),
                "{}",
                v.name
            );
            assert_eq!(tree.payee_at(expected.start), Some(*payee), "{}", v.name);
        }
    }
}

fn leaf(payee: Address, proof: &AllowanceProof) -> B256 {
    let allowance = proof.allowance.get().to_be_bytes();
    keccak256([payee.as_slice(), &allowance, proof.salt.as_slice()].concat())
}

#[test]
fn judges_proofs_of_planted_trees() {
    let vectors: Trees = vectors!("trees");
    assert!(!vectors.planted.is_empty());
    for v in vectors.planted {
        let deposit = deposit_of(v.root, v.amount.get(), 0);
        let found = AllowanceProof::unpack_siblings(&v.siblings).and_then(|siblings| {
            let proof = AllowanceProof {
                allowance: v.allowance,
                salt: v.salt,
                path: v.path.0,
                siblings,
            };
            proof.start(v.payee, &deposit)
        });
        let as_expected = match v.verdict.as_str() {
            "ok" => found == Ok(v.start),
            "length" => matches!(found, Err(ProofError::Ragged(_))),
            "depth" => matches!(found, Err(ProofError::TooDeep(_))),
            "path" => matches!(found, Err(ProofError::StrayPathBits { .. })),
            "total" => matches!(found, Err(ProofError::WrongTotal { .. })),
            "root" => matches!(found, Err(ProofError::WrongRoot { .. })),
            verdict => panic!("{}: unknown verdict {verdict}", v.name),
        };
        assert!(as_expected, "{}: {found:?}", v.name);
    }
}

#[derive(Deserialize)]
struct Streams {
    streams: Vec<StreamVector>,
    shown: Vec<Shown>,
    refused: Vec<RefusedStep>,
}

#[derive(Deserialize)]
struct StreamVector {
    x0: B256,
    n: Int<u32>,
    anchor: B256,
}

#[derive(Deserialize)]
struct Shown {
    anchor: B256,
    k: Int<u32>,
    x: B256,
}

#[derive(Deserialize)]
struct RefusedStep {
    name: String,
    #[serde(flatten)]
    step: Shown,
    leads: bool,
}

#[test]
fn computes_stream_anchors_and_steps() {
    let vectors: Streams = vectors!("streams");
    for v in &vectors.streams {
        let stream = Stream::new(v.x0, v.n.0).unwrap();
        assert_eq!(stream.anchor(), v.anchor);
        let mut steps = vectors.shown.iter().filter(|step| step.anchor == v.anchor);
        assert!(steps.clone().any(|step| step.k == v.n));
        assert!(steps.all(|step| stream.show(step.k.0) == Some(step.x)));
    }
    for Shown { anchor, k, x } in vectors.shown {
        assert_eq!(hash_chain(x, k.0), anchor);
    }
}

#[test]
fn refuses_steps_off_anchor_or_beyond_max_steps() {
    let vectors: Streams = vectors!("streams");
    assert!(!vectors.refused.is_empty());
    for v in vectors.refused {
        let leads = hash_chain(v.step.x, v.step.k.0) == v.step.anchor;
        assert_eq!(leads, v.leads, "{}", v.name);
        assert!(!leads || v.step.k.0 > MAX_STEPS, "{}", v.name);
    }
}
