//! Accepted redemptions, changed in one place.

use crate::{
    common::{TestRng, account, cases, pick, rng, word},
    evm::{Evm, recordSeedCall},
    judged::{held_to, judged},
    world::{self, Open, Payees},
};
use alloy_primitives::{Address, B128, B256, Bytes, U256, aliases::U40, uint};
use cheque::{Amount, BankSnapshot, Outcome, Redemption, Seed, SeedSource, Stream, roll};
use rand::Rng;

const ORDER: U256 = uint!(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256);

type Change = fn(&mut Redemption, &mut TestRng);

/// Every field of a redemption, each in the ways that it can be wrong.
const CHANGES: &[(&str, Change)] = &[
    ("payer", |r, g| r.deposit.payer = bit(r.deposit.payer, g)),
    ("signer", |r, g| r.deposit.signer = bit(r.deposit.signer, g)),
    ("token", |r, g| r.deposit.token = bit(r.deposit.token, g)),
    ("lane", |r, g| r.deposit.lane ^= 1 << g.random_range(0..64)),
    ("amount", |r, g| {
        r.deposit.amount = other(r.deposit.amount, g)
    }),
    ("minPayout", |r, g| {
        r.deposit.minPayout = other(r.deposit.minPayout, g);
    }),
    ("drawBlock", |r, _| r.deposit.drawBlock -= 1),
    ("lastRedeemBlock", |r, _| r.deposit.lastRedeemBlock += 1),
    ("root", |r, g| {
        r.deposit.root = bit_of_word(r.deposit.root, g)
    }),
    ("allowance", |r, g| r.allowance = other(r.allowance, g)),
    ("salt", |r, g| {
        r.salt = B128::from(u128::from(r.salt) ^ one(g))
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
    ("header", |r, g| r.header = bit_of_bytes(&r.header, g)),
    ("header cut", |r, _| r.header = cut(&r.header, 1)),
    ("header longer", |r, _| r.header = longer(&r.header, 1)),
    ("no header", |r, _| r.header = Bytes::new()),
    // Never a precompile, which may not take coins.
    ("to", |r, g| r.to.0[0] ^= 1 << g.random_range(0..8)),
    ("to somebody", |r, g| r.to = account(g)),
    ("to nobody", |r, _| r.to = Address::ZERO),
    ("consent", |r, g| r.consent = bit_of_bytes(&r.consent, g)),
    ("consent cut", |r, _| r.consent = cut(&r.consent, 1)),
    ("consent mirrored", |r, _| r.consent = mirrored(&r.consent)),
    ("consent v of 0 or 1", |r, _| r.consent = low_v(&r.consent)),
];

#[test]
fn a_payable_redemption_changed_in_any_field_is_judged_alike_and_never_pays_more() {
    let rng = &mut rng(7);
    let mut chain = Evm::new(SeedSource::PrevRandao, 1);
    let payees = Payees::new(rng, 40);
    let mut accepted = 0;
    let mut still_payable = 0;
    while accepted < cases(4_000).div_ceil(CHANGES.len()) {
        let open = world::open(&mut chain, rng, &payees, 40, 10);
        chain.mine_to(open.deposit.drawBlock + 1);
        let header = world::header(rng, open.deposit.drawBlock);
        let (proof, seed) = open.draw(&mut chain, &header);
        if rng.random() {
            let record = recordSeedCall {
                blockNumber: U256::from(open.deposit.drawBlock),
                header: proof.clone(),
            };
            assert!(chain.send(Address::ZERO, 0, &record).is_ok());
        }
        let Some((mut r, caller)) = winning(&chain, rng, &payees, &open, seed) else {
            continue;
        };
        r.header = proof;
        accepted += 1;
        let state = chain.state(&r.deposit, caller);
        let packed = world::packed(&r);
        let (outcome, payout) = judged(&mut chain, &packed, &state);
        assert_eq!(outcome, Outcome::Payable);
        held_to(&mut chain, &packed, &state, (outcome, payout));
        for (what, change) in CHANGES {
            let mut changed = r.clone();
            change(&mut changed, rng);
            if changed == r {
                continue;
            }
            // The purse and the seed that the changed terms point to.
            let state = chain.state(&changed.deposit, caller);
            let changed = world::packed(&changed);
            let judgement = judged(&mut chain, &changed, &state);
            if judgement.0 == Outcome::Payable {
                assert_eq!(judgement.1, payout, "{what}");
                still_payable += 1;
            }
            held_to(&mut chain, &changed, &state, judgement);
        }
        let thief = BankSnapshot {
            caller: account(rng),
            ..state
        };
        let (_, stolen) = judged(&mut chain, &packed, &thief);
        assert!(stolen <= payout);
    }
    // A header beside a recorded seed is not looked at, nor a consent beside the payee itself.
    assert!(still_payable > accepted, "{still_payable} of {accepted}");
}

/// A redemption that wins at this seed, sent by the payee or with its consent.
pub(crate) fn winning(
    chain: &Evm,
    rng: &mut TestRng,
    payees: &Payees,
    open: &Open,
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

fn one(rng: &mut TestRng) -> u128 {
    1 << rng.random_range(0..128)
}

/// Another number, near or far.
fn other(number: u128, rng: &mut TestRng) -> u128 {
    let others = [
        number.wrapping_add(1),
        number.wrapping_sub(1),
        0,
        u128::MAX,
        number ^ one(rng),
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

/// The other signature that the curve allows for the same key and digest.
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
