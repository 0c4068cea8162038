mod by_hand;

use proptest::{collection::vec, prelude::*};

use super::*;

/// A redemption whose amount and root are those of its proof.
fn redemption() -> impl Strategy<Value = Redemption> {
    let terms = (any::<u64>(), any::<u128>(), any::<u64>(), any::<u64>());
    let claim = (
        address(),
        any::<u64>(),
        any::<[u8; 16]>().prop_map(B128::from),
        any::<u128>(),
    );
    (
        (address(), address(), optional(address()), terms),
        claim,
        proof(),
        (stream(), optional(address())),
        (bytes(SIGNATURE..=SIGNATURE), bytes(0..=100)),
    )
        .prop_map(|(deposit, claim, (levels, path), (stream, to), texts)| {
            let (payer, signer, token, (lane, min_payout, draw_time, redeem_until)) = deposit;
            let (payee, allowance, salt, spent) = claim;
            let (anchor, step, k, x) = stream;
            let (signature, consent) = texts;
            let allowance = allowance.into();
            let (root, amount) = by_recursion(payee, allowance, salt, path, &levels);
            Redemption {
                deposit: Deposit {
                    payer,
                    signer,
                    token,
                    lane,
                    amount: amount.to(),
                    minPayout: min_payout,
                    drawTime: draw_time,
                    redeemUntil: redeem_until,
                    root,
                },
                payee,
                allowance,
                salt,
                path: U40::from(path),
                spent,
                signature,
                to,
                siblings: in_full(&levels),
                anchor,
                step,
                k,
                x,
                consent,
            }
        })
}

/// Siblings from the leaf up, and a path. The sums have one number of bytes at most, and add up to less than 2^128.
fn proof() -> impl Strategy<Value = (Vec<(B256, u128)>, u64)> {
    (0_usize..=40, 1_u32..=15).prop_flat_map(|(depth, width)| {
        let sums = 0_u128..1 << (8 * width);
        (vec((word(), sums), depth..=depth), 0_u64..1 << depth)
    })
}

/// The root and its sum, from the top of the proof down: another way than the one of the code.
fn by_recursion(
    payee: Address,
    allowance: u128,
    salt: B128,
    path: u64,
    levels: &[(B256, u128)],
) -> (B256, U256) {
    let Some(((sibling, sum), below)) = levels.split_last() else {
        let leaf = [payee.as_slice(), &allowance.to_be_bytes(), salt.as_slice()].concat();
        return (keccak256(leaf), U256::from(allowance));
    };
    let (own, own_sum) = by_recursion(payee, allowance, salt, path, below);
    let mut preimage = [0; 96];
    let (ours, theirs) = if path >> below.len() & 1 == 1 {
        (48, 0)
    } else {
        (0, 48)
    };
    preimage[ours..ours + 32].copy_from_slice(own.as_slice());
    preimage[ours + 32..ours + 48].copy_from_slice(&own_sum.to_be_bytes::<32>()[16..]);
    preimage[theirs..theirs + 32].copy_from_slice(sibling.as_slice());
    preimage[theirs + 32..theirs + 48].copy_from_slice(&sum.to_be_bytes());
    (keccak256(preimage), own_sum + U256::from(*sum))
}

fn in_full(levels: &[(B256, u128)]) -> Bytes {
    let level = |(hash, sum): &(B256, u128)| [hash.as_slice(), &sum.to_be_bytes()].concat();
    levels.iter().flat_map(level).collect()
}

/// No stream, or a stream with any of its parts zero.
fn stream() -> impl Strategy<Value = (B256, u128, u16, B256)> {
    let word = || prop_oneof![Just(B256::ZERO), word()];
    (
        word(),
        prop_oneof![Just(0), any::<u128>()],
        prop_oneof![Just(0), any::<u16>()],
        word(),
    )
}

fn bytes(length: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), length).prop_map(Bytes::from)
}

fn address() -> impl Strategy<Value = Address> {
    any::<[u8; 20]>().prop_map(Address::from)
}

fn optional(account: impl Strategy<Value = Address>) -> impl Strategy<Value = Address> {
    prop_oneof![Just(Address::ZERO), account]
}

fn word() -> impl Strategy<Value = B256> {
    any::<[u8; 32]>().prop_map(B256::from)
}

