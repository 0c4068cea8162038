//! Capacity, costs, and what payments in several tokens weigh.

use super::*;

const LIMITED: &str = r#"
[capacity]
total = 100_000
burst = 50_000
account = { rate = 1_000, burst = 20_000 }
free = { min_percent = 2, max_percent = 5, rate = 50, burst = 500 }

[[capacity.tier]]
paid = { eth = 500_000 }
rate = 10_000
burst = 30_000

[[capacity.tier]]
paid = { usdc = 500_000 }
rate = 20_000
"#;

const COST: &str =
    "cost = { call = 5, per_kib = 2, per_ms = 1, max = 100, rpc = { eth_getLogs = 50 } }";

fn limited(file: &str) -> Offers {
    Offers::parse(&format!("{LIMITED}{file}"), &home()).unwrap()
}

fn work(file: &str, method: Method, target: &str, body: &str) -> Work {
    let target = Target::parse(target).unwrap();
    let found = Offers::parse(file, &home())
        .unwrap()
        .quote(&method, &target, body.as_bytes());
    found.unwrap().1
}

fn costing(line: &str) -> String {
    FILE.replace("first_free = 5\n", &format!("first_free = 5\n{line}\n"))
}

#[test]
fn counts_a_batch_as_the_sum_of_its_calls() {
    let file = costing(COST);
    let of = |body: &str| work(&file, Method::POST, "/rpc", body);
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"eth_call"}"#;
    let logs = r#"{"jsonrpc":"2.0","id":2,"method":"eth_getLogs"}"#;
    assert_eq!(of(call).most(), 105);
    assert_eq!(of(logs).most(), 150);
    let batch = of(&format!("[{call},{logs},{call}]"));
    assert_eq!(batch.most(), 5 + 50 + 5 + 300);
    // Each product is rounded up, and the announced maximum holds.
    assert_eq!(batch.used(0, 0), 60);
    assert_eq!(batch.used(1, 0), 61);
    assert_eq!(batch.used(1025, 7), 60 + 3 + 7);
    assert_eq!(batch.used(u64::MAX, u64::MAX), 360);
    // Without a table a request costs one unit.
    assert_eq!(work(&file, Method::GET, "/health", "").most(), 1);
}

#[test]
fn reads_calls_of_a_free_route_for_their_cost() {
    let line = "free = true\ncost = { rpc = { eth_getLogs = 9 } }";
    let file = FILE.replacen("free = true", line, 1);
    let logs = r#"{"jsonrpc":"2.0","id":2,"method":"eth_getLogs"}"#;
    let target = Target::parse("/health").unwrap();
    let offers = Offers::parse(&file, &home()).unwrap();
    let found = offers
        .quote(&Method::POST, &target, logs.as_bytes())
        .unwrap();
    assert_eq!((found.0, found.1.most()), (Quote::Free, 9));
    let refused = offers.quote(&Method::POST, &target, b"logs");
    assert!(matches!(refused, Err(QuoteError::Body(_))));
}

#[test]
fn weighs_tokens_by_the_prices_of_a_common_route() {
    let offers = limited(FILE);
    let terms = offers.capacity().unwrap();
    // The first sold route costs up to 400 units of eth, or 10 of usdc.
    let one = 1 << 20;
    assert_eq!(terms.worth(ETH, Amount::new(400)), one);
    assert_eq!(terms.worth(usdc(), Amount::new(10)), one);
    assert_eq!(terms.worth(ETH, Amount::new(1)), one / 400);
    assert_eq!(terms.worth(ETH, Amount::MAX) >> 127, 1);
    let other = Currency { chain_id: 9, ..ETH };
    assert_eq!(terms.worth(other, Amount::new(400)), 0);
}

#[test]
fn weighs_a_token_by_the_first_route_that_takes_it() {
    let third = "[tokens.dai]\nchain_id = 1\nbank = \"0xbabababababababababababababababababababa\"\n\
                 address = \"0x7070707070707070707070707070707070707070\"\ndecimals = 18\n\n[tokens.usdc]";
    let file = FILE.replace("[tokens.usdc]", third);
    let apart = format!("{file}\n[[route]]\npath = \"/dai\"\nprice = {{ dai = 7 }}\n");
    let error = Offers::parse(&format!("{LIMITED}{apart}"), &home()).unwrap_err();
    assert_eq!(error.fault, OffersFault::NoRelation("dai".to_owned()));
    assert_eq!(error.line, 2);
    // Where tokens are not compared, the file is good.
    Offers::parse(&apart, &home()).unwrap();
    let beside = apart.replace("{ dai = 7 }", "{ dai = 7, usdc = 20 }");
    let offers = limited(&beside);
    let dai = Currency {
        token: Address::repeat_byte(0x70),
        ..ETH
    };
    // 7 dai buy as much as 20 usdc, which buy as much as two requests of the first route.
    let worth = offers.capacity().unwrap().worth(dai, Amount::new(7));
    assert!(worth.abs_diff(2 << 20) <= 1, "{worth}");
}

#[test]
fn gives_tiers_to_accounts_by_what_they_have_paid() {
    let offers = limited(FILE);
    let terms = offers.capacity().unwrap();
    let burst = |eth| terms.tier(terms.worth(ETH, Amount::new(eth))).burst;
    assert_eq!([0, 499_999, 500_000].map(burst), [20_000, 20_000, 30_000]);
    // 500,000 usdc weigh as much as 20,000,000 eth.
    assert_eq!([19_999_999, 20_000_000].map(burst), [30_000, 20_000]);
    assert_eq!(terms.largest(), (20_000, 500));
    let free = terms.settings().free;
    assert_eq!((free.min_percent, free.max_percent), (2, 5));
}

#[test]
fn refuses_a_wrong_capacity_with_line_and_reason() {
    let replaced = |from: &str, to: &str| format!("{}{FILE}", LIMITED.replace(from, to));
    for (text, line, reason) in [
        (replaced("total = 100_000", "total = 0"), 2, "rate of 0"),
        (replaced("total = 100_000", "total = 99"), 2, "100 or more"),
        (
            replaced("min_percent = 2", "min_percent = 6"),
            2,
            "6 % to 5 %",
        ),
        (replaced("rate = 20_000", "rate = 0"), 13, "rate of 0"),
        (
            replaced("{ usdc = 500_000 }", "{ usdc = 1 }"),
            13,
            "ascending",
        ),
        (replaced("{ usdc = 500_000 }", "{}"), 13, "one token"),
        (
            replaced("{ usdc = 500_000 }", "{ x = 1 }"),
            13,
            "x is not listed",
        ),
        (
            format!(
                "{LIMITED}{}",
                FILE.replacen("free = true", "free = true\ncost.call = 501", 1)
            ),
            28,
            "costs up to 501 units, and at most 500",
        ),
        (
            format!("{LIMITED}{}", costing("cost.rpc.eth_getLogs = 600")),
            32,
            "costs up to 600 units, and at most 500",
        ),
        (costing("cost = { per_ms = 1 }"), 26, "cost.max"),
        (costing("cost = { max = 1 }"), 26, "cost.max"),
    ] {
        let error = Offers::parse(&text, &home()).unwrap_err();
        assert!(error.to_string().contains(reason), "{text}\n{error}");
        assert_eq!(error.line, line, "{text}\n{error}");
    }
}
