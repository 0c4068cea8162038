//! The capacity curve.

use super::*;

const MILLION: u64 = 1_000_000;

/// Returns ten clients with 1 to 10 times 10^11 tokens and a million of capacity each, which is the whole capacity.
fn ten_clients(count: u64) -> Fixture {
    let mut f = Fixture::new(settings(400_000, 2, 2), count, 10 * MILLION);
    for id in 1..=10 {
        f.connect(id, 100_000_000_000 * u64::from(id));
        assert!(f.request(id, MILLION));
    }
    f
}

fn max_capacity(f: &mut Fixture, exclude: Option<u32>, balance: u64) -> u64 {
    let curve = f.pool.curve(&f.balances, 0);
    curve.max_capacity(exclude.as_ref(), |capacity| {
        Priority::new(balance, 0, capacity)
    })
}

#[test]
fn offers_newcomer_the_capacity_of_lower_priorities() {
    let mut f = ten_clients(10);
    for (balance, expected) in [
        (0, 0),
        (10_000_000_000, 100_000),
        (50_000_000_000, 500_000),
        (100_000_000_000, 1_000_000),
        (200_000_000_000, 1_000_000),
        (300_000_000_000, 1_500_000),
        (450_000_000_000, 1_500_000),
        (600_000_000_000, 2_000_000),
        (800_000_000_000, 2_000_000),
        (1_000_000_000_000, 2_500_000),
    ] {
        assert_eq!(max_capacity(&mut f, None, balance), expected, "{balance}");
    }
}

#[test]
fn displaces_no_client_if_a_slot_is_free() {
    let mut f = ten_clients(11);
    for (balance, expected) in [
        (0, 0),
        (10_000_000_000, 100_000),
        (50_000_000_000, 500_000),
        (150_000_000_000, 750_000),
        (200_000_000_000, 1_000_000),
        (220_000_000_000, 1_100_000),
        (275_000_000_000, 1_100_000),
        (375_000_000_000, 1_500_000),
        (450_000_000_000, 1_500_000),
        (600_000_000_000, 2_000_000),
        (800_000_000_000, 2_000_000),
        (1_000_000_000_000, 2_500_000),
    ] {
        assert_eq!(max_capacity(&mut f, None, balance), expected, "{balance}");
    }
}

#[test]
fn counts_own_capacity_as_free() {
    let mut f = ten_clients(11);
    let own = 500_000_000_000;
    assert_eq!(max_capacity(&mut f, Some(5), 0), MILLION);
    // At 2·10^5 per unit, the first two clients would go down to 4·10^5 and 5·10^5; client 5 has too few tokens for
    // more.
    assert_eq!(max_capacity(&mut f, Some(5), own), 2_100_000);
    assert_eq!(
        max_capacity(&mut f, Some(99), own),
        max_capacity(&mut f, None, own)
    );
}

#[test]
fn offers_free_capacity_at_any_priority() {
    let mut f = Fixture::new(settings(10, 2, 2), 3, 100);
    assert_eq!(max_capacity(&mut f, None, 0), 100);
    f.connect(1, 1_000);
    f.request(1, 40);
    assert_eq!(max_capacity(&mut f, None, 0), 60);
    assert_eq!(max_capacity(&mut f, Some(1), 0), 100);
    let nothing = Limits {
        count: 0,
        capacity: 100,
    };
    f.pool.set_limits(nothing, &f.balances);
    assert_eq!(max_capacity(&mut f, None, u64::MAX), 0, "no slot");
}

#[test]
fn reuses_curve_for_ten_seconds_unless_capacities_change() {
    let mut f = ten_clients(11);
    let requested = |f: &mut Fixture, now_ns| {
        let curve = f.pool.curve(&f.balances, now_ns);
        curve.max_capacity(None, |capacity| Priority::new(1 << 40, 0, capacity))
    };
    let before = requested(&mut f, 0);
    for balance in f.balances.0.values_mut() {
        *balance *= 10;
    }
    f.touch_all();
    assert_eq!(requested(&mut f, 9_999_999_999), before);
    let after = requested(&mut f, 10_000_000_000);
    assert!(after < before);
    f.request(10, 500_000);
    assert!(requested(&mut f, 10_000_000_000) > after);
}
