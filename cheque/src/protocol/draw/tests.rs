use super::*;
use alloy_primitives::Address;
use alloy_rlp::Encodable;
use proptest::prelude::*;

fn deposit(amount: u128, min_payout: u128) -> Deposit {
    Deposit {
        payer: Address::repeat_byte(1),
        signer: Address::repeat_byte(2),
        token: Address::ZERO,
        lane: 1,
        amount,
        minPayout: min_payout,
        drawBlock: 300,
        lastRedeemBlock: 400,
        root: B256::ZERO,
    }
}

fn payout_of(spent: u128, allowance: u128, amount: u128, min_payout: u128) -> Option<(u128, u128)> {
    payout(
        Amount::new(spent),
        Amount::new(allowance),
        &deposit(amount, min_payout),
    )
    .map(|payout| (payout.amount.get(), payout.range.get()))
}

/// The contents of a header's fields.
fn fields(mix: [u8; 32]) -> Vec<Vec<u8>> {
    let mut fields: Vec<Vec<u8>> = [32, 32, 20, 32, 32, 32, 256]
        .map(|len| vec![0xab; len])
        .into();
    fields.push(vec![]); // difficulty
    fields.extend([vec![1, 44], vec![2], vec![], vec![0x65]]); // number, gasLimit, gasUsed, timestamp
    fields.push(b"extra".to_vec());
    fields.push(mix.to_vec());
    fields.push(vec![0; 8]); // nonce
    fields.push(vec![7]); // baseFeePerGas
    fields
}

fn rlp(fields: &[Vec<u8>]) -> Vec<u8> {
    let mut payload = Vec::new();
    for field in fields {
        field.as_slice().encode(&mut payload);
    }
    let mut header = Vec::new();
    let list = Header {
        list: true,
        payload_length: payload.len(),
    };
    list.encode(&mut header);
    header.extend(payload);
    header
}

fn seed_of(header: &[u8]) -> Result<Seed, HeaderError> {
    seed_from_header(header, keccak([header]))
}

fn mix(low: u128) -> [u8; 32] {
    U256::from(low).to_be_bytes()
}

#[test]
fn reads_the_seed_from_headers_of_any_length() {
    let mut many = fields([9; 32]);
    for extra in [0, 1, 31, 32, 55, 56, 200, 60_000] {
        many[12] = vec![0x33; extra];
        assert_eq!(seed_of(&rlp(&many)), Ok(Seed(B256::repeat_byte(9))));
    }
    many.extend([vec![0; 32], vec![], vec![0x80], vec![1; 300]]); // fields of later forks
    assert_eq!(seed_of(&rlp(&many)), Ok(Seed(B256::repeat_byte(9))));
    assert!(seed_of(&rlp(&fields([9; 32])[..14])).is_ok());
}

#[test]
fn refuses_another_blocks_header() {
    let header = rlp(&fields([9; 32]));
    let expected = B256::repeat_byte(1);
    let found = keccak([&header]);
    assert_eq!(
        seed_from_header(&header, expected),
        Err(HeaderError::WrongHash { found, expected })
    );
}

#[test]
fn refuses_headers_without_randomness() {
    let two_to_64 = 1 << 64;
    for low in [0, 1, two_to_64] {
        assert_eq!(
            seed_of(&rlp(&fields(mix(low)))),
            Err(HeaderError::NoRandomness(mix(low).into()))
        );
    }
    assert!(seed_of(&rlp(&fields(mix(two_to_64 + 1)))).is_ok());
    let mut with_work = fields([9; 32]);
    with_work[7] = vec![1];
    assert_eq!(seed_of(&rlp(&with_work)), Err(HeaderError::HasDifficulty));
}

#[test]
fn refuses_fields_of_the_wrong_size() {
    for field in [0, 1, 2, 3, 4, 5, 6, 13] {
        let mut altered = fields([9; 32]);
        altered[field].pop();
        assert_eq!(seed_of(&rlp(&altered)), Err(HeaderError::Malformed));
        altered[field].extend([0xab; 2]);
        assert_eq!(seed_of(&rlp(&altered)), Err(HeaderError::Malformed));
    }
    for field in [8, 9, 10, 11] {
        for integer in [vec![0], vec![0, 1], vec![1; 33]] {
            let mut altered = fields([9; 32]);
            altered[field] = integer;
            assert_eq!(seed_of(&rlp(&altered)), Err(HeaderError::Malformed));
        }
    }
}

