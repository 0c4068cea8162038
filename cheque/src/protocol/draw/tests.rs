use super::*;
use alloy_primitives::{Address, b256};
use proptest::prelude::*;

fn deposit(amount: u128, min_payout: u128) -> Deposit {
    Deposit {
        payer: Address::repeat_byte(1),
        signer: Address::repeat_byte(2),
        token: Address::ZERO,
        lane: 1,
        amount,
        minPayout: min_payout,
        drawTime: 1_800_000_000,
        redeemUntil: 1_800_086_400,
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

#[test]
fn selects_points_computed_by_hand() {
    // keccak256(seed ‖ id) begins with 0xbf064a14b15aed359d0408e463b08f7d.
    let id = b256!("ef4a57f83737f5e845b173c80c46ec4af56fc0db5f481d434d37c80876ee3bf4");
    let point = |amount| {
        let seed = Seed(B256::repeat_byte(6));
        roll(seed, DepositId(id), Amount::new(amount)).get()
    };
    assert_eq!(point(1_000), 746);
    assert_eq!(point(1), 0);
    assert_eq!(point(2), 1);
    assert_eq!(point(1 << 64), 0xbf06_4a14_b15a_ed35);
    assert_eq!(
        point(1 << 127),
        253_915_203_513_832_831_451_287_903_202_406_600_573 >> 1
    );
    // floor(h * (2^128 - 1) / 2^128) = h - 1
    assert_eq!(
        point(u128::MAX),
        253_915_203_513_832_831_451_287_903_202_406_600_572
    );
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
}
