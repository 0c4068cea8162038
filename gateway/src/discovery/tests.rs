use super::*;
use crate::{
    offers::{Quote, Target, tests::home},
    wire::{PayeeTerms, Wire},
};
use cheque::{Address, Amount};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const OFFERS: &str = r#"
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
path = "/v1/health"
free = true

[[route]]
method = "POST"
path = "/v1/rpc"
price = { eth = 100 }
rpc.eth_call = { eth = 500 }

[[route]]
method = "POST"
path = "/v1/users/*/complete"
price = { eth = 7, usdc = 1 }
per_unit = { eth = 20 }
unit = "token"
max = { eth = 5000 }
description = "completions"
first_free = 3

[[route]]
path = "/**"
price = { eth = 10 }
"#;

const OPENAPI: &str = r#"{"openapi":"3.1.0","servers":[{"url":"https://api.example.com/v1/"}],"paths":{
"/zebra":{"summary":"kept","get":{"operationId":"z","x-big":123456789012345678901234567890.10,"responses":{"200":{"description":"ok"}}},
"parameters":[]},
"/health":{"get":{"responses":{}}},
"/rpc":{"post":{"responses":{"402":{"description":"own"}}}},
"/users/{id}/complete":{"post":{"x-payment-info":{"offers":[]}}}},"x-last":[1, 2]}"#;

fn offers() -> Offers {
    Offers::parse(OFFERS, &home()).unwrap()
}

fn wire(tokens: &[&str]) -> Wire {
    let terms = PayeeTerms {
        version: "1".to_owned(),
        bank: Address::repeat_byte(0xba),
        beacon: "52db".to_owned(),
        least_payout: Amount::new(100),
        max_deposit: None,
        horizon: 604_800,
        cutoff: 30,
        finality: 1_800,
        window: 21_600,
        in_flight: 1_024,
        header: "Cheque".to_owned(),
        pay_url: None,
        unit: None,
        cheque_state: None,
    };
    let terms = tokens
        .iter()
        .map(|name| ((*name).to_owned(), terms.clone()));
    Wire {
        payee: Address::repeat_byte(0xaa),
        realm: "shop".to_owned(),
        key: [7; 32],
        credential_header: None,
        terms: BTreeMap::from_iter(terms).into(),
    }
}

fn annotated(text: &str) -> String {
    let new = annotate(text.as_bytes(), &offers(), &wire(&["eth", "usdc"]));
    String::from_utf8(new.unwrap()).unwrap()
}

#[test]
fn adds_prices_and_402_to_operations_that_are_sold() {
    let new: Value = serde_json::from_str(&annotated(OPENAPI)).unwrap();
    let zebra = &new["paths"]["/zebra"]["get"];
    let eth = Address::ZERO.to_checksum(None);
    assert_eq!(
        zebra["x-payment-info"],
        json!({ "offers": [{ "intent": "charge", "method": "cheque", "amount": "10", "currency": eth }] })
    );
    assert_eq!(zebra["responses"]["402"]["description"], "Payment Required");
    assert_eq!(zebra["responses"]["200"]["description"], "ok");
    // The first route that takes the path is free.
    assert_eq!(new["paths"]["/health"]["get"], json!({ "responses": {} }));
    // The body decides.
    let rpc = &new["paths"]["/rpc"]["post"];
    assert_eq!(rpc["x-payment-info"]["offers"][0]["amount"], Value::Null);
    assert_eq!(rpc["responses"]["402"]["description"], "own");
    let complete = &new["paths"]["/users/{id}/complete"]["post"];
    assert_eq!(
        complete["x-payment-info"]["offers"],
        json!([
            { "intent": "session", "method": "cheque", "amount": "5007", "currency": eth, "description": "completions" },
            {
                "intent": "session", "method": "cheque", "amount": "1", "description": "completions",
                "currency": "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
            },
        ])
    );
    assert_eq!(
        complete["responses"]["402"]["description"],
        "Payment Required"
    );
}

#[test]
fn keeps_order_and_bytes_of_all_else() {
    let new = annotated(OPENAPI);
    // A float would round it.
    assert!(
        new.contains("\"x-big\":123456789012345678901234567890.10"),
        "{new}"
    );
    assert!(new.contains("\"x-last\":[1, 2]"), "{new}");
    let places = [
        "openapi",
        "/zebra",
        "summary",
        "parameters",
        "/health",
        "x-last",
    ];
    let places = places.map(|key| new.find(&format!("\"{key}\"")).unwrap());
    assert!(places.is_sorted(), "{new}");
}

#[test]
fn leaves_other_documents_alone() {
    for text in [
        "",
        "{",
        "[]",
        "null",
        r#"{"paths":{}}"#,
        r#"{"openapi":"3.1.0"}"#,
        r#"{"openapi":"3.1.0","paths":[]}"#,
        r#"{"openapi":"3.1.0","paths":{}} x"#,
    ] {
        let new = annotate(text.as_bytes(), &offers(), &wire(&["eth"]));
        assert_eq!(new, None, "{text}");
    }
}

