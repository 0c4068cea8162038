use proptest::{collection::vec, prelude::*};

use super::*;

fn redemption() -> impl Strategy<Value = Redemption> {
    (deposit(), cheque(), stream(), parts()).prop_map(|(deposit, cheque, stream, parts)| {
        let (payee, allowance, salt, path, spent, signature, to) = cheque;
        let (anchor, step, k, x) = stream;
        let (siblings, header, consent) = parts;
        Redemption {
            deposit,
            payee,
            allowance,
            salt,
            path,
            spent,
            signature,
            to,
            siblings,
            anchor,
            step,
            k,
            x,
            header,
            consent,
        }
    })
}

fn deposit() -> impl Strategy<Value = Deposit> {
    let terms = (any::<u64>(), any::<u128>(), any::<u128>());
    let end = (any::<u64>(), any::<u64>(), word());
    (address(), address(), address(), terms, end).prop_map(
        |(payer, signer, token, (lane, amount, least), (draw, last, root))| Deposit {
            payer,
            signer,
            token,
            lane,
            amount,
            minPayout: least,
            drawBlock: draw,
            lastRedeemBlock: last,
            root,
        },
    )
}

type Cheque = (Address, u128, B128, U40, u128, Bytes, Address);

fn cheque() -> impl Strategy<Value = Cheque> {
    let salt = any::<[u8; 16]>().prop_map(B128::from);
    (
        address(),
        any::<u128>(),
        salt,
        any::<[u8; 5]>().prop_map(U40::from_be_bytes),
        any::<u128>(),
        bytes(SIGNATURE..=SIGNATURE),
        address(),
    )
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

/// Siblings, header, consent.
fn parts() -> impl Strategy<Value = (Bytes, Bytes, Bytes)> {
    let siblings = (0_usize..=255).prop_flat_map(|levels| bytes(48 * levels..=48 * levels));
    (siblings, bytes(0..=1_000), bytes(0..=100))
}

fn bytes(length: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), length).prop_map(Bytes::from)
}

fn address() -> impl Strategy<Value = Address> {
    any::<[u8; 20]>().prop_map(Address::from)
}

fn word() -> impl Strategy<Value = B256> {
    any::<[u8; 32]>().prop_map(B256::from)
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
        let stream = if r.has_stream() { STREAM } else { 0 };
        let parts = r.siblings.len() + r.header.len() + r.consent.len();
        prop_assert_eq!(packed.len(), FIXED + stream + parts);
        prop_assert_eq!(Redemption::unpack(&packed), Ok(r));
    }

    #[test]
    fn packs_what_was_unpacked_but_for_a_stream_of_zeros(
        mut packed in bytes(FIXED..=2_000).prop_map(|packed| packed.to_vec()),
        depth in 0_u8..20,
        streams in 0_u8..=1,
        header in 0_u16..600,
        zeros: bool,
    ) {
        packed[306] = depth;
        packed[307] = streams;
        packed[308..310].copy_from_slice(&header.to_be_bytes());
        let start = FIXED + LEVEL * usize::from(depth);
        if zeros && packed.len() >= start + STREAM {
            packed[start..start + STREAM].fill(0);
        }
        let announced = start + STREAM * usize::from(streams) + usize::from(header);
        let unpacked = Redemption::unpack(&packed);
        prop_assert_eq!(unpacked.is_ok(), packed.len() >= announced, "{:?}", unpacked);
        let Ok(r) = unpacked else { return Ok(()) };
        if streams == 1 && !r.has_stream() {
            packed[307] = 0;
            packed.drain(start..start + STREAM);
        }
        prop_assert_eq!(r.pack().unwrap(), packed);
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

#[test]
fn packs_fields_in_the_order_of_the_interface() {
    let deposit = Deposit {
        payer: Address::repeat_byte(1),
        signer: Address::repeat_byte(2),
        token: Address::repeat_byte(3),
        lane: 0x0404_0404_0404_0404,
        amount: u128::from_be_bytes([5; 16]),
        minPayout: u128::from_be_bytes([6; 16]),
        drawBlock: 0x0707_0707_0707_0707,
        lastRedeemBlock: 0x0808_0808_0808_0808,
        root: B256::repeat_byte(9),
    };
    let redemption = Redemption {
        deposit,
        payee: Address::repeat_byte(10),
        allowance: u128::from_be_bytes([11; 16]),
        salt: B128::repeat_byte(12),
        path: U40::from_be_bytes([13; 5]),
        spent: u128::from_be_bytes([14; 16]),
        signature: vec![15; 65].into(),
        to: Address::repeat_byte(16),
        siblings: vec![17; 96].into(),
        anchor: B256::repeat_byte(18),
        step: u128::from_be_bytes([19; 16]),
        k: 0x1414,
        x: B256::repeat_byte(21),
        header: vec![22; 515].into(),
        consent: vec![23; 3].into(),
    };
    let lengths = [20, 20, 20, 8, 16, 16, 8, 8, 32, 20, 16, 16, 5, 16, 65, 20];
    let mut expected = Vec::new();
    for (index, length) in lengths.into_iter().enumerate() {
        expected.resize(expected.len() + length, index as u8 + 1);
    }
    expected.extend([2, 1, 0x02, 0x03]);
    for (filled, length) in [
        (17, 96),
        (18, 32),
        (19, 16),
        (20, 2),
        (21, 32),
        (22, 515),
        (23, 3),
    ] {
        expected.resize(expected.len() + length, filled);
    }
    assert_eq!(redemption.pack().unwrap(), expected);
}

#[test]
fn rejects_parts_that_do_not_fit() {
    let refused = |change: fn(&mut Redemption)| {
        let mut r = plain();
        change(&mut r);
        r.pack().unwrap_err()
    };
    assert!(plain().pack().is_ok());
    assert_eq!(
        refused(|r| r.siblings = vec![0; 47].into()),
        PackError::RaggedSiblings(47)
    );
    assert_eq!(
        refused(|r| r.siblings = vec![0; 48 * 256].into()),
        PackError::TooManyLevels(256)
    );
    for length in [0, 64, 66] {
        let mut r = plain();
        r.signature = vec![0; length].into();
        assert_eq!(r.pack(), Err(PackError::SignatureLength(length)));
    }
    assert_eq!(
        refused(|r| r.header = vec![0; 65_536].into()),
        PackError::HeaderTooLong(65_536)
    );
}

#[test]
fn packs_the_largest_parts() {
    let largest = Redemption {
        siblings: vec![1; 48 * 255].into(),
        path: U40::MAX,
        header: vec![2; 65_535].into(),
        ..plain()
    };
    let packed = largest.pack().unwrap();
    assert_eq!(Redemption::unpack(&packed), Ok(largest));
}

#[test]
fn any_nonzero_part_makes_a_stream() {
    let changes: [fn(&mut Redemption); 4] = [
        |r| r.anchor = B256::with_last_byte(1),
        |r| r.step = 1,
        |r| r.k = 1,
        |r| r.x = B256::with_last_byte(1),
    ];
    for change in changes {
        let mut r = plain();
        change(&mut r);
        assert_eq!(r.pack().unwrap().len(), FIXED + STREAM);
    }
    assert_eq!(plain().pack().unwrap().len(), FIXED);
}

#[test]
fn rejects_more_than_one_stream() {
    let mut packed = plain().pack().unwrap().to_vec();
    packed.resize(100_000, 0);
    for streams in [2, 255] {
        packed[307] = streams;
        let refused = Redemption::unpack(&packed);
        assert_eq!(refused, Err(UnpackError::TooManyStreams(streams)));
    }
}
