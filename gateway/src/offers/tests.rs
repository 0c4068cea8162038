use super::*;
use crate::ledger::{Currency, Terms};
use cheque::{Address, Amount};
use http::Method;
use proptest::prelude::*;

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
    Offers::parse(FILE, 10).unwrap()
}

fn usdc() -> Currency {
    offers().tokens().last().unwrap().currency
}

fn quote(method: Method, target: &str, body: &str) -> Result<Quote, QuoteError> {
    let target = Target::parse(target).unwrap();
    offers().quote(&method, &target, body.as_bytes())
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
fn sells_by_the_first_route_that_takes_the_request() {
    assert_eq!(quote(Method::GET, "/health?x=1", ""), Ok(Quote::Free));
    assert_eq!(quote(Method::GET, "/rpc", ""), Err(QuoteError::NoRoute));
    assert_eq!(quote(Method::POST, "/rpc/", "{}"), Err(QuoteError::NoRoute));
    let complete = tariff(Method::POST, "/v1/gpt/complete", "{}");
    assert_eq!(prices(&complete), [("usdc", 50_007)]);
    assert_eq!(
        (complete.unit(), complete.description()),
        (Some("token"), Some("completions"))
    );
    let terms = Terms {
        charge_4xx: true,
        has_body: true,
    };
    assert_eq!(complete.terms(), terms);
    for path in ["/files", "/files/", "/files/a/b?c"] {
        assert_eq!(prices(&tariff(Method::PUT, path, "")), [("usdc", 100)]);
    }
    let free = tariff(Method::PUT, "/files", "").free();
    let tier = FreeTier {
        requests: 2,
        window: Some(86_400),
    };
    assert_eq!(free, Some((3, tier)));
}

#[test]
fn batch_costs_the_sum_of_its_calls() {
    let call = |method: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":[{{"a":[1.5,null]}}]}}"#)
    };
    let single = tariff(Method::POST, "/rpc", &call("eth_call"));
    assert_eq!(prices(&single), [("eth", 800), ("usdc", 50)]);
    let batch = format!(
        "[{},{},{}]",
        call("eth_call"),
        call("eth_getLogs"),
        call("eth_chainId")
    );
    let batch = tariff(Method::POST, "/rpc", &batch);
    assert_eq!(prices(&batch), [("eth", 2_900), ("usdc", 260)]);
    let usage = Usage {
        bytes: 1_025,
        ..Usage::default()
    };
    assert_eq!(batch.cost(ETH, &usage), Some(Amount::new(2_600 + 4)));
    assert_eq!(batch.cost(usdc(), &usage), Some(Amount::new(260)));
}

