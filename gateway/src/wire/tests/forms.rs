//! Encodings, against bytes from elsewhere and back.

use super::*;

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
        prop_assert!(encoded.chars().all(standard) && encoded.len().is_multiple_of(4));
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
