//! Compares core and contract on payable redemptions with a single field changed.

use crate::{
    evm::{Evm, PERIOD, recordSeedCall},
    random::{TestRng, account, cases, pick, rng},
    support::comparison::{Sent, assert_redeem_matches, judge_both},
    support::generate::{self, Payees, winning_redemption},
};
use alloy_primitives::{Address, B128, B256, Bytes, U256, aliases::U40, uint};
use cheque::{BankSnapshot, Outcome, Redemption};
use rand::Rng;

const ORDER: U256 = uint!(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256);

type Change = fn(&mut Redemption, &mut TestRng);

/// The changes of a redemption: every field that is sent, in each way to be wrong.
const CHANGES: &[(&str, Change)] = &[
    ("payer", |r, g| r.deposit.payer = bit(r.deposit.payer, g)),
    ("signer", |r, g| r.deposit.signer = bit(r.deposit.signer, g)),
    ("token", |r, g| r.deposit.token = bit(r.deposit.token, g)),
    ("lane", |r, g| r.deposit.lane ^= 1 << g.random_range(0..64)),
    ("minPayout", |r, g| {
        r.deposit.minPayout = other(r.deposit.minPayout, g);
    }),
    ("drawTime", |r, _| r.deposit.drawTime -= 1),
    ("an earlier draw", |r, _| r.deposit.drawTime -= PERIOD),
    ("redeemUntil", |r, _| r.deposit.redeemUntil += 1),
    ("allowance", |r, g| r.allowance = other(r.allowance, g)),
    ("salt", |r, g| {
        r.salt = B128::from(u128::from(r.salt) ^ random_bit(g))
    }),
    ("path", |r, g| r.path ^= U40::ONE << g.random_range(0..40)),
    ("siblings", |r, g| r.siblings = bit_of_bytes(&r.siblings, g)),
    ("siblings cut", |r, _| r.siblings = cut(&r.siblings, 48)),
    ("a level more", |r, _| r.siblings = longer(&r.siblings, 48)),
    ("levels swapped", |r, _| {
        let (levels, _) = r.siblings.as_chunks::<48>();
        let mut levels = levels.to_vec();
        levels.reverse();
        r.siblings = levels.concat().into();
    }),
    ("payee", |r, g| r.payee = bit(r.payee, g)),
    ("spent", |r, g| r.spent = other(r.spent, g)),
    ("anchor", |r, g| r.anchor = bit_of_word(r.anchor, g)),
    ("no anchor", |r, _| r.anchor = B256::ZERO),
    ("step", |r, g| r.step = other(r.step, g)),
    ("no step", |r, _| r.step = 0),
    ("signature", |r, g| {
        r.signature = bit_of_bytes(&r.signature, g)
    }),
    ("signature mirrored", |r, _| {
        r.signature = mirrored(&r.signature)
    }),
    ("v of 0 or 1", |r, _| r.signature = low_v(&r.signature)),
    ("fewer steps", |r, _| r.k = r.k.saturating_sub(1)),
    ("more steps", |r, _| r.k += 1),
    ("too many steps", |r, _| r.k = 4097),
    ("most steps", |r, _| r.k = u16::MAX),
    ("x", |r, g| r.x = bit_of_word(r.x, g)),
    // Never a precompile, which may refuse coins.
    ("to", |r, g| r.to.0[0] ^= 1 << g.random_range(0..8)),
    ("to another account", |r, g| r.to = account(g)),
    ("to the zero address", |r, _| r.to = Address::ZERO),
    ("consent", |r, g| r.consent = bit_of_bytes(&r.consent, g)),
    ("consent cut", |r, _| r.consent = cut(&r.consent, 1)),
    ("consent mirrored", |r, _| r.consent = mirrored(&r.consent)),
    ("consent v of 0 or 1", |r, _| r.consent = low_v(&r.consent)),
];

/// Makes a wrong proof of the right one, or of another round's.
type Forge = fn(&Bytes, &Bytes, &mut TestRng) -> Bytes;

/// The changes of the proof of a seed.
const PROOFS: &[(&str, Forge)] = &[
    ("no proof", |_, _, _| Bytes::new()),
    ("proof", |proof, _, g| bit_of_bytes(proof, g)),
    ("proof cut", |proof, _, _| cut(proof, 1)),
    ("proof longer", |proof, _, _| longer(proof, 1)),
    ("another round's proof", |_, other, _| other.clone()),
];

