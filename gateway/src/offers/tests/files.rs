//! Files of offers.

use super::*;

#[test]
fn refuses_a_wrong_file_with_line_and_reason() {
    let tokens = "[tokens.a]\nchain_id = 1\nbank = \"0xbabababababababababababababababababababa\"\ndecimals = 18\n";
    let other = "[tokens.b]\nchain_id = 2\naddress = \"0x7070707070707070707070707070707070707070\"\ndecimals = 6\n";
    let route = "[[route]]\npath = \"/\"\n";
    for (text, line, reason) in [
        ("", 1, "[tokens]".to_owned()),
        (tokens, 1, "[[route]]".to_owned()),
        ("[tokens.a]\nchain = 1\n", 2, "unknown field".to_owned()),
        ("[tokens.a\n", 1, "".to_owned()),
        (
            &format!("[tokens.a]\ndecimals = 6\n{route}free = true\n"),
            1,
            "18 decimals".to_owned(),
        ),
        (
            &format!(
                "{}{route}free = true\n",
                other.replace("decimals = 6\n", "")
            ),
            1,
            "has no decimals".to_owned(),
        ),
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
            &format!("{tokens}{route}price = {{ a = 1 }}\nmeter = \"events\"\n"),
            8,
            "meter is about units".to_owned(),
        ),
        (
            &format!("{tokens}{route}price = {{ a = 1 }}\nunit_size = 10\n"),
            8,
            "unit_size is about units".to_owned(),
        ),
        (
            &format!("{tokens}{route}price = {{ a = 1 }}\nunit_size = 0\n"),
            8,
            "nonzero".to_owned(),
        ),
        (
            &format!("{tokens}{route}price = {{ a = 1 }}\nmeter = \"mine\"\n"),
            8,
            "unknown variant".to_owned(),
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
        let error = Offers::parse(text, &home()).unwrap_err();
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
    let equal = Offers::parse(&text, &home()).unwrap();
    let own = Currency {
        chain_id: 1,
        token: Address::repeat_byte(0x70),
    };
    assert_eq!(equal.currencies().canonical(own), usdc());
    let twice = text.replace("price = { usdc = 90 }", "price = { usdc = 90, usdc1 = 90 }");
    let error = Offers::parse(&twice, &home()).unwrap_err();
    assert!(matches!(error.fault, OffersFault::EqualPrices(_)));
}

#[test]
fn rates_of_tokens_are_checked() {
    let with = |lines: &str| {
        let token = FILE.replace("decimals = 6\n", &format!("decimals = 6\n{lines}"));
        Offers::parse(&token, &home())
    };
    let offers = with(
        "tokens_per_coin = \"feed:0x7070707070707070707070707070707070707070\"\nrate_max_age = \"90m\"\nrate_max_jump = 10\n",
    );
    let offers = offers.unwrap();
    let usdc = offers.tokens().find(|token| token.name == "usdc").unwrap();
    let rate = usdc.rate.clone().unwrap();
    assert_eq!((rate.bounds.max_age, rate.bounds.max_jump), (5_400, 10));
    assert!(with("tokens_per_coin = \"2500.0\"\n").is_ok());
    let line = 1 + FILE[..FILE.find("decimals = 6").unwrap()].lines().count();
    for (lines, at, reason) in [
        ("tokens_per_coin = \"2500\"\n", 1, "decimal point"),
        ("tokens_per_coin = \"0.0\"\n", 1, "is zero"),
        ("tokens_per_coin = \"0.0000001\"\n", 1, "more decimals"),
        ("tokens_per_coin = \"feed:x\"\n", 1, "no address"),
        (
            "tokens_per_coin = \"2500.0\"\nrate_max_jump = 10\n",
            2,
            "bound a file",
        ),
        ("rate_max_age = \"1h\"\n", 1, "bound a file"),
        (
            "tokens_per_coin = \"file:/x\"\nrate_max_age = \"soon\"\n",
            2,
            "no duration",
        ),
    ] {
        let error = with(lines).unwrap_err();
        assert!(error.to_string().contains(reason), "{lines}\n{error}");
        assert_eq!(error.line, line + at, "{lines}\n{error}");
    }
    let coin = FILE.replace(
        "decimals = 18\n",
        "decimals = 18\ntokens_per_coin = \"1.0\"\n",
    );
    let error = Offers::parse(&coin, &home()).unwrap_err();
    assert_eq!(error.fault, OffersFault::RateOfCoin);
}

#[test]
fn examples_of_the_documentation_are_sold() {
    let text = include_str!("../../../../docs/gateway.md");
    let examples: Vec<_> = text
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert_eq!(examples.len(), 4);
    for example in &examples {
        Offers::parse(example, &home()).unwrap_or_else(|error| panic!("{error}\n{example}"));
    }
    let exact = examples[2];
    let offers = Offers::parse(exact, &home()).unwrap();
    assert_eq!(offers.facilitator(), Some("https://facilitator.example"));
    assert!(offers.tokens().all(|token| token.exact.is_some()));
    for (starts, reason) in [
        (&["[exact]", "facilitator", "pay_to"][..], "set facilitator"),
        (&["eip712"], "no token has eip712"),
        (&["address", "decimals"], "no authorizations"),
    ] {
        let is_left = |line: &&str| !starts.iter().any(|start| line.starts_with(start));
        let short: Vec<_> = exact.lines().filter(is_left).collect();
        let error = Offers::parse(&short.join("\n"), &home()).unwrap_err();
        assert!(error.to_string().contains(reason), "{starts:?}: {error}");
    }
}

#[test]
fn tokens_are_at_home_unless_they_say_otherwise() {
    let bare = "[tokens.coin]\n[[route]]\npath = \"/\"\nprice = { coin = 1 }\n";
    let offers = Offers::parse(bare, &home()).unwrap();
    let coin = offers.tokens().next().unwrap();
    let own = Currency {
        chain_id: 1,
        token: Address::ZERO,
    };
    assert_eq!(
        (coin.currency, coin.bank, coin.decimals),
        (own, home().bank.address(), 18)
    );
}

#[test]
fn uniform_offers_sell_every_request_at_one_price() {
    let token = offers().tokens().next().unwrap().clone();
    let uniform = Offers::uniform(token, Amount::new(7), Some(2));
    for (method, target) in [(Method::GET, "/"), (Method::POST, "/a/b?c")] {
        let target = Target::parse(target).unwrap();
        let (Quote::Sold(tariff), _) = uniform.quote(&method, &target, b"").unwrap() else {
            panic!("{target:?}");
        };
        let prices: Vec<_> = tariff.prices().map(|(_, price)| price.get()).collect();
        assert_eq!(prices, [7]);
        assert_eq!(tariff.free().unwrap().1.requests, 2);
    }
}
