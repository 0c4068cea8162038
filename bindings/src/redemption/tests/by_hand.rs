//! Redemptions and bytes written by hand.

use alloy_primitives::{address, b128, b256};

use super::*;

/// A packed redemption with `levels` siblings of hash zero, whose sums have 16 bytes, and the given numbers.
fn packed_by_hand(levels: u8, form: u8, path: u64, allowance: u128, sums: &[u128]) -> Vec<u8> {
    let mut packed = vec![0; 100];
    packed.extend(allowance.to_be_bytes());
    packed.extend([0; 16]);
    packed.extend(&path.to_be_bytes()[3..]);
    packed.extend([0; 16 + 65]);
    packed.extend([levels, form]);
    for sum in sums {
        packed.extend([0; 32]);
        packed.extend(sum.to_be_bytes());
    }
    packed
}

#[test]
fn packs_fields_in_the_order_of_the_interface() {
    let redemption = Redemption {
        deposit: Deposit {
            payer: Address::repeat_byte(1),
            signer: Address::repeat_byte(2),
            token: Address::repeat_byte(15),
            lane: 0x0303_0303_0303_0303,
            amount: 0xffff,
            minPayout: u128::from_be_bytes([4; 16]),
            drawTime: 0x0505_0505_0505_0505,
            redeemUntil: 0x0606_0606_0606_0606,
            root: B256::repeat_byte(0xff),
        },
        payee: Address::repeat_byte(7),
        allowance: u128::from_be_bytes([8; 16]),
        salt: B128::repeat_byte(9),
        path: U40::from_be_bytes([10; 5]),
        spent: u128::from_be_bytes([11; 16]),
        signature: vec![12; 65].into(),
        to: Address::repeat_byte(16),
        siblings: in_full(&[
            (B256::repeat_byte(13), 0x0e_0e0e),
            (B256::repeat_byte(13), 0x0e),
        ]),
        anchor: B256::repeat_byte(17),
        step: u128::from_be_bytes([18; 16]),
        k: 0x1313,
        x: B256::repeat_byte(20),
        consent: vec![21; 3].into(),
    };
    let lengths = [20, 20, 8, 16, 8, 8, 20, 16, 16, 5, 16, 65];
    let mut expected = Vec::new();
    for (index, length) in lengths.into_iter().enumerate() {
        expected.resize(expected.len() + length, index as u8 + 1);
    }
    // Two levels with sums of three bytes; token, to and a stream follow.
    expected.extend([2, 0x72]);
    expected.extend([[13; 32].as_slice(), &[14; 3]].concat());
    expected.extend([[13; 32].as_slice(), &[0, 0, 14]].concat());
    for (filled, length) in [
        (15, 20),
        (16, 20),
        (17, 32),
        (18, 16),
        (19, 2),
        (20, 32),
        (21, 3),
    ] {
        expected.resize(expected.len() + length, filled);
    }
    assert_eq!(redemption.pack().unwrap(), expected);
}

#[test]
fn computes_amount_and_root_of_the_specifications_example() {
    let r = Redemption {
        payee: address!("6813eb9362372eef6200f3b1dbc3f819671cba69"),
        allowance: 500,
        salt: b128!("6da5f497ad88e43dc48567ced74320a3"),
        path: U40::from(1),
        siblings: in_full(&[(
            b256!("1b8d9dc27de526fb60cc3f3ccac09affe2c19a1155049a4f69d49081688a4808"),
            500,
        )]),
        ..plain()
    };
    let deposit = Redemption::unpack(&r.pack().unwrap()).unwrap().deposit;
    let root = b256!("39bd23edda9eaad6f8ce6f00832e7f5f77415e811d958485864d20ed476441c4");
    assert_eq!((deposit.amount, deposit.root), (1_000, root));
}

