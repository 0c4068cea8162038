//! Tokens without a rate are not sold, and all others are.

use super::*;
use cheque::{Bank, bank::TokenRates};

const TWO: &str = r#"
[tokens.eth]
chain_id = 1
bank = "0xbabababababababababababababababababababa"
decimals = 18

[tokens.usdc]
chain_id = 1
bank = "0xbabababababababababababababababababababa"
address = "0x7070707070707070707070707070707070707070"
decimals = 6
tokens_per_coin = "file:/nowhere/rate"

[[route]]
path = "/both"
price = { eth = 10, usdc = 3 }

[[route]]
path = "/usdc"
price = { usdc = 3 }
"#;

fn two() -> Stand {
    let mut stand = stand();
    let mut wire = wire();
    wire.terms.insert("usdc".to_owned(), terms());
    let offers = Offers::parse(TWO, 10).unwrap();
    stand.seller = Seller::new(offers, stand.shop.ledger.clone(), wire).unwrap();
    stand.payer = Payer::new(1, 1, Address::repeat_byte(0x70), 1);
    stand
}

fn rates(stand: &Stand) -> TokenRates {
    let bank = Bank::new(1, Address::repeat_byte(0xba));
    stand.seller.offers().rates(&bank).unwrap()
}

#[tokio::test]
async fn token_without_a_rate_stops_alone() {
    let stand = two();
    let rates = rates(&stand);
    let stopped = stand.seller.offers().stopped(|_| Some(rates.clone()));
    assert_eq!(stopped.keys().collect::<Vec<_>>(), ["usdc"]);
    stand.seller.set_stopped(stopped);

    let reply = stand.reply("/both", &[]).await;
    let accepts = required(&reply).accepts;
    assert_eq!(accepts.len(), 1);
    assert_eq!(accepts[0].asset, Address::ZERO.to_checksum(None));
    let reply = stand.reply("/usdc", &[]).await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        (code(&reply).as_str(), &reply.headers["retry-after"]),
        ("token_stopped", &HeaderValue::from(60))
    );

    // A payment of before is not lost, and not refused for ever.
    let proof = stand.payer.opening(10).to_string();
    for target in ["/both", "/usdc"] {
        let reply = stand.reply(target, &[(CHEQUE, &proof)]).await;
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{target}");
        assert!(!reply.headers.contains_key(PAYMENT_REQUIRED));
    }
    assert_eq!(stand.shop.sums(&stand.payer).await.credited, Amount::ZERO);
    stand.seller.set_stopped(BTreeMap::new());
    let sale = stand.sale("/usdc", &[(CHEQUE, &proof)]).await;
    assert_eq!(sale.reserved(), Amount::new(3));
}

#[tokio::test]
async fn sale_of_a_token_that_stops_is_settled() {
    let stand = two();
    let proof = stand.payer.opening(10).to_string();
    let sale = stand.sale("/usdc", &[(CHEQUE, &proof)]).await;
    let all = BTreeMap::from([("usdc".to_owned(), "old".to_owned())]);
    stand.seller.set_stopped(all);
    let end = End::Answered(StatusCode::OK);
    let answer = stand.settle(&sale, end, &Usage::default()).await;
    assert_eq!(answer[CHARGED], HeaderValue::from(3));
}

#[test]
fn bank_without_a_payee_sells_nothing() {
    let offers = Offers::parse(TWO, 10).unwrap();
    assert_eq!(offers.stopped(|_| None).len(), 2);
    let bare = TWO.replace("tokens_per_coin", "# tokens_per_coin");
    let offers = Offers::parse(&bare, 10).unwrap();
    let bank = Bank::new(1, Address::repeat_byte(0xba));
    let fault = offers.rates(&bank).unwrap_err();
    assert_eq!(fault, crate::offers::OffersFault::NoRate("usdc".to_owned()));
    // The tokens of another bank are another payee's.
    assert!(offers.rates(&Bank::new(2, bank.address())).is_ok());
}
