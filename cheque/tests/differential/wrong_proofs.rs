//! Wrong proofs of a seed, 10,000 of them: core and contract refuse each, and the contract by its own error, alone, with a
//! redemption and in a batch.

use crate::{
    evm::{Evm, GENESIS, PERIOD, Revert, recordSeedCall, shown},
    random::{TestRng, cases, pick, rng},
    support::comparison::{Sent, assert_batch_matches, assert_redeem_matches, judge_both},
    support::generate::{self, OpenDeposit, Payees, winning_redemption},
};
use alloy_primitives::{Address, Bytes, U512, hex};
use bls12_381::{G1Affine, G1Projective};
use cheque::{LocalBeacon, Outcome, Redemption};
use cheque_bindings::IDrandBankErrors;
use rand::Rng;

/// The prime of the field.
const PRIME: [u8; 48] = hex!(
    "1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab"
);

/// The seed of a draw with an open deposit, whose right proof pays a redemption.
struct Draw {
    chain: Evm,
    draw_time: u64,
    right: Bytes,
    /// Sent by its payee.
    redemption: Redemption,
}

impl Draw {
    fn new(rng: &mut TestRng) -> Self {
        let mut chain = Evm::new(1);
        let payees = Payees::new(rng, 10);
        let open: OpenDeposit = generate::open(&mut chain, rng, &payees, 10, 86_400);
        let draw_time = open.deposit.drawTime;
        let (right, seed) = (open.proof(&chain), chain.round(draw_time).seed().0);
        let winning = winning_redemption(&chain, rng, &payees, &open, seed);
        let (mut redemption, _) = winning.expect("every point belongs to a payee");
        redemption.to = Address::ZERO;
        redemption.consent = Bytes::new();
        chain.mine_at(draw_time + 1);
        let mut draw = Self {
            chain,
            draw_time,
            right,
            redemption,
        };
        let right = draw.right.clone();
        assert_eq!(draw.judge(&right), Outcome::Payable);
        draw
    }

    /// Asserts that core and contract read no seed in the bytes, and that nothing is recorded.
    fn refuse(&mut self, wrong: &Bytes) {
        assert_ne!(*wrong, self.right);
        let read = shown(&self.chain.beacon, self.draw_time, wrong);
        assert_eq!(read, None, "the core reads a seed in {wrong}");
        let record = recordSeedCall {
            drawTime: self.draw_time,
            proof: wrong.clone(),
        };
        match self.chain.attempt(Address::ZERO, 0, &record) {
            Err(Revert::InvalidSeedProof(error)) => assert_eq!(error.drawTime, self.draw_time),
            other => panic!("{other:?} for {wrong}"),
        }
        self.chain.forget();
    }

    /// Asserts that core and contract judge the redemption alike with these bytes as its proof, and returns the outcome.
    fn judge(&mut self, proof: &Bytes) -> Outcome {
        let r = &self.redemption;
        let state = self.chain.state(&r.deposit, r.payee, proof);
        let sent = Sent {
            packed: &generate::packed(r),
            proof,
            state: &state,
        };
        let judgement = judge_both(&mut self.chain, sent);
        assert_redeem_matches(&mut self.chain, sent, judgement);
        assert_batch_matches(&mut self.chain, sent, judgement);
        judgement.0
    }

    /// Asserts that the bytes are refused everywhere.
    fn refuse_everywhere(&mut self, wrong: &Bytes) {
        self.refuse(wrong);
        assert_eq!(self.judge(wrong), Outcome::SeedUnknown);
    }
}

/// The x of a proof, and its y.
fn halves(proof: &[u8]) -> (U512, U512) {
    let (x, y) = proof.split_at(48);
    (U512::from_be_slice(x), U512::from_be_slice(y))
}

/// The proof of a point, or of numbers that are no point. Both fit 48 bytes.
fn proof_of(x: U512, y: U512) -> Bytes {
    let half = |number: U512| number.to_be_bytes::<64>()[16..].to_vec();
    [half(x), half(y)].concat().into()
}