/// The bytes of a sum without its leading zeros, at least one.
fn significant(sum: u128) -> usize {
    (16 - sum.leading_zeros() as usize / 8).max(1)
}

fn plain() -> Redemption {
    Redemption {
        signature: vec![7; SIGNATURE].into(),
        ..Redemption::default()
    }
}

proptest! {
    #[test]
    fn unpacks_what_was_packed(r in redemption()) {
        let packed = r.pack().unwrap();
        prop_assert_eq!(Redemption::unpack(&packed), Ok(r));
    }

    #[test]
    fn packs_the_shortest_form(r in redemption()) {
        let packed = r.pack().unwrap();
        let (levels, _) = r.siblings.as_chunks::<48>();
        let sums = levels.iter().map(|level| {
            let (_, sum) = level.split_last_chunk::<16>().unwrap();
            significant(u128::from_be_bytes(*sum))
        });
        let width = sums.max().unwrap_or(1);
        prop_assert_eq!(usize::from(packed[219] & 0x0f) + 1, width);
        let token = if r.deposit.token.is_zero() { 0 } else { 20 };
        let to = if r.to.is_zero() { 0 } else { 20 };
        let stream = (r.anchor, r.step, r.k, r.x) != (B256::ZERO, 0, 0, B256::ZERO);
        let stream = if stream { 82 } else { 0 };
        let parts = levels.len() * (32 + width) + token + to + stream;
        prop_assert_eq!(packed.len(), 220 + parts + r.consent.len());
    }

    #[test]
    fn unpacks_any_width_and_parts_of_zeros_alike(r in redemption(), wider in 0_u8..16, parts in 0_u8..8) {
        let shortest = r.pack().unwrap();
        let width = (shortest[219] & 0x0f).max(wider);
        let form = width | parts << 4 | shortest[219] & 0x70;
        let mut packed = shortest[..219].to_vec();
        packed.push(form);
        let (levels, _) = r.siblings.as_chunks::<48>();
        for level in levels {
            packed.extend(&level[..32]);
            packed.extend(&level[47 - usize::from(width)..]);
        }
        if form & 0x10 != 0 {
            packed.extend(r.deposit.token);
        }
        if form & 0x20 != 0 {
            packed.extend(r.to);
        }
        if form & 0x40 != 0 {
            packed.extend(r.anchor);
            packed.extend(r.step.to_be_bytes());
            packed.extend(r.k.to_be_bytes());
            packed.extend(r.x);
        }
        packed.extend(&r.consent);
        prop_assert_eq!(Redemption::unpack(&packed), Ok(r));
    }

    #[test]
    fn takes_any_bytes_as_a_redemption_or_an_outcome(
        mut packed in vec(any::<u8>(), 0..2_500), depth in 0_u8..48, form: u8, path in 0_u64..1 << 40
    ) {
        if packed.len() >= FIXED {
            packed[132..137].copy_from_slice(&path.to_be_bytes()[3..]);
            packed[218..220].copy_from_slice(&[depth, form]);
        }
        let parts = [(0x10, 20), (0x20, 20), (0x40, 82)].map(|(bit, length)| {
            if form & bit == 0 { 0 } else { length }
        });
        let announced = 220 + usize::from(depth) * (33 + usize::from(form & 0x0f)) + parts.iter().sum::<usize>();
        let malformed = packed.len() < FIXED || form & 0x80 != 0 || packed.len() < announced;
        match Redemption::unpack(&packed) {
            Ok(r) => {
                prop_assert!(!malformed && depth <= 40 && path >> depth == 0);
                prop_assert_eq!(Redemption::unpack(&r.pack().unwrap()), Ok(r));
            }
            Err(error) if malformed => prop_assert_eq!(error.outcome(), Outcome::Malformed),
            Err(error) => prop_assert_eq!(error, UnpackError::BadProof),
        }
    }

    #[test]
    fn rejects_bytes_cut_before_the_consent(r in redemption(), cut: prop::sample::Index) {
        let packed = r.pack().unwrap();
        let announced = packed.len() - r.consent.len();
        let length = cut.index(announced);
        let Err(UnpackError::TooShort { length: found, least }) = Redemption::unpack(&packed[..length]) else {
            panic!("{length} of {announced} bytes were unpacked")
        };
        prop_assert_eq!(found, length);
        prop_assert!(length < least && least <= announced);
    }
}
