//! Random deposits, headers and redemptions.

use crate::{
    common::{TestRng, account, key, pick, salt, word},
    evm::Evm,
};
use alloy_consensus::Header;
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U256, aliases::U40, keccak256};
use alloy_rlp::Encodable;
use cheque::{
    AllowanceTree, Amount, Deposit, DepositId, Redemption, SeedSource, SignedCheque, SigningKey,
    Stream,
};
use rand::Rng;
use std::collections::HashMap;

/// Who can be paid: keys, so that a payee can consent.
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

/// An open deposit, and what its payer knows of it.
pub(crate) struct Open {
    pub(crate) id: DepositId,
    pub(crate) deposit: Deposit,
    pub(crate) signer: SigningKey,
    pub(crate) tree: AllowanceTree,
    /// Where each range starts: the sum of the allowances before it, added up here.
    pub(crate) starts: HashMap<Address, u128>,
}

/// Terms of a deposit over this tree. It can be redeemed for `window` blocks.
pub(crate) fn terms(
    chain: &Evm,
    rng: &mut TestRng,
    signer: Address,
    root: B256,
    amount: u128,
    window: u64,
) -> Deposit {
    let draw_block = chain.block() + rng.random_range(1..4);
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
        drawBlock: draw_block,
        lastRedeemBlock: draw_block + window,
        root,
    }
}

/// Opens a deposit for up to `most` payees, with even, uneven or extreme weights.
pub(crate) fn open(
    chain: &mut Evm,
    rng: &mut TestRng,
    payees: &Payees,
    most: usize,
    window: u64,
) -> Open {
    let number = match rng.random_range(0..4) {
        0 => rng.random_range(1..=3),
        1 => most,
        _ => rng.random_range(1..=most),
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
    Open {
        id: chain.bank.deposit_id(&deposit),
        deposit,
        signer,
        tree,
        starts,
    }
}

fn allowances(rng: &mut TestRng, number: usize) -> Vec<u128> {
    let most = u128::MAX / number as u128;
    let mut allowances: Vec<u128> = match rng.random_range(0..6) {
        0 => vec![1; number],
        1 => vec![1_000_000_000_000_000_000; number],
        2 => (0..number).map(|i| 1 << (i % 100)).collect(),
        3 => (0..number).map(|_| rng.random_range(1..=most)).collect(),
        4 => (0..number).map(|_| rng.random_range(1..=20)).collect(),
        _ => (0..number)
            .map(|_| most >> rng.random_range(0..120))
            .collect(),
    };
    if rng.random_ratio(1, 4) {
        // One takes all the others leave of the largest deposit there can be.
        let last = rng.random_range(0..number);
        let others: u128 = allowances.iter().sum::<u128>() - allowances[last];
        allowances[last] = u128::MAX - others;
    }
    allowances
}

/// A header as some fork of Ethereum or some rollup would have it.
pub(crate) fn header(rng: &mut TestRng, number: u64) -> Header {
    let fork = rng.random_range(0..4);
    let mut mix_hash = word(rng);
    mix_hash.0[0] |= 1;
    Header {
        parent_hash: word(rng),
        beneficiary: account(rng),
        state_root: word(rng),
        transactions_root: word(rng),
        receipts_root: word(rng),
        logs_bloom: Bloom::repeat_byte(rng.random()),
        number,
        gas_limit: rng.random::<u64>() >> rng.random_range(0..64),
        gas_used: rng.random::<u64>() >> rng.random_range(0..64),
        timestamp: rng.random_range(1_700_000_000..2_000_000_000),
        extra_data: bytes(rng, 100),
        mix_hash,
        nonce: B64::ZERO,
        base_fee_per_gas: Some(rng.random::<u64>() >> rng.random_range(0..64)),
        withdrawals_root: (fork > 0).then(|| word(rng)),
        blob_gas_used: (fork > 1).then(|| rng.random()),
        excess_blob_gas: (fork > 1).then(|| rng.random()),
        parent_beacon_block_root: (fork > 1).then(|| word(rng)),
        requests_hash: (fork > 2).then(|| word(rng)),
        ..Header::default()
    }
}

pub(crate) fn rlp(header: &Header) -> Bytes {
    let mut bytes = Vec::new();
    header.encode(&mut bytes);
    bytes.into()
}

/// What the bank is sent.
pub(crate) fn packed(r: &Redemption) -> Bytes {
    r.pack().expect("the tests' redemptions can be packed")
}

/// Up to `most` random bytes.
pub(crate) fn bytes(rng: &mut TestRng, most: usize) -> Bytes {
    let length = rng.random_range(0..=most);
    (0..length).map(|_| rng.random::<u8>()).collect()
}

impl Open {
    /// Makes a block with this header the draw block, and returns what proves its seed and the seed.
    pub(crate) fn draw(&self, chain: &mut Evm, header: &Header) -> (Bytes, B256) {
        let bytes = rlp(header);
        let hash = keccak256(&bytes);
        assert_eq!(hash, header.hash_slow());
        chain.replace_block(self.deposit.drawBlock, hash);
        match chain.source {
            SeedSource::BlockHash => (Bytes::new(), hash),
            _ => (bytes, header.mix_hash),
        }
    }

    /// The redemption of a cheque, by the payee itself and to its balance. The header is missing.
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
            header: Bytes::new(),
            consent: Bytes::new(),
        }
    }

    /// What the payee signs to let others redeem a total.
    pub(crate) fn consent(&self, chain: &Evm, key: &SigningKey, total: u128, to: Address) -> Bytes {
        let digest = chain.bank.consent_digest(self.id, Amount::new(total), to);
        key.sign(digest).as_bytes().to_vec().into()
    }

    /// The payee whose range would be the first to reach a point if ranges were wider than they are.
    pub(crate) fn left_of(&self, point: u128) -> Address {
        let before = |(payee, start): (&Address, &u128)| {
            let allowance = self.tree.allowance(*payee)?.get();
            (start + allowance <= point).then_some((*start, *payee))
        };
        let nearest = self.starts.iter().filter_map(before).max();
        let (first, _) = self.tree.iter().next().expect("a tree is never empty");
        nearest.map_or(first, |(_, payee)| payee)
    }

    /// A total for a payee: any of its allowance, and often one where something changes.
    pub(crate) fn total(&self, rng: &mut TestRng, payee: Address, roll: u128) -> u128 {
        let allowance = self.tree.allowance(payee).expect("one of the payees").get();
        let deposit = &self.deposit;
        let offset = roll.saturating_sub(self.starts[&payee]);
        let edge = match rng.random_range(0..6) {
            0 => allowance,
            1 => 1,
            // full reaches minPayout
            2 => ceil_div(deposit.minPayout, allowance, deposit.amount),
            // the range reaches the roll
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

/// One of several accounts, most often the first.
pub(crate) fn mostly_first(accounts: &[Address], rng: &mut TestRng) -> Address {
    if rng.random() {
        accounts[0]
    } else {
        *pick(accounts, rng)
    }
}