fn bytes_of(point: G1Affine) -> Bytes {
    assert!(bool::from(point.is_on_curve()));
    Bytes::copy_from_slice(&point.to_uncompressed())
}

/// A point of the curve outside the subgroup of the signatures: nearly all points are.
fn stray_point(rng: &mut TestRng) -> G1Affine {
    loop {
        let mut bytes: [u8; 48] = rng.random();
        bytes[0] = (bytes[0] & 0x1f) | 0x80;
        let found: Option<G1Affine> = G1Affine::from_compressed_unchecked(&bytes).into();
        if let Some(point) = found {
            assert!(!bool::from(point.is_torsion_free()));
            return point;
        }
    }
}

/// The point of order 3 with x = 0.
fn order_three() -> G1Affine {
    let mut bytes = [0; 96];
    bytes[95] = 2;
    let point: Option<G1Affine> = G1Affine::from_uncompressed_unchecked(&bytes).into();
    point.expect("0 and 2 fit the field")
}

/// Wrong proofs of every kind that somebody may make of the right one.
fn kinds(draw: &Draw, rng: &mut TestRng) -> Vec<(&'static str, Bytes)> {
    let right = &draw.right;
    let (x, y) = halves(right);
    let prime = U512::from_be_slice(&PRIME);
    let signature = G1Affine::from_uncompressed(&right[..].try_into().unwrap()).unwrap();
    let stray = stray_point(rng);
    let moved = |by: &G1Affine| bytes_of(G1Affine::from(G1Projective::from(signature) + by));
    let other_key = LocalBeacon::new(&[6; 32], GENESIS, PERIOD).unwrap();
    let round = draw.chain.beacon.round_at(draw.draw_time).unwrap();
    let others = other_key.round(round).unwrap();
    let compressed = draw.chain.round(draw.draw_time).signature().to_vec();
    let longer = |more: &[u8]| Bytes::from([right, more].concat());
    vec![
        ("the other y", proof_of(x, prime - y)),
        ("x + p", proof_of(x + prime, y)),
        ("y + p", proof_of(x, y + prime)),
        ("both + p", proof_of(x + prime, y + prime)),
        ("x = p", proof_of(prime, y)),
        ("y = p", proof_of(x, prime)),
        ("y = 0", proof_of(x, U512::ZERO)),
        ("x = 0", proof_of(U512::ZERO, y)),
        ("identity", Bytes::from([0; 96])),
        (
            "identity, as drand writes it",
            Bytes::from([&[0x40], &[0; 95][..]].concat()),
        ),
        ("all ones", Bytes::from([0xff; 96])),
        ("exchanged", proof_of(y, x)),
        ("a point outside the subgroup", bytes_of(stray)),
        ("a point of order 3", bytes_of(order_three())),
        ("its opposite", bytes_of(-order_three())),
        ("moved by a point of order 3", moved(&order_three())),
        ("moved by a point outside the subgroup", moved(&stray)),
        ("the double", moved(&signature)),
        ("the generator", bytes_of(G1Affine::generator())),
        (
            "another key's",
            Bytes::copy_from_slice(others.proof().as_bytes()),
        ),
        (
            "the next round's",
            draw.chain.proof(draw.draw_time + PERIOD),
        ),
        (
            "the last round's",
            draw.chain.proof(draw.draw_time - PERIOD),
        ),
        ("95 bytes", right.slice(..95)),
        ("the last 95 bytes", right.slice(1..)),
        ("97 bytes", longer(&[0])),
        ("a byte before", Bytes::from([&[0], &right[..]].concat())),
        ("twice", longer(right)),
        ("x alone", right.slice(..48)),
        ("compressed", compressed.clone().into()),
        (
            "compressed and padded",
            Bytes::from([&compressed[..], &[0; 48]].concat()),
        ),
        (
            "in the form of EIP-2537",
            Bytes::from([&[0; 16], &right[..48], &[0; 16], &right[48..]].concat()),
        ),
        ("a single byte", Bytes::from([7])),
    ]
}

