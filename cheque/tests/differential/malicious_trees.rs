//! Payers that commit to a dishonest tree.

use crate::{
    evm::Evm,
    random::{self, TestRng, account, cases, pick, rng, word},
    support::comparison::{Sent, assert_redeem_matches, judge_both},
    support::generate,
};
use alloy_primitives::{Address, B128, B256, Bytes, aliases::U40, keccak256};
use cheque::{Amount, Deposit, Outcome, Redemption, SignedCheque, SigningKey};
use rand::{Rng, seq::IndexedMutRandom};

/// A leaf, or a node with arbitrary sums of its children.
#[derive(Clone)]
enum Node {
    Leaf(Leaf),
    Inner(Box<[(Node, u128); 2]>),
}

#[derive(Clone, PartialEq)]
struct Leaf {
    payee: Address,
    allowance: u128,
    salt: B128,
}

/// A leaf, its path, and its siblings from the leaf up: hash and sum as committed.
type Proof = (Leaf, U40, Vec<(B256, u128)>);

impl Node {
    fn leaf(payee: Address, allowance: u128) -> Self {
        Self::Leaf(Leaf {
            payee,
            allowance,
            salt: B128::repeat_byte(7),
        })
    }

    /// Makes a node with these sums for its children.
    fn claiming(left: Self, left_sum: u128, right: Self, right_sum: u128) -> Self {
        Self::Inner(Box::new([(left, left_sum), (right, right_sum)]))
    }

    fn honest(left: Self, right: Self) -> Self {
        let (left_sum, right_sum) = (left.sum(), right.sum());
        Self::claiming(left, left_sum, right, right_sum)
    }

    /// Returns the honest sum, modulo 2^128.
    fn sum(&self) -> u128 {
        match self {
            Self::Leaf(leaf) => leaf.allowance,
            Self::Inner(children) => children[0].1.wrapping_add(children[1].1),
        }
    }

    fn hash(&self) -> B256 {
        match self {
            Self::Leaf(leaf) => keccak256(
                [
                    leaf.payee.as_slice(),
                    &leaf.allowance.to_be_bytes(),
                    leaf.salt.as_slice(),
                ]
                .concat(),
            ),
            Self::Inner(children) => {
                let [left, right] = children
                    .each_ref()
                    .map(|(node, sum)| [node.hash().as_slice(), &sum.to_be_bytes()].concat());
                keccak256([left, right].concat())
            }
        }
    }

    /// Returns the proofs of all leaves.
    fn proofs(&self) -> Vec<Proof> {
        match self {
            Self::Leaf(leaf) => vec![(leaf.clone(), U40::ZERO, Vec::new())],
            Self::Inner(children) => {
                let mut all = Vec::new();
                for side in [0, 1] {
                    let (sibling, sum) = &children[1 - side];
                    let sibling = (sibling.hash(), *sum);
                    for (leaf, path, mut siblings) in children[side].0.proofs() {
                        // A path has 40 bits; higher bits are lost.
                        let bit = U40::from(side) << siblings.len();
                        siblings.push(sibling);
                        all.push((leaf, path | bit, siblings));
                    }
                }
                all
            }
        }
    }
}

/// A bank with an open deposit over a tree.
struct TreeDeposit {
    chain: Evm,
    deposit: Deposit,
    signer: SigningKey,
}

impl TreeDeposit {
    fn new(mut chain: Evm, tree: &Node, amount: u128, rng: &mut TestRng) -> Self {
        let signer = random::key(rng);
        let deposit = Deposit {
            minPayout: 0,
            ..generate::terms(&chain, rng, signer.address(), tree.hash(), amount, 10)
        };
        chain.open(&deposit);
        chain.mine_at(deposit.drawTime + 1);
        let mut opened = Self {
            chain,
            deposit,
            signer,
        };
        opened.draw_again(rng);
        opened
    }

    /// Replaces the seed and thereby the roll.
    fn draw_again(&mut self, rng: &mut TestRng) {
        self.chain.record(self.deposit.drawTime, word(rng));
    }

    /// Builds the redemption of a leaf's whole allowance by its payee.
    fn claim(&self, (leaf, path, siblings): &Proof) -> Redemption {
        let id = self.chain.bank.deposit_id(&self.deposit);
        let spent = Amount::new(leaf.allowance);
        let bank = &self.chain.bank;
        let cheque = SignedCheque::sign(&self.signer, bank, id, leaf.payee, spent, None);
        let level = |(hash, sum): &(B256, u128)| [hash.as_slice(), &sum.to_be_bytes()].concat();
        Redemption {
            deposit: self.deposit.clone(),
            payee: leaf.payee,
            allowance: leaf.allowance,
            salt: leaf.salt,
            path: *path,
            spent: leaf.allowance,
            signature: cheque.signature.as_bytes().to_vec().into(),
            siblings: siblings.iter().flat_map(level).collect(),
            ..Redemption::default()
        }
    }