#[test]
fn takes_as_many_bytes_for_sums_as_the_largest_needs() {
    for (largest, width) in [
        (0, 1),
        (1, 1),
        (0xff, 1),
        (0x100, 2),
        (u64::MAX.into(), 8),
        (1 << 64, 9),
        ((1 << 120) - 1, 15),
        (u128::MAX, 16),
    ] {
        let r = Redemption {
            siblings: in_full(&[(B256::ZERO, 0), (B256::ZERO, largest)]),
            ..plain()
        };
        let packed = r.pack().unwrap();
        assert_eq!(packed[219], width - 1);
        assert_eq!(packed.len(), 220 + 2 * (32 + usize::from(width)));
    }
}

#[test]
fn rejects_a_proof_deeper_than_forty_levels() {
    let deep = |levels: u8| packed_by_hand(levels, 0x0f, 0, 1, &vec![0; levels.into()]);
    assert!(Redemption::unpack(&deep(40)).is_ok());
    for levels in [41, 255] {
        assert_eq!(
            Redemption::unpack(&deep(levels)),
            Err(UnpackError::BadProof)
        );
    }
}

#[test]
fn rejects_path_bits_beyond_the_proof() {
    let with = |path, levels: u8| {
        Redemption::unpack(&packed_by_hand(
            levels,
            0x0f,
            path,
            1,
            &vec![0; levels.into()],
        ))
    };
    assert!(with(0, 0).is_ok());
    assert_eq!(with(1, 0), Err(UnpackError::BadProof));
    assert!(with(7, 3).is_ok());
    assert_eq!(with(8, 3), Err(UnpackError::BadProof));
    assert!(with((1 << 40) - 1, 40).is_ok());
    assert_eq!(with(1 << 39, 39), Err(UnpackError::BadProof));
}

#[test]
fn rejects_sums_of_2_to_the_128() {
    let sum = |allowance, sums: &[u128]| {
        let packed = packed_by_hand(sums.len() as u8, 0x0f, 0, allowance, sums);
        Redemption::unpack(&packed).map(|r| r.deposit.amount)
    };
    assert_eq!(sum(1, &[u128::MAX - 1]), Ok(u128::MAX));
    assert_eq!(sum(1, &[u128::MAX]), Err(UnpackError::BadProof));
    assert_eq!(sum(u128::MAX, &[u128::MAX; 40]), Err(UnpackError::BadProof));
    // A sum that wraps is no amount.
    assert_eq!(sum(6, &[u128::MAX, 0]), Err(UnpackError::BadProof));
}

#[test]
fn takes_malformed_bytes_for_malformed_before_their_proof() {
    let mut deep = packed_by_hand(41, 0x0f, 0, 1, &[0; 41]);
    assert_eq!(
        Redemption::unpack(&deep).unwrap_err().outcome(),
        Outcome::BadProof
    );
    deep.pop();
    assert_eq!(
        Redemption::unpack(&deep).unwrap_err().outcome(),
        Outcome::Malformed
    );
    let reserved = packed_by_hand(41, 0x8f, 0, 1, &[0; 41]);
    assert_eq!(
        Redemption::unpack(&reserved),
        Err(UnpackError::UnknownForm(0x8f))
    );
    assert_eq!(UnpackError::UnknownForm(0x8f).outcome(), Outcome::Malformed);
    for length in [0, 1, 219] {
        let short = Redemption::unpack(&reserved[..length]).unwrap_err();
        assert_eq!(short.outcome(), Outcome::Malformed);
    }
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
}

#[test]
fn packs_the_largest_proof_for_the_bank_to_refuse() {
    let largest = Redemption {
        siblings: vec![1; 48 * 255].into(),
        path: U40::MAX,
        ..plain()
    };
    let packed = largest.pack().unwrap();
    assert_eq!(packed.len(), 220 + 48 * 255);
    assert_eq!(Redemption::unpack(&packed), Err(UnpackError::BadProof));
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
        assert_eq!(r.pack().unwrap().len(), 220 + 82);
    }
    assert_eq!(plain().pack().unwrap().len(), 220);
}
