use super::*;
use crate::ledger::{Currency, MaxPrice};
use cheque::{Address, Amount};
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const USDC: &str = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913";

/// The plain cheque of SPEC.md section 15.
const PROOF: &str = "AvhnoBjS4-nQW9c4X52o7v9zAQAQytcURZnPvYRyDmeeiLvfZICAuEHCdJCA-Mae7UZk8TJ6-nAXjEMSk5FPv2ZiuOxiDPl6\
                     Vg8TV84ANTDDf4IXOx6j8-Gzr4q7Ix6lmxwwXg3LIb8SGw";

/// A payment of x402 over 1000 units of USDC, as Python's json and base64 write it.
const PAYLOAD: &str = "eyJ4NDAyVmVyc2lvbiI6MiwiYWNjZXB0ZWQiOnsic2NoZW1lIjoiY2hlcXVlIiwibmV0d29yayI6ImVpcDE1NTo4NDUzIiwi\
YW1vdW50IjoiMTAwMCIsImFzc2V0IjoiMHg4MzM1ODlmQ0Q2ZURiNkUwOGY0YzdDMzJENGY3MWI1NGJkQTAyOTEzIiwicGF5VG8iOiIweDgzMzU4OWZDRDZ\
lRGI2RTA4ZjRjN0MzMkQ0ZjcxYjU0YmRBMDI5MTMiLCJtYXhUaW1lb3V0U2Vjb25kcyI6MzAwLCJleHRyYSI6eyJ4IjoieSJ9fSwicGF5bG9hZCI6eyJwcm9\
vZnMiOlsiQXZobm9CalM0LW5RVzljNFg1Mm83djl6QVFBUXl0Y1VSWm5QdllSeURtZWVpTHZmWklDQXVFSENkSkNBLU1hZTdVWms4VEo2LW5BWGpFTVNrNUZ\
QdjJaaXVPeGlEUGw2Vmc4VFY4NEFOVEREZjRJWE94Nmo4LUd6cjRxN0l4NmxteHd3WGczTEliOFNHdyJdfX0=";

/// The offer of [`offer`] in MPP, and the id of its challenge, as Python's json, base64 and hmac compute them.
const REQUEST: &str = "eyJhbW91bnQiOiIxMDAwIiwiY3VycmVuY3kiOiIweDgzMzU4OWZDRDZlRGI2RTA4ZjRjN0MzMkQ0ZjcxYjU0YmRBMDI5MTM\
iLCJtZXRob2REZXRhaWxzIjp7ImJhbmsiOiIweGJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmEiLCJiZWFjb24iOiI1MmRiIiwiY2hh\
aW5JZCI6ODQ1MywiY3V0b2ZmIjozMCwiZmluYWxpdHkiOjE4MDAsImhlYWRlciI6IkNoZXF1ZSIsImhvcml6b24iOjYwNDgwMCwiaW5GbGlnaHQiOjEwMjQsI\
mxlYXN0UGF5b3V0IjoiNTAwMDAiLCJtYXhEZXBvc2l0IjoiNTAwMDAwMDAwIiwidmVyc2lvbiI6IjEiLCJ3aW5kb3ciOjIxNjAwfSwicmVjaXBpZW50IjoiMH\
g4MzM1ODlmQ0Q2ZURiNkUwOGY0YzdDMzJENGY3MWI1NGJkQTAyOTEzIn0";
const ID: &str = "PV1jIfiwgT1oeaSybQXCZffl-NvwWQvjK-v7D-3HWZ8";
const KEY: [u8; 32] = [7; 32];

/// 2027-01-15T08:00:00Z.
const NOW: u64 = 1_800_000_000;

fn payee() -> Address {
    USDC.parse().unwrap()
}

fn currency() -> Currency {
    Currency {
        chain_id: 8453,
        token: payee(),
    }
}

fn terms() -> PayeeTerms {
    PayeeTerms {
        version: "1".to_owned(),
        bank: Address::repeat_byte(0xba),
        beacon: "52db".to_owned(),
        least_payout: Amount::new(50_000),
        max_deposit: Some(Amount::new(500_000_000)),
        horizon: 604_800,
        cutoff: 30,
        finality: 1_800,
        window: 21_600,
        in_flight: 1_024,
        header: "Cheque".to_owned(),
        pay_url: None,
        unit: None,
        cheque_state: None,
    }
}

fn offer() -> WireOffer {
    WireOffer {
        currency: currency(),
        amount: Amount::new(1_000),
        pay_to: payee(),
        terms: terms(),
    }
}

