//! Generates random deposits and redemptions.

use crate::{
    evm::Evm,
    random::{TestRng, account, key, pick, salt, word},
};
use alloy_primitives::{Address, B256, Bytes, U256, aliases::U40};
use cheque::{
    AllowanceTree, Amount, Deposit, DepositId, Redemption, Seed, SignedCheque, SigningKey, Stream,
    roll,
};
use rand::Rng;
use std::collections::HashMap;

/// Keys of the payees, which can sign consents.
pub(crate) struct Payees(pub(crate) Vec<SigningKey>);

impl Payees {
    pub(crate) fn new(rng: &mut TestRng, number: usize) -> Self {
        Self((0..number).map(|_| key(rng)).collect())
    }

    pub(crate) fn key(&self, payee: Address) -> &SigningKey {
        let found = self.0.iter().find(|key| key.address() == payee);
        found.expect("one of the payees")
    }
}

/// An open deposit with its payer's secrets.
pub(crate) struct OpenDeposit {
    pub(crate) id: DepositId,
    pub(crate) deposit: Deposit,
    pub(crate) signer: SigningKey,
    pub(crate) tree: AllowanceTree,
    /// Start of each payee's range: the sum of all earlier allowances, added up here independently of the tree.
    pub(crate) starts: HashMap<Address, u128>,
}

/// Generates terms of a deposit over this tree with a redemption window of `window` seconds. The draw is within 12
/// seconds, one at least.
pub(crate) fn terms(
    chain: &Evm,
    rng: &mut TestRng,
    signer: Address,
    root: B256,
    amount: u128,
    window: u64,
) -> Deposit {
    let draw_time = chain.draw_in(rng.random_range(1..10));
    let min_payout = match rng.random_range(0..6) {
        0 => 0,
        1 => amount.min(rng.random_range(1..4)),
        2 => amount,
        3 => amount / 2,
        4 => amount / 100,
        _ => rng.random_range(0..=amount),
    };
    Deposit {
        payer: account(rng),
        signer,
        token: Address::ZERO,
        lane: rng.random_range(1..=u64::MAX),
        amount,
        minPayout: min_payout,
        drawTime: draw_time,
        redeemUntil: draw_time + window,
        root,
    }
}

/// Opens a deposit for up to `max` payees, with even, uneven or extreme weights.
pub(crate) fn open(
    chain: &mut Evm,
    rng: &mut TestRng,
    payees: &Payees,
    max: usize,
    window: u64,
) -> OpenDeposit {
    let number = match rng.random_range(0..4) {
        0 => rng.random_range(1..=3),
        1 => max,
        _ => rng.random_range(1..=max),
    };
    let first = rng.random_range(0..payees.0.len());
    let chosen = payees.0.iter().cycle().skip(first).take(number);
    let allowances = allowances(rng, number);
    let pairs = chosen
        .map(SigningKey::address)
        .zip(allowances.into_iter().map(Amount::new));
    let tree = AllowanceTree::build(pairs, &salt(rng)).expect("these make a tree");
    let signer = key(rng);
    let total = tree.total().get();
    let deposit = terms(chain, rng, signer.address(), tree.root(), total, window);
    chain.open(&deposit);
    let mut start = 0;
    let starts = tree
        .iter()
        .map(|(payee, allowance)| {
            let own = start;
            start += allowance.get();
            (payee, own)
        })
        .collect();
    OpenDeposit {
        id: chain.bank.deposit_id(&deposit),
        deposit,
        signer,
        tree,
        starts,
    }
}

fn allowances(rng: &mut TestRng, number: usize) -> Vec<u128> {
    let max = u128::MAX / number as u128;
    let mut allowances: Vec<u128> = match rng.random_range(0..6) {
        0 => vec![1; number],
        1 => vec![1_000_000_000_000_000_000; number],
        2 => (0..number).map(|i| 1 << (i % 100)).collect(),
        3 => (0..number).map(|_| rng.random_range(1..=max)).collect(),
        4 => (0..number).map(|_| rng.random_range(1..=20)).collect(),
        _ => (0..number)
            .map(|_| max >> rng.random_range(0..120))
            .collect(),
    };
    if rng.random_ratio(1, 4) {
        // A single payee gets the rest of the largest possible deposit.
        let last = rng.random_range(0..number);
        let others: u128 = allowances.iter().sum::<u128>() - allowances[last];
        allowances[last] = u128::MAX - others;
    }
    allowances
}

/// Packs a redemption for the bank.
pub(crate) fn packed(r: &Redemption) -> Bytes {
    r.pack().expect("the tests' redemptions can be packed")
}

/// Generates up to `max` random bytes.
pub(crate) fn bytes(rng: &mut TestRng, max: usize) -> Bytes {
    let length = rng.random_range(0..=max);
    (0..length).map(|_| rng.random::<u8>()).collect()
}

impl OpenDeposit {
    /// Returns the proof of the deposit's seed.
    pub(crate) fn proof(&self, chain: &Evm) -> Bytes {
        chain.proof(self.deposit.drawTime)
    }

