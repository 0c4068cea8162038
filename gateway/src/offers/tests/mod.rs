mod capacity;
mod files;
mod requests;

use super::*;
use crate::ledger::{Currency, Terms};
use cheque::{Address, Amount, Bank};
use http::Method;
use proptest::prelude::*;

/// The gateway of all tests' offers.
pub(crate) fn home() -> Home {
    Home {
        bank: Bank::new(1, Address::repeat_byte(0xba)),
        min_payout_costs: 10,
    }
}

const FILE: &str = r#"
[tokens.eth]
chain_id = 1
bank = "0xbabababababababababababababababababababa"
decimals = 18

[tokens.usdc]
chain_id = 8453
bank = "0xbabababababababababababababababababababa"
address = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"
decimals = 6

[[route]]
path = "/health"
free = true

[[route]]
method = "POST"
path = "/rpc"
price = { eth = 100, usdc = 10 }
rpc.eth_call = { eth = "500", usdc = 50 }
rpc.eth_getLogs = { eth = 2000, usdc = 200 }
per_kib = { eth = 3 }
max = { eth = 300 }
first_free = 5

[[route]]
method = "POST"
path = "/v1/*/complete"
price = { usdc = 7 }
per_second = { usdc = 1000 }
per_unit = { usdc = 20 }
unit = "token"
max = { usdc = 50000 }
charge_4xx = true
description = "completions"

[[route]]
path = "/files/**"
price = { usdc = 90 }
net = true
free_per_day = 2
"#;

const ETH: Currency = Currency {
    chain_id: 1,
    token: Address::ZERO,
};

fn offers() -> Offers {
    Offers::parse(FILE, &home()).unwrap()
}

fn usdc() -> Currency {
    offers().tokens().last().unwrap().currency
}

fn quote(method: Method, target: &str, body: &str) -> Result<Quote, QuoteError> {
    let target = Target::parse(target).unwrap();
    let found = offers().quote(&method, &target, body.as_bytes());
    found.map(|(quote, _)| quote)
}

fn tariff(method: Method, target: &str, body: &str) -> Tariff {
    match quote(method, target, body) {
        Ok(Quote::Sold(tariff)) => tariff,
        other => panic!("not sold: {other:?}"),
    }
}

fn prices(tariff: &Tariff) -> Vec<(&str, u128)> {
    let named = tariff
        .prices()
        .map(|(token, price)| (token.name.as_str(), price.get()));
    named.collect()
}

#[test]
fn counts_free_requests_by_client_and_window() {
    let mut counts = FreeCounts::new();
    let daily = FreeTier {
        requests: 2,
        window: Some(100),
    };
    let mut take = |client: &[u8], now| counts.take(1, client, daily, now);
    assert_eq!([0, 50, 99].map(|now| take(b"a", now)), [true, true, false]);
    assert!(take(b"b", 99));
    assert_eq!(
        [100, 101, 199, 200].map(|now| take(b"a", now)),
        [true, true, false, true]
    );
    let once = FreeTier {
        requests: 1,
        window: None,
    };
    assert_eq!(
        [0, u64::MAX].map(|now| counts.take(2, b"a", once, now)),
        [true, false]
    );
    // A crowd drops the clients that were seen first, and no others.
    for client in 0..65_536_u32 {
        assert!(counts.take(3, &client.to_be_bytes(), once, 1_000));
    }
    assert!(counts.take(2, b"a", once, 1_000));
    assert!(!counts.take(3, &65_535_u32.to_be_bytes(), once, 1_000));
}

proptest! {
    /// The matching of a segment, by trying all ways to take bytes for a star.
    #[test]
    fn glob_agrees_with_a_search(pattern in "[ab*]{0,7}", segment in "[ab]{0,9}") {
        fn search(pattern: &[u8], segment: &[u8]) -> bool {
            match (pattern.split_first(), segment.split_first()) {
                (None, None) => true,
                (Some((b'*', rest)), _) => (0..=segment.len()).any(|taken| search(rest, &segment[taken..])),
                (Some((byte, rest)), Some((found, left))) => byte == found && search(rest, left),
                _ => false,
            }
        }
        let pattern = pattern.replace("**", "*");
        let glob = glob::Glob::parse(&format!("/{pattern}/x"));
        prop_assume!(!pattern.is_empty() && !pattern.contains("**"));
        let path = format!("/{segment}/x");
        prop_assert_eq!(glob.unwrap().matches(&path), search(pattern.as_bytes(), segment.as_bytes()));
    }

    /// The face of which the seller nets the price: enough, and not a unit more.
    #[test]
    fn gross_price_covers_the_net_price(price in any::<u64>(), costs in 2..100_u32) {
        let face = price::gross(Amount::new(u128::from(price)), costs).unwrap().get();
        let net = |face: u128| face * u128::from(costs - 1) / u128::from(costs);
        prop_assert!(net(face) >= u128::from(price));
        prop_assert!(face == 0 || net(face - 1) < u128::from(price));
    }
}