fn challenge() -> ChallengeEcho {
    ChallengeEcho {
        id: ID.to_owned(),
        realm: "api.example.com".to_owned(),
        method: "cheque".to_owned(),
        intent: "charge".to_owned(),
        request: REQUEST.to_owned(),
        expires: Some("2027-01-15T09:00:00Z".to_owned()),
        digest: None,
        opaque: None,
    }
}

fn credential(challenge: ChallengeEcho) -> String {
    let payload = json!({ "proofs": [PROOF] });
    Credential {
        challenge,
        source: None,
        payload,
    }
    .encode()
}

fn shown(lines: &[(&'static str, &str)], now: u64) -> Result<Option<Paying>, ShownError> {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    shown::payment(&headers, payee(), &KEY, now)
}

#[test]
fn reads_one_payment_in_each_protocol() {
    let max = Some(MaxPrice {
        currency: Some(currency()),
        amount: Amount::new(1_000),
    });
    let x402 = shown(&[("payment-signature", PAYLOAD)], NOW)
        .unwrap()
        .unwrap();
    assert_eq!(x402.payment.proofs, [PROOF.parse().unwrap()]);
    assert_eq!((x402.payment.max, x402.protocol), (max, Protocol::X402));
    // A decoder of x402 also takes it without padding.
    assert!(shown(&[("payment-signature", PAYLOAD.trim_end_matches('='))], NOW).is_ok());

    for header in ["authorization", "payment-authorization"] {
        // An API key of another scheme is not ours to read.
        let lines = [
            ("authorization", "Bearer key"),
            (header, &credential(challenge())),
        ];
        let mpp = shown(&lines, NOW).unwrap().unwrap();
        assert_eq!(mpp.payment.max, max);
        assert_eq!(mpp.protocol, Protocol::Mpp(Box::new(challenge())));
    }

    let two = format!("{PROOF}, {PROOF}");
    let native = shown(
        &[("cheque", &two), ("cheque", PROOF), ("cheque-max", "77")],
        NOW,
    );
    let native = native.unwrap().unwrap();
    assert_eq!(native.payment.proofs.len(), 3);
    let max = native.payment.max.unwrap();
    assert_eq!((max.currency, max.amount), (None, Amount::new(77)));
    assert_eq!(
        shown(&[("cheque", PROOF)], NOW)
            .unwrap()
            .unwrap()
            .payment
            .max,
        None
    );
    assert_eq!(shown(&[("authorization", "Bearer key")], NOW), Ok(None));
}

#[test]
fn refuses_several_payments() {
    let mpp = credential(challenge());
    for lines in [
        [
            ("payment-signature", PAYLOAD),
            ("payment-signature", PAYLOAD),
        ],
        [("payment-signature", PAYLOAD), ("cheque", PROOF)],
        [("authorization", &mpp), ("authorization", &mpp)],
        [("authorization", &mpp), ("payment-authorization", &mpp)],
    ] {
        assert_eq!(shown(&lines, NOW), Err(ShownError::Several));
    }
    let maxima = [("cheque", PROOF), ("cheque-max", "1"), ("cheque-max", "2")];
    assert_eq!(shown(&maxima, NOW), Err(ShownError::Several));
}

#[test]
fn refuses_malformed_payments() {
    let payload = PaymentPayload::decode(PAYLOAD).unwrap();
    let with = |change: &dyn Fn(&mut PaymentPayload)| {
        let mut changed = payload.clone();
        change(&mut changed);
        shown(&[("payment-signature", &changed.encode())], NOW)
    };
    let field = |name| Err(ShownError::X402(FormError::Field(name)));
    assert_eq!(with(&|p| p.x402_version = 1), field("x402Version"));
    assert_eq!(
        with(&|p| p.accepted.scheme = "exact".into()),
        Err(ShownError::Foreign)
    );
    assert_eq!(
        with(&|p| p.accepted.network = "eip155:08453".into()),
        field("network")
    );
    assert_eq!(
        with(&|p| p.accepted.network = "solana:1".into()),
        field("network")
    );
    assert_eq!(
        with(&|p| p.accepted.asset = USDC[2..].into()),
        field("accepted.asset")
    );
    let other = Address::ZERO.to_string();
    assert_eq!(
        with(&|p| p.accepted.pay_to.clone_from(&other)),
        field("accepted.payTo")
    );
    for amount in [
        "",
        "-1",
        "+1",
        "01",
        "1.0",
        "0x1",
        &format!("{}0", u128::MAX),
    ] {
        let amount = amount.to_owned();
        assert_eq!(
            with(&|p| p.accepted.amount.clone_from(&amount)),
            field("accepted.amount")
        );
    }
    assert_eq!(
        with(&|p| p.payload = json!({ "proof": PROOF })),
        field("payload.proofs")
    );
    let bad_proof = with(&|p| p.payload = json!({ "proofs": ["AA"] }));
    assert!(matches!(
        bad_proof,
        Err(ShownError::X402(FormError::Proof(_)))
    ));
    // base64url is not the alphabet of x402.
    let base64 = shown(&[("payment-signature", "eyJ-_w==")], NOW);
    assert!(matches!(
        base64,
        Err(ShownError::X402(FormError::Base64(_)))
    ));
    let long = "A".repeat(50_000);
    assert_eq!(
        shown(&[("payment-signature", &long)], NOW),
        Err(ShownError::X402(FormError::Value))
    );
    let native = shown(&[("cheque", PROOF), ("cheque-max", "1e3")], NOW);
    assert_eq!(
        native,
        Err(ShownError::Native(FormError::Field("Cheque-Max")))
    );
}

#[test]
fn takes_own_living_challenges_only() {
    let show = |challenge, now| shown(&[("authorization", &credential(challenge))], now);
    assert!(show(challenge(), NOW + 3_599).is_ok());
    assert_eq!(show(challenge(), NOW + 3_600), Err(ShownError::Expired));
    let mut dearer = challenge();
    dearer.expires = Some("2028-01-15T09:00:00Z".to_owned());
    assert_eq!(show(dearer.clone(), NOW), Err(ShownError::InvalidChallenge));
    // Without an end, a challenge of our own would live for ever; we make none.
    dearer.expires = None;
    dearer.id = dearer.compute_id(&KEY);
    assert_eq!(show(dearer, NOW), Err(ShownError::Expired));
    let mut foreign = challenge();
    foreign.method = "tempo".to_owned();
    assert_eq!(show(foreign, NOW), Err(ShownError::Foreign));
}

#[test]
fn offers_have_the_bytes_of_the_standards() {
    assert_eq!(offer().mpp_request(Intent::Charge).encode(), REQUEST);
    assert_eq!(challenge().compute_id(&KEY), ID);
    let header = Some("Payment-Authorization".to_owned());
    let value = Challenge {
        echo: challenge(),
        header,
    }
    .to_string();
    let expected = format!(
        "Payment id=\"{ID}\", realm=\"api.example.com\", method=\"cheque\", intent=\"charge\", \
         request=\"{REQUEST}\", expires=\"2027-01-15T09:00:00Z\", header=\"Payment-Authorization\""
    );
    assert_eq!(value, expected);
    let requirements = serde_json::to_value(offer().requirements()).unwrap();
    let expected = json!({
        "scheme": "cheque", "network": "eip155:8453", "amount": "1000", "asset": USDC, "payTo": USDC,
        "maxTimeoutSeconds": 300,
        "extra": {
            "version": "1", "bank": "0xbabababababababababababababababababababa", "beacon": "52db",
            "leastPayout": "50000", "maxDeposit": "500000000", "horizon": 604800, "cutoff": 30,
            "finality": 1800, "window": 21600, "inFlight": 1024, "header": "Cheque",
        },
    });
    assert_eq!(requirements, expected);
}

#[test]
fn strips_what_only_the_gateway_may_say() {
    let mut headers = HeaderMap::new();
    for name in [
        "x-payer",
        "x-payment-id",
        "x-charged",
        "payment-signature",
        "payment-authorization",
        "cheque",
        "cheque-max",
        "cheque-balance",
        "x-http-method-override",
        "x-original-url",
        "payment-anything",
    ] {
        headers.insert(name, HeaderValue::from_static("forged"));
    }
    for value in ["Payment abc", "payment", "Bearer key", "Paymentx abc"] {
        headers.append("authorization", HeaderValue::from_static(value));
    }
    headers.insert("accept", HeaderValue::from_static("kept"));
    strip_request(&mut headers);
    let kept: Vec<_> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    let expected: [(&str, &[u8]); 3] = [
        ("accept", b"kept"),
        ("authorization", b"Bearer key"),
        ("authorization", b"Paymentx abc"),
    ];
    let mut sorted = kept.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
}

#[test]
fn reads_what_the_upstream_reports() {
    let report = |lines: &[(&'static str, &'static str)]| {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let reported = strip_answer(&mut headers, Amount::new(999));
        (reported, headers)
    };
    let charged = |text| {
        let (reported, headers) = report(&[("settlement-overrides", text)]);
        assert!(headers.is_empty());
        (reported.charge.map(Amount::get), reported.is_unreadable)
    };
    assert_eq!(charged(r#"{"amount":"700"}"#), (Some(700), false));
    // A share is rounded up.
    assert_eq!(charged(r#"{"amount":"50%"}"#), (Some(500), false));
    assert_eq!(charged(r#"{"amount":"0%"}"#), (Some(0), false));
    for text in [
        r#"{"amount":"$0.05"}"#,
        r#"{"amount":"101%"}"#,
        r#"{"amount":5}"#,
        "",
        "-1",
    ] {
        assert_eq!(charged(text), (None, true), "{text}");
    }
    let (reported, headers) = report(&[
        ("cheque-charge", "7"),
        ("cheque-units", "12"),
        ("settlement-overrides", r#"{"amount":"9"}"#),
        ("www-authenticate", "Payment id=\"forged\""),
        ("www-authenticate", "Basic realm=\"x\""),
        ("payment-receipt", "forged"),
        ("payment-required", "forged"),
        ("content-type", "text/plain"),
    ]);
    assert_eq!(
        (reported.charge, reported.units),
        (Some(Amount::new(7)), Some(12))
    );
    assert_eq!(headers.len(), 2);
    assert_eq!(headers["www-authenticate"], "Basic realm=\"x\"");
    assert!(report(&[("cheque-units", "many")]).0.is_unreadable);
}

#[test]
fn parses_challenges_of_others() {
    let value = r#"payment realm="a \"b\" \\", id="x",method="evm" , intent="charge", request="e30", unknown="y""#;
    let parsed = Challenge::parse(&value.replace("\"evm\" ,", "\"evm\",")).unwrap();
    assert_eq!(
        (parsed.echo.realm.as_str(), parsed.echo.method.as_str()),
        (r#"a "b" \"#, "evm")
    );
    for bad in [
        "Bearer x",
        "Payment id=x",
        "Payment id=\"x\"",
        "Payment id=\"x",
        "Payment id=\"x\" realm=\"y\"",
        "Payment id=\"x\", id=\"x\", realm=\"\", method=\"\", intent=\"\", request=\"\"",
    ] {
        assert!(
            matches!(Challenge::parse(bad), Err(FormError::Challenge(_))),
            "{bad}"
        );
    }
}

proptest! {
    #[test]
    fn challenges_survive_their_encoding(
        realm in "[ -~]{0,20}", request in "[a-zA-Z0-9_-]{0,40}", opaque in prop::option::of("[ -~]{0,9}"),
        header in prop::option::of("[A-Z-]{1,9}"),
    ) {
        let mut echo = ChallengeEcho { realm, request, opaque, expires: None, ..challenge() };
        echo.id = echo.compute_id(&KEY);
        let made = Challenge { echo, header };
        prop_assert_eq!(Challenge::parse(&made.to_string()), Ok(made.clone()));
        prop_assert!(made.echo.is_own(&KEY));
        prop_assert!(!made.echo.is_own(&[8; 32]));
        let credential = Credential {
            challenge: made.echo,
            source: Some("did:pkh:eip155:1:0x00".to_owned()),
            payload: json!({ "proofs": [] }),
        };
        prop_assert_eq!(Credential::decode(&credential.encode()), Ok(credential));
    }

    #[test]
    fn offers_survive_their_encoding(amount in any::<u128>(), url in "[ -~\u{e4}\u{1f600}]{0,20}", error in prop::option::of("[a-z_]{1,9}")) {
        let requirements = WireOffer { amount: Amount::new(amount), ..offer() }.requirements();
        let required = PaymentRequired {
            x402_version: 2,
            error,
            resource: Resource { url, description: None },
            accepts: vec![requirements],
            extensions: Map::new(),
        };
        let encoded = required.encode();
        let standard = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
        prop_assert!(encoded.chars().all(standard) && encoded.len() % 4 == 0);
        prop_assert_eq!(PaymentRequired::decode(&encoded), Ok(required));
        let request = WireOffer { amount: Amount::new(amount), ..offer() }.mpp_request(Intent::Session);
        prop_assert_eq!(MppRequest::decode(&request.encode()), Ok(request));
    }

    #[test]
    fn receipts_survive_their_encoding(amount in any::<u128>(), payer in "[ -~]{0,9}") {
        let amount = amount.to_string();
        let settled = SettleResponse {
            success: true,
            transaction: String::new(),
            network: "eip155:1".to_owned(),
            payer,
            amount: amount.clone(),
            extra: Map::from_iter([("balance".to_owned(), Value::String(amount))]),
        };
        prop_assert_eq!(SettleResponse::decode(&settled.encode()), Ok(settled));
    }

    /// No header makes a decoder panic.
    #[test]
    fn any_text_is_read_or_refused(text in "[ -~]{0,60}") {
        for name in ["payment-signature", "authorization", "payment-authorization", "cheque"] {
            let _ = shown(&[(name, &text)], NOW);
            let _ = shown(&[(name, &format!("Payment {text}"))], NOW);
        }
        let _ = Challenge::parse(&text);
    }
}
