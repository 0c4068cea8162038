//! Headers that pass the gateway.

use super::*;

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
        "x_payer",
        "x_payment_id",
        "x_http_method_override",
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