#[test]
fn refuses_bodies_that_parsers_read_differently() {
    let refused = |body: &str| match quote(Method::POST, "/rpc", body) {
        Err(QuoteError::Body(error)) => error.to_string(),
        other => panic!("{body}: {other:?}"),
    };
    for (body, reason) in [
        (
            r#"{"method":"eth_chainId","method":"eth_getLogs"}"#,
            "twice",
        ),
        (
            r#"{"method":"eth_chainId","params":[{"a":1,"a":2}]}"#,
            "twice",
        ),
        (
            r#"{"method":"eth_chainId","m\u0065thod":"eth_getLogs"}"#,
            "twice",
        ),
        (r#"{"method":"eth_chainId","Method":"eth_getLogs"}"#, "only"),
        (r#"{"method":1}"#, "as text"),
        (r#"{"id":1}"#, "as text"),
        ("[]", "at least one"),
        (r#"[["eth_call"]]"#, "objects only"),
        (r#""eth_call""#, "object or an array"),
        (r#"{"method":"eth_call"} {}"#, "trailing"),
        ("", "EOF"),
        ("\u{feff}{}", "expected value"),
    ] {
        assert!(refused(body).contains(reason), "{body}: {}", refused(body));
    }
    let deep = format!(
        r#"{{"method":"a","params":{}1{}}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    assert!(refused(&deep).contains("recursion"));
}

#[test]
fn refuses_targets_that_programs_read_differently() {
    use TargetError::{Character, DotSegment, EmptySegment, Encoded, NotAbsolute, Percent};
    for (target, error) in [
        ("rpc", NotAbsolute),
        ("", NotAbsolute),
        ("http://other/rpc", NotAbsolute),
        ("/a/../rpc", DotSegment),
        ("/a/.", DotSegment),
        ("/%2e%2e/rpc", Encoded(b'.')),
        ("/a%2frpc", Encoded(b'/')),
        ("/a%5Crpc", Encoded(b'\\')),
        ("/rpc%00", Encoded(0)),
        ("/rp%63", Encoded(b'c')),
        ("/%2563", Encoded(b'%')),
        ("//rpc", EmptySegment),
        ("/a//b", EmptySegment),
        ("/a\\b", Character),
        ("/a#b", Character),
        ("/a b", Character),
        ("/\u{e4}", Character),
        ("/a%2", Percent),
        ("/a%zz", Percent),
        ("/a?b=%", Percent),
    ] {
        assert_eq!(Target::parse(target), Err(error), "{target}");
    }
    for target in [
        "/",
        "/a/",
        "/a.b/..c",
        "/%C3%A4/%20?q=a//b/../%2e%00",
        "/a?",
    ] {
        let parsed = Target::parse(target).unwrap();
        assert_eq!(parsed.as_str(), target);
        assert_eq!(Some(parsed.path()), target.split('?').next());
    }
}

#[test]
fn variable_cost_rounds_up_and_ends_at_the_maximum() {
    let complete = tariff(Method::POST, "/v1/gpt/complete", "{}");
    let cost = |milliseconds, units, charge: Option<u128>| {
        let charge = charge.map(Amount::new);
        let usage = Usage {
            bytes: 9,
            milliseconds,
            units,
            charge,
        };
        complete.cost(usdc(), &usage).unwrap().get()
    };
    assert_eq!(cost(0, Some(0), None), 7);
    assert_eq!(cost(1, Some(0), None), 8);
    assert_eq!(cost(1_001, Some(3), None), 7 + 1_001 + 60);
    assert_eq!(cost(u64::MAX, Some(u64::MAX), None), 50_007);
    // The units are priced, and not reported.
    assert_eq!(cost(1, None, None), 50_007);
    // The upstream names the price: at most what was reserved.
    assert_eq!(cost(1, None, Some(0)), 0);
    assert_eq!(cost(1, Some(9), Some(50_007)), 50_007);
    assert_eq!(cost(1, Some(9), Some(50_008)), 50_007);
    assert_eq!(complete.cost(ETH, &Usage::default()), None);
}

#[test]
fn refuses_a_wrong_file_with_line_and_reason() {
    let tokens = "[tokens.a]\nchain_id = 1\nbank = \"0xbabababababababababababababababababababa\"\ndecimals = 18\n";
    let other = "[tokens.b]\nchain_id = 2\nbank = \"0xbabababababababababababababababababababa\"\ndecimals = 6\n";
    let route = "[[route]]\npath = \"/\"\n";
    for (text, line, reason) in [
        ("", 1, "[tokens]".to_owned()),
        (tokens, 1, "[[route]]".to_owned()),
        ("[tokens.a]\nchain = 1\n", 2, "unknown field".to_owned()),
        ("[tokens.a\n", 1, "".to_owned()),
        (
            &format!("{tokens}{route}price = {{ a = -1 }}\n"),
            7,
            "whole number".to_owned(),
        ),
        (
            &format!("{tokens}{route}price = {{ a = 0.5 }}\n"),
            7,
            "whole number".to_owned(),
        ),
        (
            &format!("{tokens}{route}price = {{ a = \"+1\" }}\n"),
            7,
            "whole number".to_owned(),
        ),
        (
            &format!("{tokens}{route}price = {{ c = 1 }}\n"),
            7,
            "token c is not listed".to_owned(),
        ),
        (
            &format!("{tokens}{route}price = {{ a = 1 }}\nper_kib = {{ a = 1 }}\n"),
            5,
            "no maximum".to_owned(),
        ),
        (
            &format!("{tokens}{route}price = {{ a = 1 }}\nmax = {{ a = 1 }}\n"),
            8,
            "no variable price".to_owned(),
        ),
        (
            &format!(
                "{tokens}{route}price = {{ a = 1 }}\nper_unit = {{ a = 1 }}\nmax = {{ a = 1 }}\n"
            ),
            5,
            "unit".to_owned(),
        ),
        (
            &format!("{tokens}{other}{route}price = {{ a = 1 }}\nper_kib = {{ b = 1 }}\n"),
            12,
            "no price in b".to_owned(),
        ),
        (
            &format!("{tokens}{other}{route}price = {{ a = 1, b = 1 }}\nrpc.x = {{ a = 1 }}\n"),
            12,
            "method x has no price in b".to_owned(),
        ),
        (
            &format!("{tokens}{route}"),
            5,
            "either prices or free".to_owned(),
        ),
        (
            &format!("{tokens}{route}free = true\nprice = {{ a = 1 }}\n"),
            5,
            "either prices or free".to_owned(),
        ),
        (
            &format!("{tokens}{route}free = true\n{route}free = true\n"),
            8,
            "the route in line 5".to_owned(),
        ),
        (
            &format!("{tokens}[[route]]\npath = \"a\"\nfree = true\n"),
            6,
            "begins with /".to_owned(),
        ),
        (
            &format!("{tokens}[[route]]\npath = \"/**/a\"\nfree = true\n"),
            6,
            "last segment".to_owned(),
        ),
        (
            &format!("{tokens}{route}method = \"get\"\nfree = true\n"),
            7,
            "get is not a method".to_owned(),
        ),
        (
            &format!("{tokens}{route}first_free = 1\nfree_per_day = 1\nfree = true\n"),
            5,
            "exclude each other".to_owned(),
        ),
        (
            &format!(
                "{tokens}{route}price = {{ a = \"{}\" }}\nnet = true\n",
                u128::MAX
            ),
            7,
            "above 2^128".to_owned(),
        ),
        (
            &format!("{tokens}{}{route}free = true\n", tokens.replace(".a", ".z")),
            5,
            "the same one".to_owned(),
        ),
        (
            &format!("{tokens}{other}equal_to = \"a\"\n{route}free = true\n"),
            9,
            "6 decimals".to_owned(),
        ),
        (
            &format!("{tokens}equal_to = \"q\"\n{route}free = true\n"),
            5,
            "q is not listed".to_owned(),
        ),
    ] {
        let error = Offers::parse(text, 10).unwrap_err();
        assert_eq!(error.line, line, "{text}\n{error}");
        assert!(error.to_string().contains(&reason), "{text}\n{error}");
    }
}

#[test]
fn equal_tokens_have_one_price() {
    let text = FILE.replace(
        "[tokens.usdc]",
        "[tokens.usdc1]\nchain_id = 1\nbank = \"0xbabababababababababababababababababababa\"\ndecimals = 6\n\
         address = \"0x7070707070707070707070707070707070707070\"\nequal_to = \"usdc\"\n\n[tokens.usdc]",
    );
    let equal = Offers::parse(&text, 10).unwrap();
    let own = Currency {
        chain_id: 1,
        token: Address::repeat_byte(0x70),
    };
    assert_eq!(equal.currencies().canonical(own), usdc());
    let twice = text.replace("price = { usdc = 90 }", "price = { usdc = 90, usdc1 = 90 }");
    let error = Offers::parse(&twice, 10).unwrap_err();
    assert!(matches!(error.fault, OffersFault::EqualPrices(_)));
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