#[test]
fn refuses_every_kind_of_wrong_proof_everywhere() {
    let rng = &mut rng(70);
    for _ in 0..cases(6) {
        let mut draw = Draw::new(rng);
        for (_what, wrong) in kinds(&draw, rng) {
            draw.refuse_everywhere(&wrong);
        }
        // None of the wrong proofs has spoiled the right one.
        let right = draw.right.clone();
        assert_eq!(draw.judge(&right), Outcome::Payable);
    }
}

#[test]
fn refuses_a_flip_of_any_bit_of_a_right_proof() {
    let mut draw = Draw::new(&mut rng(71));
    for bit in 0..96 * 8 {
        let mut wrong = draw.right.to_vec();
        wrong[bit / 8] ^= 1 << (bit % 8);
        draw.refuse(&wrong.into());
    }
}

#[test]
fn refuses_random_proofs_and_right_ones_mangled() {
    let rng = &mut rng(72);
    let mut draw = Draw::new(rng);
    for case in 0..cases(9_040) {
        let wrong = match rng.random_range(0..8) {
            0 => generate::bytes(rng, 200),
            1 => Bytes::from(rng.random::<[u8; 96]>()),
            2 => {
                let mut bytes: [u8; 96] = rng.random();
                // Both numbers are below the prime, most often.
                bytes[0] &= 0x1f;
                bytes[48] &= 0x1f;
                bytes.into()
            }
            3 => bytes_of(stray_point(rng)),
            4 => {
                let near = rng.random_range(1..1_000) * PERIOD;
                draw.chain.proof(draw.draw_time + near)
            }
            5 => {
                let (x, y) = halves(&draw.right);
                let by = U512::from(rng.random_range(1..u64::MAX));
                let (x, y) = *pick(&[(x + by, y), (x, y + by), (x + by, y + by)], rng);
                proof_of(x, y)
            }
            6 => mangled(&draw.right, rng),
            _ => {
                let at = rng.random_range(0..96);
                let other = draw.chain.proof(draw.draw_time + PERIOD);
                Bytes::from([&draw.right[..at], &other[at..]].concat())
            }
        };
        if wrong.is_empty() || wrong == draw.right {
            continue;
        }
        if case % 50 == 0 {
            draw.refuse_everywhere(&wrong);
        } else {
            draw.refuse(&wrong);
        }
    }
}

#[test]
fn records_no_seed_off_the_schedule_or_before_genesis() {
    let mut draw = Draw::new(&mut rng(73));
    let mut refused = |draw_time| {
        assert!(draw.chain.beacon.round_at(draw_time).is_err());
        assert_eq!(shown(&draw.chain.beacon, draw_time, &draw.right), None);
        let record = recordSeedCall {
            drawTime: draw_time,
            proof: draw.right.clone(),
        };
        draw.chain.refused_by_beacon(Address::ZERO, 0, &record)
    };
    let on_schedule = draw.draw_time;
    for draw_time in [on_schedule - 1, on_schedule + 1, u64::MAX - 1] {
        let refusal = refused(draw_time);
        assert!(
            matches!(refusal, IDrandBankErrors::DrawOffSchedule(_)),
            "{refusal:?}"
        );
    }
    for draw_time in [0, 1, GENESIS - PERIOD, GENESIS - 1] {
        let refusal = refused(draw_time);
        assert!(
            matches!(refusal, IDrandBankErrors::DrawBeforeGenesis(_)),
            "{refusal:?}"
        );
    }
}

/// Changes a byte or more of a proof.
fn mangled(proof: &Bytes, rng: &mut TestRng) -> Bytes {
    let mut bytes = proof.to_vec();
    for _ in 0..rng.random_range(1..4) {
        let at = rng.random_range(0..bytes.len());
        bytes[at] ^= rng.random_range(1..=u8::MAX);
    }
    bytes.into()
}
