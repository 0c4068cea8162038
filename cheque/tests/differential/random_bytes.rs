//! Compares core and contract on random bytes, and on payable redemptions with bytes changed, missing or added.

use crate::{
    evm::{Evm, recordSeedCall, redeemBatchCall},
    random::{TestRng, account, cases, pick, rng},
    support::comparison::{assert_redeem_matches, judge_both},
    support::generate::{self, OpenDeposit, Payees, winning_redemption},
};
use alloy_primitives::{Address, B256, Bytes, U256};
use cheque::{Outcome, Redemption, SeedSource};
use rand::Rng;

/// Offsets of the counts of levels, streams and header bytes in a packed redemption. The header's length has two bytes.
const LEVELS_AT: usize = 306;
const STREAMS_AT: usize = 307;
const HEADER_AT: usize = 308;
/// Length of the fixed part of a redemption.
const FIXED: usize = 310;
/// Length of the deposit's terms at its beginning.
const TERMS: usize = 148;

/// A chain after a draw, with a payable redemption.
struct Accepted {
    chain: Evm,
    redemption: Redemption,
    packed: Bytes,
    caller: Address,
    payout: u128,
}

/// Generates a payable redemption, with a recorded seed in half of the cases.
fn accepted(rng: &mut TestRng, payees: &Payees) -> Accepted {
    let mut chain = Evm::new(SeedSource::PrevRandao, 1);
    let (open, proof, seed) = drawn(&mut chain, rng, payees);
    let winning = winning_redemption(&chain, rng, payees, &open, seed);
    let (mut redemption, caller) = winning.expect("every point belongs to a payee");
    redemption.header = proof;
    let state = chain.state(&open.deposit, caller);
    let packed = generate::packed(&redemption);
    let (outcome, payout) = judge_both(&mut chain, &packed, &state);
    assert_eq!(outcome, Outcome::Payable);
    Accepted {
        chain,
        redemption,
        packed,
        caller,
        payout,
    }
}

fn drawn(chain: &mut Evm, rng: &mut TestRng, payees: &Payees) -> (OpenDeposit, Bytes, B256) {
    let open = generate::open(chain, rng, payees, 40, 10);
    chain.mine_to(open.deposit.drawBlock + 1);
    let header = generate::header(rng, open.deposit.drawBlock);
    let (proof, seed) = open.draw(chain, &header);
    if rng.random() {
        let record = recordSeedCall {
            blockNumber: U256::from(open.deposit.drawBlock),
            header: proof.clone(),
        };
        assert!(chain.send(Address::ZERO, 0, &record).is_ok());
    }
    (open, proof, seed)
}

impl Accepted {
    /// Asserts that core and contract judge the bytes alike, and pay no other amount than for the original.
    fn judge(&mut self, changed: &Bytes) -> Outcome {
        let unpacked = Redemption::unpack(changed);
        let terms = unpacked.as_ref().map(|r| &r.deposit);
        // The snapshot follows the changed terms: their purse, their seed.
        let state = self
            .chain
            .state(terms.unwrap_or(&self.redemption.deposit), self.caller);
        let judgement = judge_both(&mut self.chain, changed, &state);
        assert_eq!(judgement.0 == Outcome::Malformed, unpacked.is_err());
        if judgement.0 == Outcome::Payable {
            assert_eq!(judgement.1, self.payout, "{changed}");
        }
        if unpacked.is_ok_and(|r| is_precompile(r.to)) {
            // A precompile may refuse coins.
            return judgement.0;
        }
        assert_redeem_matches(&mut self.chain, changed, &state, judgement);
        judgement.0
    }
}

fn is_precompile(to: Address) -> bool {
    !to.is_zero() && to.0[..18] == [0; 18]
}

/// Makes a random change to packed bytes.
fn mangled(packed: &Bytes, rng: &mut TestRng) -> Bytes {
    let mut bytes = packed.to_vec();
    let at = rng.random_range(0..bytes.len());
    match rng.random_range(0..8) {
        0 => bytes[at] ^= 1 << rng.random_range(0..8),
        1 => bytes[at] = rng.random(),
        2 => bytes.truncate(at),
        3 => bytes.extend(generate::bytes(rng, 100)),
        4 => {
            bytes.remove(at);
        }
        5 => bytes.insert(at, rng.random()),
        6 => {
            let counts = [LEVELS_AT, STREAMS_AT, HEADER_AT, HEADER_AT + 1];
            bytes[*pick(&counts, rng)] = *pick(&[0, 1, 2, 3, 40, 41, 255], rng);
        }
        _ => {
            bytes.truncate(at);
            bytes.extend(generate::bytes(rng, 2_000));
        }
    }
    bytes.into()
}

