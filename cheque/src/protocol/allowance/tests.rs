use super::*;
use crate::protocol::allowance::{
    proof::{AllowanceProof, MAX_DEPTH, ProofError, Sibling},
    tree::{AllowanceTree, TreeError},
};
use cheque_bindings::Deposit;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn master() -> MasterSalt {
    MasterSalt::from_bytes([5; 32])
}

fn payee(number: u64) -> Address {
    Address::from_word(keccak([&number.to_be_bytes()]))
}

fn tree(allowances: &[u128]) -> AllowanceTree {
    let list = allowances.iter().zip(1..);
    AllowanceTree::build(
        list.map(|(&allowance, number)| (payee(number), Amount::new(allowance))),
        &master(),
    )
    .unwrap()
}

fn deposit(root: B256, amount: u128) -> Deposit {
    Deposit {
        payer: Address::repeat_byte(1),
        signer: Address::repeat_byte(2),
        token: Address::ZERO,
        lane: 1,
        amount,
        minPayout: 0,
        drawTime: 1_800_000_000,
        redeemUntil: 1_800_086_400,
        root,
    }
}

fn check_every_proof(tree: &AllowanceTree) {
    let deposit = deposit(tree.root(), tree.total().get());
    let mut next = 0;
    for (payee, proof) in tree.proofs() {
        assert_eq!(proof.start(payee, &deposit), Ok(Amount::new(next)));
        assert_eq!(tree.proof(payee).unwrap(), proof);
        assert_eq!(tree.payee_at(Amount::new(next)), Some(payee));
        next += proof.allowance.get();
        assert_eq!(tree.payee_at(Amount::new(next - 1)), Some(payee));
    }
    assert_eq!(next, tree.total().get());
    assert_eq!(tree.payee_at(tree.total()), None);
}

#[test]
fn refuses_the_bank_as_payee() {
    let bank = Address::repeat_byte(0xba);
    let (one, other) = (Address::repeat_byte(1), Address::repeat_byte(0xbb));
    let salt = MasterSalt::from_bytes([9; 32]);
    for (payees, refused) in [
        ([one, bank], Err(TreeError::BankIsPayee(bank))),
        ([one, other], Ok(())),
    ] {
        let allowances = payees.map(|payee| (payee, Amount::new(1)));
        let tree = AllowanceTree::build(allowances, &salt).unwrap();
        assert_eq!(tree.check_bank(bank), refused);
    }
}

#[test]
fn tiles_the_deposit_with_ranges_at_every_tree_size() {
    for size in 1..=70 {
        check_every_proof(&tree(&(1..=size).collect::<Vec<_>>()));
    }
    check_every_proof(&tree(&(1..=1000).map(|i| i * i * i).collect::<Vec<_>>()));
}

#[test]
fn keeps_weights_exact_to_one_unit_at_any_scale() {
    check_every_proof(&tree(&[10_000, 1]));
    check_every_proof(&tree(&[1, u128::MAX - 1]));
    check_every_proof(&tree(&[u128::MAX]));
    check_every_proof(&tree(&[1, 1 << 127, 3, 1 << 100]));
}

#[test]
fn refuses_lists_that_no_deposit_can_hold() {
    let build = |list: &[(Address, u128)]| {
        let list = list
            .iter()
            .map(|&(payee, units)| (payee, Amount::new(units)));
        AllowanceTree::build(list, &master()).map(|_| ())
    };
    let (a, b) = (payee(1), payee(2));
    assert_eq!(build(&[]), Err(TreeError::Empty));
    assert_eq!(build(&[(Address::ZERO, 1)]), Err(TreeError::ZeroPayee));
    assert_eq!(build(&[(a, 1), (b, 0)]), Err(TreeError::ZeroAllowance(b)));
    assert_eq!(
        build(&[(a, 1), (b, 1), (a, 2)]),
        Err(TreeError::DuplicatePayee(a))
    );
    assert_eq!(
        build(&[(a, u128::MAX), (b, 1)]),
        Err(TreeError::SumTooLarge)
    );
}

#[test]
fn builds_the_same_root_for_any_list_order() {
    let list: Vec<_> = (1..=9).map(|i| (payee(i), Amount::new(i.into()))).collect();
    let forwards = AllowanceTree::build(list.iter().copied(), &master()).unwrap();
    let backwards = AllowanceTree::build(list.into_iter().rev(), &master()).unwrap();
    assert_eq!(forwards.root(), backwards.root());
}

#[test]
fn proves_nothing_for_another_payee_amount_or_deposit() {
    let tree = tree(&[3, 4, 5, 6, 7]);
    let deposit = deposit(tree.root(), tree.total().get());
    let (payee, proof) = tree.proofs().nth(2).unwrap();
    let other = tree.iter().next().unwrap().0;
    assert!(matches!(
        proof.start(other, &deposit),
        Err(ProofError::WrongRoot { .. })
    ));
    let larger = Deposit {
        amount: deposit.amount + 1,
        ..deposit.clone()
    };
    assert!(matches!(
        proof.start(payee, &larger),
        Err(ProofError::WrongTotal { .. })
    ));
    assert_eq!(tree.proof(Address::repeat_byte(0xee)), None);
}

