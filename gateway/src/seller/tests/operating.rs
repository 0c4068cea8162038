//! Top-ups, reloads, and requests that are not sold.

use super::*;

#[tokio::test]
async fn top_up_adds_money_once() {
    let stand = stand();
    let body = format!(
        "{}\n\n{}\n",
        stand.payer.opening(10),
        stand.payer.cheque(15)
    );
    for _ in 0..2 {
        let reply = stand.seller.top_up(&body, NOW).await;
        assert_eq!(
            (reply.status, &reply.headers[BALANCE]),
            (StatusCode::NO_CONTENT, &HeaderValue::from(15))
        );
    }
    let reply = stand.seller.top_up("x", NOW).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    let unknown = Payer::native(2).cheque(1).to_string();
    let reply = stand.seller.top_up(&unknown, NOW).await;
    assert_eq!(
        (reply.status, code(&reply).as_str()),
        (StatusCode::PAYMENT_REQUIRED, "unknown_deposit")
    );
}

#[tokio::test]
async fn reload_replaces_offers_or_nothing() {
    let stand = stand();
    let reload = |text: &str| stand.seller.reload(Offers::parse(text, &home()).unwrap());
    let price = async || {
        required(&stand.reply("/metered", &[]).await).accepts[0]
            .amount
            .clone()
    };
    assert_eq!(reload(&OFFERS.replace("eth = 2", "eth = 7")), Ok(()));
    assert_eq!(price().await, "15");
    // The renamed token has no terms, so nothing buys the request.
    assert_eq!(reload(&OFFERS.replace("eth", "ether")), Ok(()));
    let closed = stand.reply("/metered", &[]).await;
    assert_eq!(
        (closed.status, code(&closed).as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "no_terms")
    );
    let named = BTreeMap::from([("ether".to_owned(), terms())]);
    stand.seller.terms().set(named);
    assert_eq!(price().await, "10");
    let mut equal = Currencies::distinct();
    let other = crate::ledger::Currency {
        chain_id: 9,
        token: Address::ZERO,
    };
    equal.merge(other, stand.payer.currency());
    let shop = Shop::with(Arc::new(Memory::new()), equal);
    let offers = Offers::parse(OFFERS, &home()).unwrap();
    let refused = Seller::new(offers, shop.ledger.clone(), wire());
    assert_eq!(refused.unwrap_err(), SellerError::Currencies);
}

#[tokio::test]
async fn unsold_requests_have_a_status() {
    let stand = stand();
    let status = |target| {
        let request = Request {
            method: &Method::GET,
            scheme: "https",
            authority: "api.example.com",
            target,
            headers: &HeaderMap::new(),
            body: b"",
        };
        stand.seller.quote(&request).unwrap_err().status().as_u16()
    };
    assert_eq!((status("/none"), status("/a/../fixed")), (404, 400));
}