#[test]
fn agrees_on_mangled_payable_bytes_and_pays_no_more() {
    let rng = &mut rng(60);
    let payees = Payees::new(rng, 40);
    let (mut malformed, mut refused, mut payable) = (0, 0, 0);
    for _ in 0..cases(6_000).div_ceil(100) {
        let mut accepted = accepted(rng, &payees);
        for _ in 0..100 {
            let changed = mangled(&accepted.packed, rng);
            match accepted.judge(&changed) {
                Outcome::Malformed => malformed += 1,
                Outcome::Payable => payable += 1,
                _ => refused += 1,
            }
        }
    }
    let counts = [malformed, refused, payable];
    let enough = (malformed + refused + payable) / 50;
    assert!(counts.iter().all(|&count| count > enough), "{counts:?}");
}

#[test]
fn agrees_on_payable_bytes_changed_or_cut_at_any_offset() {
    let rng = &mut rng(61);
    let payees = Payees::new(rng, 40);
    let mut with_stream = 0;
    for _ in 0..cases(4) {
        let mut accepted = accepted(rng, &payees);
        with_stream += usize::from(accepted.redemption.k > 0);
        for at in 0..accepted.packed.len() {
            let mut changed = accepted.packed.to_vec();
            changed[at] ^= rng.random_range(1..=u8::MAX);
            accepted.judge(&changed.into());
            let cut = accepted.packed.slice(..at);
            accepted.judge(&cut);
        }
    }
    assert!(with_stream > 0);
}

#[test]
fn agrees_on_random_bytes_and_pays_nothing() {
    let rng = &mut rng(62);
    let payees = Payees::new(rng, 40);
    let mut chain = Evm::new(SeedSource::PrevRandao, 1);
    let (open, ..) = drawn(&mut chain, rng, &payees);
    let terms = Redemption {
        deposit: open.deposit.clone(),
        signature: vec![0; 65].into(),
        ..Redemption::default()
    };
    let terms = generate::packed(&terms).slice(..TERMS);
    let mut counts = [0; Outcome::ConsentMissing as usize + 1];
    for _ in 0..cases(4_000) {
        let mut bytes = generate::bytes(rng, 2_000).to_vec();
        // Half of the bytes carry the open deposit's terms and half fitting lengths, to get past the first checks.
        if rng.random() && bytes.len() >= TERMS {
            bytes[..TERMS].copy_from_slice(&terms);
        }
        if rng.random() && bytes.len() >= FIXED {
            let header = rng.random_range(0..600_u16);
            bytes[LEVELS_AT] = rng.random_range(0..20);
            bytes[STREAMS_AT] = rng.random_range(0..=1);
            bytes[HEADER_AT..FIXED].copy_from_slice(&header.to_be_bytes());
        }
        let packed = Bytes::from(bytes);
        let unpacked = Redemption::unpack(&packed);
        let deposit = unpacked.map_or_else(|_| open.deposit.clone(), |r| r.deposit);
        let state = chain.state(&deposit, account(rng));
        let judgement = judge_both(&mut chain, &packed, &state);
        assert_redeem_matches(&mut chain, &packed, &state, judgement);
        counts[judgement.0 as usize] += 1;
    }
    let all: usize = counts.iter().sum();
    let [malformed, not_open, stream] =
        [Outcome::Malformed, Outcome::NotOpen, Outcome::BadStream].map(|o| counts[o as usize]);
    assert_eq!(counts[Outcome::Payable as usize], 0);
    assert!(malformed > all / 10 && not_open > all / 10, "{counts:?}");
    assert!(stream > all / 50, "{counts:?}");
}

#[test]
fn skips_malformed_bytes_in_batch_and_pays_the_others() {
    let rng = &mut rng(63);
    let payees = Payees::new(rng, 40);
    for _ in 0..cases(20) {
        let Accepted {
            mut chain,
            mut redemption,
            payout,
            ..
        } = accepted(rng, &payees);
        redemption.to = Address::ZERO;
        let good = generate::packed(&redemption);
        let announced = good.len() - redemption.consent.len();
        let cut = |rng: &mut TestRng| good.slice(..rng.random_range(0..announced));
        let redemptions = vec![cut(rng), Bytes::new(), cut(rng), good.clone(), cut(rng)];
        let batch = redeemBatchCall { redemptions };
        let payouts = chain.send(redemption.payee, 0, &batch).unwrap();
        assert_eq!(payouts, [0, 0, 0, payout, 0]);
    }
}
