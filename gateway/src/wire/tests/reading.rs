//! Payments of requests.

use super::*;

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