#[test]
fn refuses_a_planted_leaf_below_forty_levels() {
    // A payer builds a comb by hand, deeper than any honest tree.
    let mut hash = leaf_hash(payee(1), Amount::new(1), B128::ZERO);
    let mut siblings = Vec::new();
    for _ in 0..=MAX_DEPTH {
        let sibling = Sibling {
            hash: B256::repeat_byte(9),
            sum: Amount::ZERO,
        };
        hash = inner_hash(hash, 1, sibling.hash, 0);
        siblings.push(sibling);
    }
    let mut proof = AllowanceProof {
        allowance: Amount::new(1),
        salt: B128::ZERO,
        path: 0,
        siblings,
    };
    let deep = deposit(hash, 1);
    assert_eq!(proof.start(payee(1), &deep), Err(ProofError::TooDeep(41)));
    proof.siblings.pop();
    proof.path = 1 << 40;
    assert_eq!(
        proof.start(payee(1), &deep),
        Err(ProofError::StrayPathBits {
            path: 1 << 40,
            depth: 40
        })
    );
}

#[test]
fn refuses_sums_that_wrap_around_to_the_deposit() {
    // The sum of both leaves wraps to 5 in 128 bits, so both would claim ranges beyond the deposit.
    let (a, b) = (u128::MAX, 6);
    let (left, right) = (
        leaf_hash(payee(1), Amount::new(a), B128::ZERO),
        leaf_hash(payee(2), Amount::new(b), B128::ZERO),
    );
    let planted = deposit(inner_hash(left, a, right, b), 5);
    let proof = AllowanceProof {
        allowance: Amount::new(b),
        salt: B128::ZERO,
        path: 1,
        siblings: vec![Sibling {
            hash: left,
            sum: Amount::new(a),
        }],
    };
    assert!(matches!(
        proof.start(payee(2), &planted),
        Err(ProofError::WrongTotal { .. })
    ));
    // The same attack one level up: the parent commits to the wrapped sum 5.
    let top = deposit(inner_hash(planted.root, 5, B256::ZERO, 0), 5);
    let mut deeper = proof;
    deeper.siblings.push(Sibling {
        hash: B256::ZERO,
        sum: Amount::ZERO,
    });
    assert!(matches!(
        deeper.start(payee(2), &top),
        Err(ProofError::WrongTotal { .. })
    ));
}

#[test]
fn derives_another_salt_for_each_payee_and_master() {
    let other = MasterSalt::from_bytes([6; 32]);
    assert_ne!(master().leaf_salt(payee(1)), master().leaf_salt(payee(2)));
    assert_ne!(master().leaf_salt(payee(1)), other.leaf_salt(payee(1)));
    assert!(!format!("{:?}", master()).contains('5'));
}

/// A node of a malicious payer's tree, with any sums, right or wrong.
#[derive(Clone, Debug)]
enum Planted {
    Leaf(u128),
    Inner(Box<Planted>, u128, Box<Planted>, u128),
}

fn planted() -> impl Strategy<Value = Planted> {
    let sums = prop_oneof![
        0u128..8,
        Just(u128::MAX),
        Just(u128::MAX - 3),
        Just(1 << 127)
    ];
    let leaf = sums.clone().prop_map(Planted::Leaf);
    leaf.prop_recursive(5, 32, 2, move |inner| {
        (
            inner.clone(),
            sums.clone(),
            inner,
            sums.clone(),
            any::<bool>(),
        )
            .prop_map(|(left, a, right, b, honest)| {
                let (a, b) = if honest {
                    (sum(&left), sum(&right))
                } else {
                    (a, b)
                };
                Planted::Inner(Box::new(left), a, Box::new(right), b)
            })
    })
}

fn sum(node: &Planted) -> u128 {
    match node {
        Planted::Leaf(allowance) => *allowance,
        Planted::Inner(_, a, _, b) => a.wrapping_add(*b),
    }
}

/// Hashes the tree and collects the proofs of all leaves, numbering payees from the left.
fn commit(node: &Planted, proofs: &mut BTreeMap<u64, AllowanceProof>) -> (B256, Vec<u64>) {
    match node {
        Planted::Leaf(allowance) => {
            let number = proofs.len() as u64;
            let allowance = Amount::new(*allowance);
            let proof = AllowanceProof {
                allowance,
                salt: B128::ZERO,
                path: 0,
                siblings: Vec::new(),
            };
            proofs.insert(number, proof);
            (
                leaf_hash(payee(number), allowance, B128::ZERO),
                vec![number],
            )
        }
        Planted::Inner(left, a, right, b) => {
            let (left_hash, mut leaves) = commit(left, proofs);
            let (right_hash, right_leaves) = commit(right, proofs);
            let mut pass = |numbers: &[u64], bit: u64, hash, sum| {
                for number in numbers {
                    let proof = proofs.get_mut(number).unwrap();
                    proof.path |= bit << proof.siblings.len();
                    let sum = Amount::new(sum);
                    proof.siblings.push(Sibling { hash, sum });
                }
            };
            pass(&leaves, 0, right_hash, *b);
            pass(&right_leaves, 1, left_hash, *a);
            leaves.extend(right_leaves);
            (inner_hash(left_hash, *a, right_hash, *b), leaves)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn proves_no_overlapping_ranges_in_any_tree(tree in planted()) {
        let mut proofs = BTreeMap::new();
        let (root, _) = commit(&tree, &mut proofs);
        let deposit = deposit(root, sum(&tree));
        let mut ranges: Vec<(u128, u128)> = proofs
            .iter()
            .filter_map(|(&number, proof)| {
                let start = proof.start(payee(number), &deposit).ok()?.get();
                Some((start, start.checked_add(proof.allowance.get()).expect("the end of a range within the deposit")))
            })
            .filter(|(start, end)| end > start)
            .collect();
        ranges.sort_unstable();
        for pair in ranges.windows(2) {
            prop_assert!(pair[0].1 <= pair[1].0, "{:?} overlaps {:?}", pair[0], pair[1]);
        }
        if let Some(last) = ranges.last() {
            prop_assert!(last.1 <= deposit.amount);
        }
    }
}