    /// Writes another seed for the deposit's draw into the bank's storage, and returns it.
    pub(crate) fn redraw(&self, chain: &mut Evm, rng: &mut TestRng) -> B256 {
        let seed = word(rng);
        chain.record(self.deposit.drawTime, seed);
        seed
    }

    /// Builds the redemption of a cheque by its payee to the payee's balance.
    pub(crate) fn redemption(
        &self,
        chain: &Evm,
        payee: Address,
        spent: u128,
        stream: Option<(&Stream, u128, u32)>,
    ) -> Redemption {
        let proof = self.tree.proof(payee).expect("one of the payees");
        let terms = stream.map(|(stream, step, _)| (stream.anchor(), Amount::new(step)));
        let spent = Amount::new(spent);
        let cheque = SignedCheque::sign(&self.signer, &chain.bank, self.id, payee, spent, terms);
        let k = stream.map_or(0, |(_, _, k)| k);
        let shown = stream.filter(|_| k > 0);
        Redemption {
            deposit: self.deposit.clone(),
            payee,
            allowance: proof.allowance.get(),
            salt: proof.salt,
            path: U40::from(proof.path),
            spent: spent.get(),
            signature: cheque.signature.as_bytes().to_vec().into(),
            to: Address::ZERO,
            siblings: proof.packed_siblings().into(),
            anchor: cheque.anchor,
            step: cheque.step.get(),
            k: k.try_into().expect("no stream is that long"),
            x: shown
                .and_then(|(stream, _, k)| stream.show(k))
                .unwrap_or_default(),
            consent: Bytes::new(),
        }
    }

    /// Signs the payee's consent to a redemption of `total` by others.
    pub(crate) fn consent(&self, chain: &Evm, key: &SigningKey, total: u128, to: Address) -> Bytes {
        let (payee, total) = (key.address(), Amount::new(total));
        let digest = chain.bank.consent_digest(self.id, payee, total, to);
        key.sign(digest).as_bytes().to_vec().into()
    }

    /// Returns the payee whose range ends nearest before `point`, and would be the first to reach the point if ranges were
    /// wider.
    pub(crate) fn left_of(&self, point: u128) -> Address {
        let before = |(payee, start): (&Address, &u128)| {
            let allowance = self.tree.allowance(*payee)?.get();
            (start + allowance <= point).then_some((*start, *payee))
        };
        let nearest = self.starts.iter().filter_map(before).max();
        let (first, _) = self.tree.iter().next().expect("a tree is never empty");
        nearest.map_or(first, |(_, payee)| payee)
    }

    /// Generates a total within a payee's allowance, often near a value where the outcome changes.
    pub(crate) fn total(&self, rng: &mut TestRng, payee: Address, roll: u128) -> u128 {
        let allowance = self.tree.allowance(payee).expect("one of the payees").get();
        let deposit = &self.deposit;
        let offset = roll.saturating_sub(self.starts[&payee]);
        let edge = match rng.random_range(0..6) {
            0 => allowance,
            1 => 1,
            // The full payout reaches `minPayout`.
            2 => ceil_div(deposit.minPayout, allowance, deposit.amount),
            // The range reaches the roll.
            3 | 4 => ceil_div(offset.saturating_add(1), deposit.minPayout, deposit.amount),
            _ => rng.random_range(1..=allowance),
        };
        let near = edge
            .saturating_add(rng.random_range(0..3))
            .saturating_sub(1);
        near.clamp(1, allowance)
    }
}

/// ceil(a * b / c), at most 2^128 - 1.
fn ceil_div(a: u128, b: u128, c: u128) -> u128 {
    let product = U256::from(a) * U256::from(b);
    product.div_ceil(U256::from(c)).saturating_to()
}

/// Picks an account, most often the first.
pub(crate) fn mostly_first(accounts: &[Address], rng: &mut TestRng) -> Address {
    if rng.random() {
        accounts[0]
    } else {
        *pick(accounts, rng)
    }
}

/// Builds a winning redemption at this seed, sent by the payee or by another account with the payee's consent.
pub(crate) fn winning_redemption(
    chain: &Evm,
    rng: &mut TestRng,
    payees: &Payees,
    open: &OpenDeposit,
    seed: B256,
) -> Option<(Redemption, Address)> {
    let amount = Amount::new(open.deposit.amount);
    let point = roll(Seed(seed), open.id, amount);
    let payee = open.tree.payee_at(point)?;
    let total = open.tree.allowance(payee)?.get();
    let steps = rng.random_range(1..30).min(total.min(30) as u32);
    let stream = Stream::new(word(rng), steps).ok()?;
    let step = total / u128::from(steps);
    let spent = total - step * u128::from(steps);
    let with_stream: bool = rng.random();
    let mut r = if with_stream {
        open.redemption(chain, payee, spent, Some((&stream, step, steps)))
    } else {
        open.redemption(chain, payee, total, None)
    };
    r.to = *pick(&[Address::ZERO, account(rng)], rng);
    r.consent = open.consent(chain, payees.key(payee), total, r.to);
    Some((r, *pick(&[payee, account(rng)], rng)))
}
