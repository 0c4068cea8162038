//! Compares core and contract on payable redemptions with a single field changed.

use crate::{
    evm::{Evm, recordSeedCall},
    random::{TestRng, account, cases, pick, rng},
    support::comparison::{assert_redeem_matches, judge_both},
    support::generate::{self, Payees, winning_redemption},
};
use alloy_primitives::{Address, B128, B256, Bytes, U256, aliases::U40, uint};
use cheque::{BankSnapshot, Outcome, Redemption, SeedSource};
use rand::Rng;

const ORDER: U256 = uint!(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256);

type Change = fn(&mut Redemption, &mut TestRng);

/// The changes of a redemption: every field, in each way to be wrong.
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
    ("header", |r, g| r.header = bit_of_bytes(&r.header, g)),
    ("header cut", |r, _| r.header = cut(&r.header, 1)),
    ("header longer", |r, _| r.header = longer(&r.header, 1)),
    ("no header", |r, _| r.header = Bytes::new()),
    // Never a precompile, which may refuse coins.
    ("to", |r, g| r.to.0[0] ^= 1 << g.random_range(0..8)),
    ("to another account", |r, g| r.to = account(g)),
    ("to the zero address", |r, _| r.to = Address::ZERO),
    ("consent", |r, g| r.consent = bit_of_bytes(&r.consent, g)),
    ("consent cut", |r, _| r.consent = cut(&r.consent, 1)),
    ("consent mirrored", |r, _| r.consent = mirrored(&r.consent)),
    ("consent v of 0 or 1", |r, _| r.consent = low_v(&r.consent)),
];

#[test]
fn agrees_on_redemption_with_any_field_changed() {
    let rng = &mut rng(7);
    let mut chain = Evm::new(SeedSource::PrevRandao, 1);
    let payees = Payees::new(rng, 40);
    let mut accepted = 0;
    let mut still_payable = 0;
    while accepted < cases(4_000).div_ceil(CHANGES.len()) {
        let open = generate::open(&mut chain, rng, &payees, 40, 10);
        chain.mine_to(open.deposit.drawBlock + 1);
        let header = generate::header(rng, open.deposit.drawBlock);
        let (proof, seed) = open.draw(&mut chain, &header);
        if rng.random() {
            let record = recordSeedCall {
                blockNumber: U256::from(open.deposit.drawBlock),
                header: proof.clone(),
            };
            assert!(chain.send(Address::ZERO, 0, &record).is_ok());
        }
        let Some((mut r, caller)) = winning_redemption(&chain, rng, &payees, &open, seed) else {
            continue;
        };
        r.header = proof;
        accepted += 1;
        let state = chain.state(&r.deposit, caller);
        let packed = generate::packed(&r);
        let (outcome, payout) = judge_both(&mut chain, &packed, &state);
        assert_eq!(outcome, Outcome::Payable);
        assert_redeem_matches(&mut chain, &packed, &state, (outcome, payout));
        for (what, change) in CHANGES {
            let mut changed = r.clone();
            change(&mut changed, rng);
            if changed == r {
                continue;
            }
            // The snapshot follows the changed terms: their purse, their seed.
            let state = chain.state(&changed.deposit, caller);
            let changed = generate::packed(&changed);
            let judgement = judge_both(&mut chain, &changed, &state);
            if judgement.0 == Outcome::Payable {
                assert_eq!(judgement.1, payout, "{what}");
                still_payable += 1;
            }
            assert_redeem_matches(&mut chain, &changed, &state, judgement);
        }
        let thief = BankSnapshot {
            caller: account(rng),
            ..state
        };
        let (_, stolen) = judge_both(&mut chain, &packed, &thief);
        assert!(stolen <= payout);
    }
    // With a recorded seed the header is ignored, and the consent if the payee is the caller.
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
