use super::*;
use proptest::prelude::*;

fn deposit() -> Deposit {
    Deposit {
        payer: Address::repeat_byte(1),
        signer: Address::repeat_byte(2),
        token: Address::ZERO,
        lane: 1,
        amount: 1 << 60,
        minPayout: 1 << 50,
        drawTime: 1_800_000_000,
        redeemUntil: 1_800_086_400,
        root: B256::repeat_byte(3),
    }
}

fn cheque(stream: bool) -> SignedCheque {
    SignedCheque {
        spent: Amount::new(u64::MAX.into()),
        anchor: if stream {
            B256::repeat_byte(4)
        } else {
            B256::ZERO
        },
        step: Amount::new(if stream { u64::MAX.into() } else { 0 }),
        signature: Signature::from_bytes([0x1b; 65]),
    }
}

fn opening(levels: usize) -> Proof {
    Proof::Opening(Box::new(Opening {
        bank: Bank::new(11_155_111, Address::repeat_byte(9)),
        deposit: deposit(),
        allowance: AllowanceProof {
            allowance: Amount::new(1 << 53),
            salt: B128::repeat_byte(5),
            path: (1 << levels) - 1,
            siblings: vec![
                Sibling {
                    hash: B256::repeat_byte(6),
                    sum: Amount::new(1 << 58),
                };
                levels
            ],
        },
        payee: Address::repeat_byte(7),
        cheque: cheque(true),
    }))
}

fn id() -> DepositId {
    DepositId(B256::repeat_byte(8))
}

fn step(k: u32) -> Proof {
    Proof::Step {
        deposit: id(),
        k,
        x: B256::repeat_byte(1),
    }
}

fn all() -> Vec<Proof> {
    vec![
        opening(0),
        opening(7),
        opening(40),
        Proof::Cheque(id(), cheque(false)),
        Proof::Cheque(id(), cheque(true)),
        step(1),
        step(MAX_STEPS),
    ]
}

#[test]
fn decodes_every_proof_from_its_bytes_and_text() {
    for proof in all() {
        assert_eq!(Proof::decode(&proof.encode()), Ok(proof.clone()));
        assert_eq!(proof.to_string().parse(), Ok(proof));
    }
}

#[test]
fn encodes_proofs_within_their_size_limits() {
    assert!(opening(7).encode().len() <= 800);
    assert!(Proof::Cheque(id(), cheque(false)).encode().len() <= 150);
    assert!(Proof::Cheque(id(), cheque(true)).encode().len() <= 172);
    assert!(step(MAX_STEPS).encode().len() <= 72);
}

#[test]
fn refuses_every_truncation_and_every_trailing_byte() {
    assert_eq!(Proof::decode(&[]), Err(WireError::Empty));
    for proof in all() {
        let mut bytes = proof.encode();
        for length in 1..bytes.len() {
            assert!(Proof::decode(&bytes[..length]).is_err());
        }
        bytes.push(0);
        assert_eq!(Proof::decode(&bytes), Err(WireError::TrailingBytes(1)));
    }
}

#[test]
fn names_unknown_types() {
    for kind in (0..=255).filter(|kind| !(1..=3).contains(kind)) {
        let mut bytes = step(1).encode();
        bytes[0] = kind;
        assert_eq!(Proof::decode(&bytes), Err(WireError::UnknownType(kind)));
    }
}

#[test]
fn refuses_steps_out_of_range() {
    for k in [
        0,
        u64::from(MAX_STEPS) + 1,
        u64::from(u32::MAX) + 2,
        u64::MAX,
    ] {
        let mut bytes = vec![STEP];
        let fields = StepFields {
            deposit: id().0,
            k,
            x: B256::ZERO,
        };
        fields.encode(&mut bytes);
        assert_eq!(Proof::decode(&bytes), Err(WireError::StepsOutOfRange(k)));
    }
}

#[test]
fn refuses_an_anchor_of_32_zero_bytes() {
    let mut bytes = Proof::Cheque(id(), cheque(true)).encode();
    let at = bytes
        .windows(32)
        .position(|bytes| bytes == [4; 32])
        .unwrap();
    bytes[at..at + 32].fill(0);
    assert!(matches!(
        Proof::decode(&bytes),
        Err(WireError::Malformed(_))
    ));
}

#[test]
fn refuses_padded_or_non_canonical_text() {
    let text = Proof::Cheque(id(), cheque(false)).to_string();
    assert!(format!("{text}=").parse::<Proof>().is_err());
    assert!(format!("{text}\n").parse::<Proof>().is_err());
    assert!(format!("{text}/").parse::<Proof>().is_err());
    // An unused bit of the last character is set.
    let mut loose = URL_SAFE_NO_PAD.encode([CHEQUE]);
    loose.replace_range(1.., "h");
    assert!(matches!(loose.parse::<Proof>(), Err(WireError::Text(_))));
}

proptest! {
    #[test]
    fn encodes_every_decoded_proof_to_the_same_bytes(kind in 1u8..4, bytes: Vec<u8>) {
        let mut input = vec![kind];
        input.extend(bytes);
        if let Ok(proof) = Proof::decode(&input) {
            prop_assert_eq!(proof.encode(), input);
        }
    }

    #[test]
    fn decodes_changed_bytes_as_an_error_or_another_proof(which in 0usize..7, index: usize, flip in 1u8..) {
        let proof = all().swap_remove(which);
        let mut bytes = proof.encode();
        let index = index % bytes.len();
        bytes[index] ^= flip;
        if let Ok(other) = Proof::decode(&bytes) {
            prop_assert_ne!(&other, &proof);
            prop_assert_eq!(other.encode(), bytes);
        }
    }
}