#[test]
fn agrees_on_redemption_with_any_field_changed() {
    let rng = &mut rng(7);
    let mut chain = Evm::new(1);
    let payees = Payees::new(rng, 40);
    let other_round = chain.round(chain.draw_in(0));
    let mut accepted = 0;
    let mut still_payable = 0;
    while accepted < cases(4_000).div_ceil(CHANGES.len() + PROOFS.len()) {
        let open = generate::open(&mut chain, rng, &payees, 40, 10);
        let draw_time = open.deposit.drawTime;
        chain.mine_at(draw_time + 1);
        let (proof, seed) = (open.proof(&chain), chain.round(draw_time).seed().0);
        let is_recorded = rng.random();
        if is_recorded {
            let record = recordSeedCall {
                drawTime: draw_time,
                proof: proof.clone(),
            };
            assert!(chain.send(Address::ZERO, 0, &record).is_ok());
        }
        let Some((r, caller)) = winning_redemption(&chain, rng, &payees, &open, seed) else {
            continue;
        };
        accepted += 1;
        let mut judge = |r: &Redemption, proof: &Bytes| {
            // The snapshot follows the changed terms: their purse, their seed.
            let state = chain.state(&r.deposit, caller, proof);
            let sent = Sent {
                packed: &generate::packed(r),
                proof,
                state: &state,
            };
            let judgement = judge_both(&mut chain, sent);
            assert_redeem_matches(&mut chain, sent, judgement);
            judgement
        };
        let (outcome, payout) = judge(&r, &proof);
        assert_eq!(outcome, Outcome::Payable);
        for (what, change) in CHANGES {
            let mut changed = r.clone();
            change(&mut changed, rng);
            if changed == r {
                continue;
            }
            let judgement = judge(&changed, &proof);
            if judgement.0 == Outcome::Payable {
                assert_eq!(judgement.1, payout, "{what}");
                still_payable += 1;
            }
        }
        let other = Bytes::copy_from_slice(other_round.proof().as_bytes());
        for (what, change) in PROOFS {
            let judgement = judge(&r, &change(&proof, &other, rng));
            // Nobody reads a proof once the seed is recorded.
            let expected = if is_recorded {
                (Outcome::Payable, payout)
            } else {
                (Outcome::SeedUnknown, 0)
            };
            assert_eq!(judgement, expected, "{what}");
        }
        let state = BankSnapshot {
            caller: account(rng),
            ..chain.state(&r.deposit, caller, &proof)
        };
        let thiefs = Sent {
            packed: &generate::packed(&r),
            proof: &proof,
            state: &state,
        };
        let (_, stolen) = judge_both(&mut chain, thiefs);
        assert!(stolen <= payout);
    }
    // The consent is ignored if the payee is the caller.
    assert!(still_payable > accepted, "{still_payable} of {accepted}");
}

fn random_bit(rng: &mut TestRng) -> u128 {
    1 << rng.random_range(0..128)
}

/// Picks another number, near or far.
fn other(number: u128, rng: &mut TestRng) -> u128 {
    let others = [
        number.wrapping_add(1),
        number.wrapping_sub(1),
        0,
        u128::MAX,
        number ^ random_bit(rng),
    ];
    *pick(&others, rng)
}

fn bit(account: Address, rng: &mut TestRng) -> Address {
    let mut bytes = account.0.0;
    bytes[rng.random_range(0..20)] ^= 1 << rng.random_range(0..8);
    bytes.into()
}

fn bit_of_word(word: B256, rng: &mut TestRng) -> B256 {
    let bit = U256::from(1) << rng.random_range(0..256);
    B256::from(U256::from_be_bytes(word.0) ^ bit)
}

fn bit_of_bytes(bytes: &Bytes, rng: &mut TestRng) -> Bytes {
    let mut bytes = bytes.to_vec();
    if !bytes.is_empty() {
        let at = rng.random_range(0..bytes.len());
        bytes[at] ^= 1 << rng.random_range(0..8);
    }
    bytes.into()
}

fn cut(bytes: &Bytes, by: usize) -> Bytes {
    bytes.slice(..bytes.len().saturating_sub(by))
}

fn longer(bytes: &Bytes, by: usize) -> Bytes {
    [bytes.as_ref(), &vec![0; by]].concat().into()
}

/// Returns the second signature valid on the curve for the same key and digest.
fn mirrored(signature: &Bytes) -> Bytes {
    let mut bytes = signature.to_vec();
    let s = U256::from_be_slice(&bytes[32..64]);
    bytes[32..64].copy_from_slice(&(ORDER - s).to_be_bytes::<32>());
    bytes[64] = 27 + 28 - bytes[64];
    bytes.into()
}

fn low_v(signature: &Bytes) -> Bytes {
    let mut bytes = signature.to_vec();
    bytes[64] -= 27;
    bytes.into()
}
