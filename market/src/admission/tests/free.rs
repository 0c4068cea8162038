//! Clients that do not pay.

use super::*;

#[test]
fn gives_free_clients_one_to_ten_percent_together() {
    for (paying, from, to) in [(false, 9_900, 10_100), (true, 990, 1_100)] {
        let mut admission = admission();
        let (mut free, mut paid) = (0, 0);
        for now in (0..10 * SECOND).step_by(5_000_000) {
            if paying {
                let left = 20usize.saturating_sub(admission.waiting().0);
                fill(&mut admission, 1, left, now);
            }
            paid += 100 * served(&admission.poll(now)).len();
            for n in 0..4 {
                let cost = 10;
                match admission.request_free(prefix(n), cost, now) {
                    Ok(_) => free += cost,
                    Err(refused) => assert!(refused.retry_seconds().is_some()),
                }
            }
        }
        assert!(
            (from..=to).contains(&free),
            "{free} for free clients, {paid} for paying ones"
        );
        assert!(!paying || paid >= 98_000, "{paid}");
    }
}

/// After a long time at the upper bound, the lower one still holds.
#[test]
fn makes_no_debt_of_a_free_share_beyond_the_lower_bound() {
    let mut admission = admission();
    for now in (0..600 * SECOND).step_by(100_000_000) {
        while admission.request_free(prefix(1), 100, now).is_ok() {}
    }
    let start = 600 * SECOND;
    let mut free = 0;
    for now in (start..start + 10 * SECOND).step_by(10_000_000) {
        let left = 20usize.saturating_sub(admission.waiting().0);
        fill(&mut admission, 1, left, now);
        admission.poll(now);
        while admission.request_free(prefix(1), 10, now).is_ok() {
            free += 10;
        }
    }
    assert!(free >= 800, "{free}");
}

#[test]
fn counts_addresses_of_one_network_as_one_client() {
    let known = |text: &str| Prefix::from(text.parse::<std::net::IpAddr>().unwrap());
    assert_eq!(known("192.0.2.1"), known("192.0.2.255"));
    assert_ne!(known("192.0.2.1"), known("192.0.3.1"));
    assert_eq!(known("::ffff:192.0.2.1"), known("192.0.2.9"));
    assert_eq!(known("2001:db8:1:2::1"), known("2001:db8:1:ffff::2"));
    assert_ne!(known("2001:db8:1::1"), known("2001:db8:2::1"));
    let mut slow = settings();
    slow.free.prefix = tier(10, 100);
    let mut admission = Admission::<u8>::new(slow, 0).unwrap();
    let grant = admission.request_free(prefix(1), 100, 0).unwrap();
    let retry_ns = 10 * SECOND;
    let refused = admission.request_free(prefix(1), 100, 0);
    assert_eq!(refused, Err(Refusal::Rate { retry_ns }));
    let refused = admission.request_free(prefix(2), 101, 0).unwrap_err();
    assert_eq!(refused.retry_seconds(), None);
    // Unused units come back to the network, and to the shares of all.
    admission.settle_free(grant, 60, 0);
    assert!(admission.request_free(prefix(1), 41, 0).is_err());
    assert!(admission.request_free(prefix(1), 40, 0).is_ok());
}

#[test]
fn forgets_the_prefix_that_is_full_first() {
    let mut slow = settings();
    slow.free.prefix = tier(10, 100);
    slow.free.max_prefixes = 3;
    let mut admission = Admission::<u8>::new(slow, 0).unwrap();
    for (n, cost) in [(1, 10), (2, 20), (3, 5), (4, 30)] {
        admission.request_free(prefix(n), cost, 0).unwrap();
    }
    assert_eq!(admission.known().1, 3);
    // Prefix 3 had used the least. The others are known.
    let mut all = |n| admission.request_free(prefix(n), 91, 0).is_err();
    assert!(all(1) && all(2) && all(4));
    // Records of full buckets are dropped.
    let now = 100 * SECOND;
    admission.request_free(prefix(9), 1, now).unwrap();
    assert_eq!(admission.known().1, 1);
}
