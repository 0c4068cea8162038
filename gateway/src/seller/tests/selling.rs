//! A request's way from the offer to the receipt.

use super::*;
use http::header::{AUTHORIZATION, COOKIE};

#[tokio::test]
async fn first_request_is_free_and_the_next_one_is_sold() {
    let stand = stand();
    assert!(matches!(
        stand.enter("/free", &headers(&[])).await,
        Entry::Free
    ));
    assert!(matches!(
        stand.enter("/fixed", &headers(&[])).await,
        Entry::Free
    ));
    let reply = stand.reply("/fixed", &[]).await;
    assert_eq!(code(&reply), "payment_required");
    let offers = required(&reply);
    assert_eq!(offers.resource.url, "https://api.example.com/fixed");
    assert_eq!(
        (offers.accepts.len(), offers.accepts[0].amount.as_str()),
        (1, "10")
    );
    let echo = challenge(&reply).echo;
    assert_eq!(
        (echo.method.as_str(), echo.intent.as_str()),
        ("cheque", "charge")
    );
    assert_eq!(echo.expires.as_deref(), Some("2027-01-15T09:00:00Z"));
    assert_eq!(
        challenge(&stand.reply("/metered", &[]).await).echo.intent,
        "session"
    );
}

#[tokio::test]
async fn x402_client_pays_and_gets_a_receipt() {
    let stand = stand();
    let offer = stand.reply("/metered", &[]).await;
    let paid = x402(&offer, &[stand.payer.opening(25)]);
    let sale = stand.sale("/metered", &[(SIGNATURE, &paid)]).await;
    assert_eq!((sale.reserved().get(), sale.is_variable()), (10, true));
    let usage = Usage {
        units: Some(1),
        ..Usage::default()
    };
    let answer = stand
        .settle(&sale, End::Answered(StatusCode::OK), &usage)
        .await;
    let receipt = SettleResponse::decode(answer[PAYMENT_RESPONSE].to_str().unwrap()).unwrap();
    assert_eq!(
        (receipt.amount.as_str(), &receipt.extra["balance"]),
        ("5", &json!("20"))
    );
    assert_eq!(
        receipt.extra["payment"],
        json!(format!("{}:25", stand.payer.id().0))
    );
    assert_eq!(
        (&answer[BALANCE], &answer[CHARGED]),
        (&HeaderValue::from(20), &HeaderValue::from(5))
    );
}

#[tokio::test]
async fn mpp_client_pays_and_gets_a_receipt() {
    let stand = stand();
    let offer = stand.reply("/metered", &[]).await;
    let credential = Credential {
        challenge: challenge(&offer).echo,
        source: None,
        payload: json!({ "proofs": [stand.payer.opening(25).to_string()] }),
    };
    let sale = stand
        .sale("/metered", &[(AUTHORIZATION, &credential.encode())])
        .await;
    let answer = stand
        .settle(&sale, End::Answered(StatusCode::OK), &Usage::default())
        .await;
    let receipt = MppReceipt::decode(answer[PAYMENT_RECEIPT].to_str().unwrap()).unwrap();
    assert_eq!(
        (receipt.charged.as_str(), receipt.spent.as_str()),
        ("10", "10")
    );
    assert_eq!(receipt.challenge_id, credential.challenge.id);
    assert!(!answer.contains_key(PAYMENT_RESPONSE));
}

#[tokio::test]
async fn released_sale_is_sold_again_by_the_same_header() {
    let stand = stand();
    let cheque = stand.payer.opening(10).to_string();
    let lines = [(CHEQUE, cheque.as_str()), (MAX, "10")];
    let sale = stand.sale("/fixed", &lines).await;
    let answer = stand.settle(&sale, End::Failed, &Usage::default()).await;
    assert_eq!(
        (&answer[BALANCE], &answer[CHARGED]),
        (&HeaderValue::from(10), &HeaderValue::from(0))
    );
    let sale = stand.sale("/fixed", &lines).await;
    let in_progress = stand.reply("/fixed", &lines).await;
    assert_eq!(
        (in_progress.status, code(&in_progress).as_str()),
        (StatusCode::CONFLICT, "in_progress")
    );
    assert_eq!(in_progress.headers["retry-after"], "5");
    assert!(!in_progress.headers.contains_key(PAYMENT_REQUIRED));
    stand
        .settle(&sale, End::Answered(StatusCode::OK), &Usage::default())
        .await;
    let used = stand.reply("/fixed", &lines).await;
    assert_eq!(
        required(&used).error.as_deref(),
        Some("invalid_cheque_evm_used")
    );
}

