//! Prices of requests.

use super::*;

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
fn live_prices_begin_with_a_piece() {
    let text = FILE.replace(
        "per_unit = { usdc = 20 }",
        "per_unit = { usdc = 20 }\nunit_size = 10",
    );
    let first = |text: &str| {
        let offers = Offers::parse(text, &home()).unwrap();
        let target = Target::parse("/v1/gpt/complete").unwrap();
        let Ok((Quote::Sold(tariff), _)) = offers.quote(&Method::POST, &target, b"{}") else {
            panic!("not sold");
        };
        let (_, price) = tariff.first().next().unwrap();
        (
            tariff.is_live(),
            price.least.get(),
            price.most.get(),
            tariff,
        )
    };
    // The upstream reports the units, at the end: all that they can cost is reserved.
    let (is_live, least, most, reported) = first(&text);
    assert_eq!((is_live, least, most), (false, 50_007, 50_007));
    let usage = Usage {
        units: Some(11),
        ..Usage::default()
    };
    assert_eq!(reported.cost(usdc(), &usage), Some(Amount::new(7 + 22)));
    // A second and an event; four seconds and 16 events.
    let counted = text.replace("unit = \"token\"", "unit = \"token\"\nmeter = \"events\"");
    let (is_live, least, most, _) = first(&counted);
    assert_eq!(
        (is_live, least, most),
        (true, 7 + 1_000 + 2, 7 + 4_000 + 32)
    );
    // Messages of a WebSocket are counted in any case.
    assert!(reported.of_socket().unwrap().is_live());
    let tokens = text.replace(
        "unit = \"token\"",
        "unit = \"token\"\nmeter = \"openai_usage\"",
    );
    let (is_live, _, most, tariff) = first(&tokens);
    assert_eq!((is_live, most), (false, 50_007));
    assert_eq!(tariff.of_socket(), None);
}

#[test]
fn head_adds_money_to_metered_routes_only() {
    let metered = |target: &str| {
        let target = Target::parse(target).unwrap();
        offers().metered(&target).is_some()
    };
    // Of another method, with a variable price.
    assert!(metered("/rpc") && metered("/v1/gpt/complete"));
    for target in ["/files/a", "/health", "/none"] {
        assert!(!metered(target), "{target}");
    }
    // A route of HEAD itself comes first, whatever its price.
    let own =
        format!("{FILE}[[route]]\nmethod = \"HEAD\"\npath = \"/rpc\"\nprice = {{ eth = 1 }}\n");
    let own = Offers::parse(&own, &home()).unwrap();
    assert_eq!(own.metered(&Target::parse("/rpc").unwrap()), None);
}