#[test]
fn refuses_every_truncation_and_every_trailing_byte() {
    let header = rlp(&fields([9; 32]));
    for length in 0..header.len() {
        assert_eq!(seed_of(&header[..length]), Err(HeaderError::Malformed));
    }
    for byte in [0, 0x80, 0xc0, 0xff] {
        let mut longer = header.clone();
        longer.push(byte);
        assert_eq!(seed_of(&longer), Err(HeaderError::Malformed));
    }
    // A list among the trailing fields.
    let mut payload = header[3..].to_vec();
    payload.push(0xc0);
    let mut longer = vec![0xf9];
    longer.extend((payload.len() as u16).to_be_bytes());
    longer.extend(payload);
    assert_eq!(seed_of(&longer), Err(HeaderError::Malformed));
}

#[test]
fn computes_payout_and_range_around_min_payout() {
    // amount 1000, allowance 100: full = 10 * spent
    assert_eq!(payout_of(49, 100, 1000, 500), Some((500, 98)));
    assert_eq!(payout_of(50, 100, 1000, 500), Some((500, 100)));
    assert_eq!(payout_of(51, 100, 1000, 500), Some((510, 100)));
    assert_eq!(payout_of(100, 100, 1000, 500), Some((1000, 100)));
    assert_eq!(payout_of(1, 100, 1000, 0), Some((10, 100)));
    assert_eq!(payout_of(1, 100, 1000, 1000), Some((1000, 1)));
    assert_eq!(payout_of(1, 1, u128::MAX, 0), Some((u128::MAX, 1)));
}

#[test]
fn has_no_payout_for_nothing_or_too_much_spent() {
    assert_eq!(payout_of(0, 100, 1000, 0), None);
    assert_eq!(payout_of(101, 100, 1000, 0), None);
    assert_eq!(payout_of(1, 1001, 1000, 0), None);
    assert_eq!(payout_of(1, 100, 1000, 1001), None);
}

#[test]
fn wins_from_start_to_just_below_start_plus_range() {
    let payout = Payout {
        amount: Amount::new(1),
        range: Amount::new(10),
    };
    let wins = |roll| payout.wins(Amount::new(5), Amount::new(roll));
    assert_eq!([4, 5, 14, 15].map(wins), [false, true, true, false]);
    let last = Payout {
        amount: Amount::new(1),
        range: Amount::new(1),
    };
    assert!(last.wins(Amount::MAX, Amount::MAX));
}

proptest! {
    #[test]
    fn rolls_below_the_amount(seed: [u8; 32], id: [u8; 32], amount in 1u128..) {
        let point = roll(Seed(seed.into()), DepositId(id.into()), Amount::new(amount));
        prop_assert!(point.get() < amount);
    }

    #[test]
    fn keeps_chance_times_payout_at_spent_up_to_rounding(
        amount in 1u128.., allowance in 1u128.., spent in 1u128.., min_payout: u128
    ) {
        let allowance = allowance % amount + 1;
        let spent = spent % allowance + 1;
        let allowance = allowance.min(amount);
        let spent = spent.min(allowance);
        let min_payout = min_payout.checked_rem(amount + u128::from(amount < u128::MAX)).unwrap_or(0);
        let (payout, range) = payout_of(spent, allowance, amount, min_payout).unwrap();
        prop_assert!(payout >= 1 && payout <= amount);
        prop_assert!(range >= 1 && range <= allowance);
        let promised = U256::from(spent) * U256::from(amount);
        let granted = U256::from(payout) * U256::from(range);
        prop_assert!(granted <= promised);
        // Rounding loses less than a unit of the payout or of the range.
        prop_assert!(promised - granted < U256::from(payout.max(range)));
    }

    #[test]
    fn never_shrinks_payout_or_range_for_more_spent(
        amount in 2u128.., allowance in 2u128.., spent: u128, more: u128, min_payout: u128
    ) {
        let allowance = (allowance % amount).max(2);
        let spent = (spent % (allowance - 1)) + 1;
        let more = spent + more % (allowance - spent + 1);
        let min_payout = min_payout % amount;
        let (payout, range) = payout_of(spent, allowance, amount, min_payout).unwrap();
        let (payout_2, range_2) = payout_of(more, allowance, amount, min_payout).unwrap();
        prop_assert!(payout_2 >= payout && range_2 >= range);
    }

    #[test]
    fn judges_any_header_bytes_without_panic(bytes: Vec<u8>, index: usize, byte: u8) {
        let _ = seed_of(&bytes);
        let mut header = rlp(&fields([9; 32]));
        let index = index % header.len();
        header[index] = byte;
        let _ = seed_of(&header);
    }
}