    fn outcome(&mut self, r: &Redemption) -> Outcome {
        let none = Bytes::new();
        let state = self.chain.state(&r.deposit, r.payee, &none);
        let sent = Sent {
            packed: &generate::packed(r),
            proof: &none,
            state: &state,
        };
        let judgement = judge_both(&mut self.chain, sent);
        if judgement.0 == Outcome::Payable {
            assert_redeem_matches(&mut self.chain, sent, judgement);
        }
        judgement.0
    }

    /// Returns the outcome of every leaf of a tree, in order.
    fn outcomes(&mut self, tree: &Node) -> Vec<Outcome> {
        let proofs = tree.proofs();
        let claims = proofs.iter().map(|proof| self.claim(proof));
        let claims: Vec<_> = claims.collect();
        claims.iter().map(|r| self.outcome(r)).collect()
    }
}

fn winners(outcomes: &[Outcome]) -> usize {
    let wins = outcomes.iter().filter(|&&o| o == Outcome::Payable);
    wins.count()
}

/// True for a proof that leads to another deposit, or nowhere.
fn is_misfit(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::NotOpen | Outcome::BadProof)
}

fn bank() -> Evm {
    Evm::new(1)
}

const A: Address = Address::repeat_byte(0xa);
const B: Address = Address::repeat_byte(0xb);

#[test]
fn pays_at_most_one_payee_of_any_tree() {
    let rng = &mut rng(40);
    let mut chain = bank();
    let (mut wins, mut misfits) = (0, 0);
    for _ in 0..cases(300) {
        let small = rng.random();
        let leaves = rng.random_range(1..8);
        let tree = random_tree(rng, leaves, small);
        let amount = match rng.random_range(0..4) {
            0 => other_sum(rng, tree.sum(), small),
            _ => tree.sum(),
        };
        let mut opened = TreeDeposit::new(chain, &tree, amount.max(1), rng);
        for _ in 0..4 {
            let outcomes = opened.outcomes(&tree);
            assert!(winners(&outcomes) <= 1, "{outcomes:?}");
            wins += winners(&outcomes);
            misfits += outcomes.iter().filter(|o| is_misfit(o)).count();
            opened.draw_again(rng);
        }
        // Proofs with another sum or another side than in the tree.
        let proofs = tree.proofs();
        for (leaf, path, mut siblings) in proofs.clone() {
            let Some(sibling) = siblings.choose_mut(rng) else {
                continue;
            };
            sibling.1 = other_sum(rng, sibling.1, small);
            let other = (leaf, path ^ U40::from(rng.random::<bool>()), siblings);
            if !proofs.contains(&other) {
                let r = opened.claim(&other);
                assert!(is_misfit(&opened.outcome(&r)));
            }
        }
        chain = opened.chain;
    }
    assert!(
        wins > 100 && misfits > 100,
        "{wins} wins, {misfits} misfits"
    );
}

/// Generates a tree of random shape with some dishonest nodes.
fn random_tree(rng: &mut TestRng, leaves: usize, small: bool) -> Node {
    if leaves == 1 {
        let payee = *pick(&[A, B, account(rng)], rng);
        let max = if small { 100 } else { u128::MAX };
        return Node::leaf(payee, rng.random_range(1..=max));
    }
    let left = rng.random_range(1..leaves);
    let (left, right) = (
        random_tree(rng, left, small),
        random_tree(rng, leaves - left, small),
    );
    let mut sums = [left.sum(), right.sum()];
    if rng.random_ratio(1, 6) {
        let side = rng.random_range(0..2);
        sums[side] = other_sum(rng, sums[side], small);
    }
    Node::claiming(left, sums[0], right, sums[1])
}

fn other_sum(rng: &mut TestRng, sum: u128, small: bool) -> u128 {
    let far = rng.random_range(0..=if small { 200 } else { u128::MAX });
    let sums = [sum.wrapping_add(1), sum.wrapping_sub(1), 0, far, !sum];
    *pick(&sums, rng)
}

