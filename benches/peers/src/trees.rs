//! A tree of a million payees.

use crate::fixture;
use cheque::{AllowanceTree, MasterSalt};
use cpu_time::ThreadTime;
use std::hint::black_box;

const PAYEES: u64 = 1_000_000;

pub struct Trees {
    pub build_seconds: f64,
    pub all_proofs_seconds: f64,
    pub one_proof_nanos: f64,
    /// Bytes allocated by the tree, per payee.
    pub bytes_per_payee: f64,
}

/// Returns the fastest of three runs, because disturbances only add time.
pub fn measure() -> Trees {
    let list: Vec<_> = fixture::allowances(PAYEES).collect();
    let master = MasterSalt::from_bytes([9; 32]);
    let mut best = Trees {
        build_seconds: f64::MAX,
        all_proofs_seconds: f64::MAX,
        one_proof_nanos: f64::MAX,
        bytes_per_payee: 0.0,
    };
    for _ in 0..3 {
        let list = list.clone();
        let mut tree = None;
        let start = ThreadTime::now();
        let kept = allocation_counter::measure(|| {
            tree = Some(AllowanceTree::build(list.iter().copied(), &master).unwrap());
        });
        best.build_seconds = best.build_seconds.min(start.elapsed().as_secs_f64());
        best.bytes_per_payee = kept.bytes_current as f64 / PAYEES as f64;

        let tree = tree.unwrap();
        let start = ThreadTime::now();
        tree.proofs().for_each(|proof| drop(black_box(proof)));
        best.all_proofs_seconds = best.all_proofs_seconds.min(start.elapsed().as_secs_f64());

        let start = ThreadTime::now();
        for number in 0..1_000 {
            black_box(tree.proof(fixture::address(number * 997)).unwrap());
        }
        let nanos = start.elapsed().as_nanos() as f64 / 1_000.0;
        best.one_proof_nanos = best.one_proof_nanos.min(nanos);
    }
    best
}
