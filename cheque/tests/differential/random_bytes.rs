//! Compares core and contract on random bytes, and on payable redemptions with bytes changed, missing or added.

use crate::{
    evm::{Evm, recordSeedCall, redeemBatchCall},
    random::{TestRng, account, cases, pick, rng},
    support::comparison::{Sent, assert_redeem_matches, judge_both},
    support::generate::{self, OpenDeposit, Payees, winning_redemption},
};
use alloy_primitives::{Address, Bytes};
use cheque::{Outcome, Redemption};
use rand::Rng;

/// Offsets of the number of levels and of the form in a packed redemption.
const LEVELS_AT: usize = 218;
const FORM_AT: usize = 219;
/// Length of the fixed part of a redemption.
const FIXED: usize = 220;
/// Length of the deposit's terms and the payee's leaf at its beginning.
const LEAF: usize = 137;
/// The bits of the form for a token, a recipient and a stream.
const PARTS: [u8; 4] = [0, 0x10, 0x20, 0x40];

/// A chain after a draw, with a payable redemption.
struct Accepted {
    chain: Evm,
    redemption: Redemption,
    packed: Bytes,
    /// The proof of the draw's seed.
    proof: Bytes,
    caller: Address,
    payout: u128,
}

/// Generates a payable redemption, with a recorded seed in half of the cases.
fn accepted(rng: &mut TestRng, payees: &Payees) -> Accepted {
    let mut chain = Evm::new(1);
    let (open, proof) = drawn(&mut chain, rng, payees);
    let seed = chain.round(open.deposit.drawTime).seed().0;
    let winning = winning_redemption(&chain, rng, payees, &open, seed);
    let (redemption, caller) = winning.expect("every point belongs to a payee");
    let state = chain.state(&open.deposit, caller, &proof);
    let packed = generate::packed(&redemption);
    let sent = Sent {
        packed: &packed,
        proof: &proof,
        state: &state,
    };
    let (outcome, payout) = judge_both(&mut chain, sent);
    assert_eq!(outcome, Outcome::Payable);
    Accepted {
        chain,
        redemption,
        packed,
        proof,
        caller,
        payout,
    }
}

fn drawn(chain: &mut Evm, rng: &mut TestRng, payees: &Payees) -> (OpenDeposit, Bytes) {
    let open = generate::open(chain, rng, payees, 40, 10);
    chain.mine_at(open.deposit.drawTime + 1);
    let proof = open.proof(chain);
    if rng.random() {
        let record = recordSeedCall {
            drawTime: open.deposit.drawTime,
            proof: proof.clone(),
        };
        assert!(chain.send(Address::ZERO, 0, &record).is_ok());
    }
    (open, proof)
}

impl Accepted {
    /// Asserts that core and contract judge the bytes alike, and pay no other amount than for the original.
    fn judge(&mut self, changed: &Bytes) -> Outcome {
        let unpacked = Redemption::unpack(changed);
        let terms = unpacked.as_ref().map(|r| &r.deposit);
        // The snapshot follows the changed terms: their purse, their seed.
        let terms = terms.unwrap_or(&self.redemption.deposit);
        let state = self.chain.state(terms, self.caller, &self.proof);
        let sent = Sent {
            packed: changed,
            proof: &self.proof,
            state: &state,
        };
        let judgement = judge_both(&mut self.chain, sent);
        if let Err(error) = &unpacked {
            assert_eq!(judgement.0, error.outcome());
        }
        if judgement.0 == Outcome::Payable {
            assert_eq!(judgement.1, self.payout, "{changed}");
        }
        if unpacked.is_ok_and(|r| is_precompile(r.to)) {
            // A precompile may refuse coins.
            return judgement.0;
        }
        assert_redeem_matches(&mut self.chain, sent, judgement);
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
    match rng.random_range(0..9) {
        0 => bytes[at] ^= 1 << rng.random_range(0..8),
        1 => bytes[at] = rng.random(),
        2 => bytes.truncate(at),
        3 => bytes.extend(generate::bytes(rng, 100)),
        4 => {
            bytes.remove(at);
        }
        5 => bytes.insert(at, rng.random()),
        6 => {
            bytes[LEVELS_AT] = *pick(&[0, 1, 2, 3, 40, 41, 255], rng);
        }
        7 => bytes[FORM_AT] ^= pick(&PARTS, rng) | rng.random_range(0..16),
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
    let Accepted {
        mut chain,
        redemption,
        packed: good,
        proof,
        ..
    } = accepted(rng, &payees);
    let levels = redemption.siblings.len() / 48;
    let siblings = usize::from(good[LEVELS_AT]) * (32 + usize::from(good[FORM_AT] & 0x0f) + 1);
    assert_eq!(levels, usize::from(good[LEVELS_AT]));
    let mut counts = [0; Outcome::ConsentMissing as usize + 1];
    for _ in 0..cases(4_000) {
        let mut bytes = generate::bytes(rng, 2_000).to_vec();
        // Half of the bytes carry the open deposit's terms, a leaf and its proof, to get past the first checks.
        if rng.random() && bytes.len() >= FIXED + siblings {
            bytes[..LEAF].copy_from_slice(&good[..LEAF]);
            bytes[LEVELS_AT..FIXED + siblings].copy_from_slice(&good[LEVELS_AT..FIXED + siblings]);
            bytes[FORM_AT] ^= pick(&PARTS, rng);
            if rng.random() {
                // A total within the allowance.
                bytes[LEAF..LEAF + 16].copy_from_slice(&1_u128.to_be_bytes());
            }
        }
        let packed = Bytes::from(bytes);
        let unpacked = Redemption::unpack(&packed);
        let deposit = unpacked.map_or_else(|_| redemption.deposit.clone(), |r| r.deposit);
        let state = chain.state(&deposit, account(rng), &proof);
        let sent = Sent {
            packed: &packed,
            proof: &proof,
            state: &state,
        };
        let judgement = judge_both(&mut chain, sent);
        assert_redeem_matches(&mut chain, sent, judgement);
        counts[judgement.0 as usize] += 1;
    }
    let all: usize = counts.iter().sum();
    assert_eq!(counts[Outcome::Payable as usize], 0);
    for (often, outcomes) in [
        (
            20,
            [Outcome::Malformed, Outcome::BadStream, Outcome::NotOpen],
        ),
        (
            100,
            [
                Outcome::BadProof,
                Outcome::BadSignature,
                Outcome::OverAllowance,
            ],
        ),
    ] {
        for outcome in outcomes {
            assert!(
                counts[outcome as usize] > all / often,
                "{outcome:?}: {counts:?}"
            );
        }
    }
}

#[test]
fn skips_malformed_bytes_in_batch_and_pays_the_others() {
    let rng = &mut rng(63);
    let payees = Payees::new(rng, 40);
    for _ in 0..cases(20) {
        let Accepted {
            mut chain,
            mut redemption,
            proof,
            payout,
            ..
        } = accepted(rng, &payees);
        redemption.to = Address::ZERO;
        let good = generate::packed(&redemption);
        let announced = good.len() - redemption.consent.len();
        let cut = |rng: &mut TestRng| good.slice(..rng.random_range(0..announced));
        let redemptions = vec![cut(rng), Bytes::new(), cut(rng), good.clone(), cut(rng)];
        let batch = redeemBatchCall {
            redemptions,
            drawTimes: vec![redemption.deposit.drawTime],
            proofs: vec![proof],
        };
        let payouts = chain.send(redemption.payee, 0, &batch).unwrap();
        assert_eq!(payouts, [0, 0, 0, payout, 0]);
    }
}