#[test]
fn reads_the_path_before_all_paths_in_all_forms() {
    for base in [
        r#""servers":[{"url":"/v1"}]"#,
        r#""servers":[{"url":"https://api.example.com/v1"},{"url":"/v2"}]"#,
        r#""swagger":"2.0","basePath":"/v1/""#,
    ] {
        let text = format!(r#"{{"openapi":"3.1.0",{base},"paths":{{"/health":{{"get":{{}}}}}}}}"#);
        assert!(!annotated(&text).contains("402"), "{base}");
    }
    // Here the path is another one.
    let text = r#"{"openapi":"3.1.0","paths":{"/health":{"get":{}}}}"#;
    assert!(annotated(text).contains("402"));
}

#[test]
fn lists_tokens_with_terms_only() {
    let document = WellKnown::of(&offers(), &wire(&["eth"]), "https://x/pay".to_owned());
    let document = serde_json::to_value(document).unwrap();
    let payee = Address::repeat_byte(0xaa).to_string().to_lowercase();
    let bank = Address::repeat_byte(0xba).to_string().to_lowercase();
    assert_eq!(document["payee"], json!(payee));
    assert_eq!(document["payUrl"], "https://x/pay");
    assert_eq!(
        document["banks"],
        json!([{ "network": "eip155:1", "bank": bank }])
    );
    assert_eq!(
        document["tokens"],
        json!({ "eth": { "network": "eip155:1", "asset": Address::ZERO, "decimals": 18 } })
    );
    assert_eq!(document["policy"]["eth"]["leastPayout"], "100");
    assert_eq!(
        document["prices"][0],
        json!({ "path": "/v1/health", "prices": {} })
    );
    assert_eq!(
        document["prices"][1]["prices"],
        json!({ "eth": { "amount": "100", "calls": { "eth_call": "500" } } })
    );
    let complete = json!({
        "method": "POST", "path": "/v1/users/*/complete", "description": "completions", "unit": "token",
        "prices": { "eth": { "amount": "7", "perUnit": "20", "max": "5000" } }, "freeRequests": 3,
    });
    assert_eq!(document["prices"][2], complete);
}

#[test]
fn operators_own_path_wins() {
    let of = |method: Method, uri: &str, text: &str| {
        let offers = Offers::parse(&format!("{OFFERS}{text}"), &home()).unwrap();
        Document::of(&method, &uri.parse().unwrap(), &offers)
    };
    // A star takes all paths, and names none.
    assert_eq!(of(Method::GET, CHEQUE_JSON, ""), Some(Document::Cheque));
    assert_eq!(of(Method::HEAD, OPENAPI_JSON, ""), Some(Document::OpenApi));
    assert_eq!(of(Method::POST, OPENAPI_JSON, ""), None);
    assert_eq!(of(Method::GET, "/openapi.json?x=1", ""), None);
    assert_eq!(of(Method::GET, "/openapi.jso", ""), None);
    let own = "[[route]]\nmethod = \"GET\"\npath = \"/openapi.json\"\nprice = { eth = 1 }\n";
    assert_eq!(of(Method::GET, OPENAPI_JSON, own), None);
    assert_eq!(of(Method::HEAD, OPENAPI_JSON, own), Some(Document::OpenApi));
    assert_eq!(of(Method::GET, CHEQUE_JSON, own), Some(Document::Cheque));
}

#[test]
fn bazaar_describes_what_the_gateway_knows() {
    let described = |method: Method, target: &str, body: &str| {
        let target = Target::parse(target).unwrap();
        match offers().quote(&method, &target, body.as_bytes()).unwrap().0 {
            Quote::Sold(tariff) => BTreeMap::from_iter(bazaar(&tariff)),
            Quote::Free => panic!("free"),
        }
    };
    let get = described(Method::GET, "/zebra?x=1", "");
    let input = &get["bazaar"]["info"]["input"];
    assert_eq!(*input, json!({ "type": "http", "method": "GET" }));
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"eth_call"}"#;
    let rpc = described(Method::POST, "/v1/rpc", call);
    let input = &rpc["bazaar"]["info"]["input"];
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [] });
    assert_eq!(
        *input,
        json!({ "type": "http", "method": "POST", "bodyType": "json", "body": body })
    );
    for described in [get, rpc] {
        let (info, schema) = (&described["bazaar"]["info"], &described["bazaar"]["schema"]);
        let own = &schema["properties"]["input"];
        for (key, value) in info["input"].as_object().unwrap() {
            let rule = &own["properties"][key];
            let is_one = rule["const"] == *value
                || rule["type"] == "object" && value.is_object()
                || rule["enum"]
                    .as_array()
                    .is_some_and(|all| all.contains(value));
            assert!(is_one, "{key}: {rule}");
        }
        for key in own["required"].as_array().unwrap() {
            assert!(!info["input"][key.as_str().unwrap()].is_null(), "{key}");
        }
    }
    assert!(described(Method::PUT, "/zebra", "x").is_empty());
}