#[tokio::test]
async fn corrective_offer_shows_the_newest_cheque() {
    let stand = stand();
    let newest = stand.payer.opening(30);
    let lines = [(CHEQUE, &*newest.to_string()), (MAX, "10")];
    let sale = stand.sale("/fixed", &lines).await;
    stand
        .settle(&sale, End::Answered(StatusCode::OK), &Usage::default())
        .await;
    for total in [1, 2] {
        let cheque = stand.payer.cheque(total).to_string();
        let sale = stand
            .sale("/fixed", &[(CHEQUE, &cheque), (MAX, "10")])
            .await;
        stand
            .settle(&sale, End::Answered(StatusCode::OK), &Usage::default())
            .await;
    }
    let offer = stand.reply("/metered", &[]).await;
    let reply = stand
        .reply(
            "/metered",
            &[(SIGNATURE, &x402(&offer, &[stand.payer.cheque(3)]))],
        )
        .await;
    let corrective = required(&reply);
    assert_eq!(
        corrective.error.as_deref(),
        Some("invalid_cheque_evm_stale")
    );
    let state = json!({ "proofs": [stand.payer.cheque(30).to_string()], "balance": "0" });
    assert_eq!(corrective.accepts[0].extra["chequeState"], state);
    let request = crate::wire::MppRequest::decode(&challenge(&reply).echo.request).unwrap();
    assert_eq!(request.method_details["chequeState"], state);
    // The client resumes, and its one retry is built from the first offer.
    stand
        .sale(
            "/metered",
            &[(SIGNATURE, &x402(&offer, &[stand.payer.cheque(40)]))],
        )
        .await;
}

#[tokio::test]
async fn payment_is_bound_to_all_that_decides_the_answer() {
    let stand = stand();
    let cheque = stand.payer.opening(10).to_string();
    let cookie = |value| [(CHEQUE, cheque.as_str()), (MAX, "10"), (COOKIE, value)];
    let sale = stand.sale("/fixed?a", &cookie("me")).await;
    stand.settle(&sale, End::Failed, &Usage::default()).await;
    for (target, value) in [("/fixed?a", "you"), ("/fixed?b", "me"), ("/fixed", "me")] {
        assert_eq!(code(&stand.reply(target, &cookie(value)).await), "used");
    }
    let mut keyed = cookie("me").to_vec();
    keyed.push((AUTHORIZATION, "Bearer key"));
    assert_eq!(code(&stand.reply("/fixed?a", &keyed).await), "used");
    stand.sale("/fixed?a", &cookie("me")).await;
}

#[tokio::test]
async fn unreadable_payment_gets_the_protocols_status() {
    let stand = stand();
    let reply = stand.reply("/fixed", &[(SIGNATURE, "????")]).await;
    assert_eq!(
        (reply.status, code(&reply).as_str()),
        (StatusCode::BAD_REQUEST, "malformed_payment")
    );
    let reply = stand
        .reply("/fixed", &[(AUTHORIZATION, "Payment ????")])
        .await;
    assert_eq!(code(&reply), "malformed_payment");
    assert_eq!(required(&reply).accepts.len(), 1);
    let reply = stand.reply("/fixed", &[(CHEQUE, "????")]).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn view_that_cannot_judge_offers_no_second_payment() {
    let stand = stand();
    // The payee's clock has stopped: its view of the chain is too old for the request's time.
    stand.shop.set_stale();
    let cheque = stand.payer.opening(10).to_string();
    let reply = stand.reply("/fixed", &[(CHEQUE, &cheque)]).await;
    assert_eq!(
        (reply.status, code(&reply).as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
    );
    assert!(reply.headers.contains_key("retry-after"));
    assert!(!reply.headers.contains_key(PAYMENT_REQUIRED));
    assert!(!reply.headers.contains_key(WWW_AUTHENTICATE));
}