#[test]
fn pays_exactly_one_payee_of_honest_fully_spent_deposit() {
    let rng = &mut rng(41);
    let leaves = [(A, 3), (B, 1), (account(rng), 60)].map(|(p, a)| Node::leaf(p, a));
    let [a, b, c] = leaves;
    let tree = Node::honest(Node::honest(a, b), c);
    let mut opened = TreeDeposit::new(bank(), &tree, 64, rng);
    for _ in 0..200 {
        assert_eq!(winners(&opened.outcomes(&tree)), 1);
        opened.draw_again(rng);
    }
}

#[test]
fn proves_only_one_of_two_overlapping_ranges() {
    let rng = &mut rng(42);
    // B's range would begin at 50, inside A's range.
    let tree = Node::claiming(Node::leaf(A, 100), 50, Node::leaf(B, 100), 100);
    let mut opened = TreeDeposit::new(bank(), &tree, 150, rng);
    for _ in 0..20 {
        let outcomes = opened.outcomes(&tree);
        assert_eq!(outcomes[0], Outcome::NotOpen);
        assert!(matches!(outcomes[1], Outcome::Payable | Outcome::Loses));
        // A cannot prove its leaf with the sums of an honest tree either.
        let (leaf, path, siblings) = tree.proofs()[0].clone();
        let honest = vec![(siblings[0].0, 50)];
        let r = opened.claim(&(leaf, path, honest));
        assert_eq!(opened.outcome(&r), Outcome::NotOpen);
        opened.draw_again(rng);
    }
}

#[test]
fn refuses_proofs_with_sums_that_wrap_around() {
    let rng = &mut rng(43);
    let half = 1 << 127;
    for (left, right) in [(half, half + 100), (u128::MAX, 101), (101, u128::MAX)] {
        let tree = Node::honest(Node::leaf(A, left), Node::leaf(B, right));
        assert_eq!(tree.sum(), 100);
        let mut opened = TreeDeposit::new(bank(), &tree, 100, rng);
        assert_eq!(opened.outcomes(&tree), [Outcome::BadProof; 2]);
    }
    // The same overflow three levels up.
    let low = Node::honest(Node::leaf(A, half), Node::leaf(B, half));
    let tree = Node::honest(Node::leaf(A, 1), Node::honest(low, Node::leaf(B, 99)));
    let mut opened = TreeDeposit::new(bank(), &tree, 100, rng);
    let outcomes = opened.outcomes(&tree);
    // The overflow invalidates the two leaves below, not the others.
    assert_eq!(outcomes[1..3], [Outcome::BadProof; 2]);
    assert_eq!(winners(&outcomes), 1);
}

#[test]
fn pays_duplicated_leaf_from_one_of_its_two_ranges() {
    let rng = &mut rng(44);
    let twin = Node::leaf(A, 50);
    let tree = Node::honest(twin.clone(), twin);
    let mut opened = TreeDeposit::new(bank(), &tree, 100, rng);
    let mut by_leaf = [0, 0];
    for _ in 0..60 {
        let outcomes = opened.outcomes(&tree);
        assert_eq!(winners(&outcomes), 1);
        let left = usize::from(outcomes[0] != Outcome::Payable);
        by_leaf[left] += 1;
        opened.draw_again(rng);
    }
    assert!(by_leaf.iter().all(|&wins| wins > 10), "{by_leaf:?}");
}

#[test]
fn pays_leaves_down_to_40_levels_and_none_deeper() {
    let rng = &mut rng(45);
    for depth in [39_usize, 40, 41, 63, 64, 65, 100] {
        for deep_is_right in [false, true] {
            let mut tree = Node::leaf(A, 1_000_000);
            for _ in 0..depth {
                let other = Node::leaf(B, 1);
                tree = if deep_is_right {
                    Node::honest(other, tree)
                } else {
                    Node::honest(tree, other)
                };
            }
            let mut opened = TreeDeposit::new(bank(), &tree, tree.sum(), rng);
            let proofs = tree.proofs();
            let deepest = proofs.iter().find(|(leaf, ..)| leaf.payee == A).unwrap();
            let mut seen = Vec::new();
            for _ in 0..10 {
                let r = opened.claim(deepest);
                seen.push(opened.outcome(&r));
                opened.draw_again(rng);
            }
            // The deepest leaf has nearly the whole deposit, so every roll hits its range.
            let expected = if depth > 40 {
                Outcome::BadProof
            } else {
                Outcome::Payable
            };
            assert_eq!(seen, [expected; 10], "depth {depth}");
        }
    }
}
