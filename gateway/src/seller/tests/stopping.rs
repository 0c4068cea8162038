//! Tokens without a rate are not sold, and all others are.

use super::*;
use crate::offers::tests::home;
use cheque::{
    Bank,
    bank::{RateFault, TokenRates},
};

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
    let offers = Offers::parse(TWO, &home()).unwrap();
    stand.seller = Seller::new(offers, stand.shop.ledger.clone(), wire()).unwrap();
    stand.payer = Payer::new(1, 1, Address::repeat_byte(0x70), 1);
    stand
}

/// The host has terms for all tokens, or for all but usdc.
fn set_rated(stand: &Stand, is_rated: bool) {
    let names = ["eth", "usdc"]
        .into_iter()
        .take(if is_rated { 2 } else { 1 });
    let terms = names.map(|name| (name.to_owned(), terms()));
    stand.seller.terms().set(terms.collect());
}

#[tokio::test]
async fn token_without_a_rate_stops_alone() {
    let stand = two();
    set_rated(&stand, false);
    let reply = stand.reply("/both", &[]).await;
    let accepts = required(&reply).accepts;
    assert_eq!(accepts.len(), 1);
    assert_eq!(accepts[0].asset, Address::ZERO.to_checksum(None));
    let reply = stand.reply("/usdc", &[]).await;
    assert_eq!(code(&reply), "no_terms");

    // A payment of before is not lost, and not refused for ever.
    let proof = stand.payer.opening(10).to_string();
    for target in ["/both", "/usdc"] {
        let reply = stand.reply(target, &[(CHEQUE, &proof)]).await;
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{target}");
        assert_eq!(reply.headers["retry-after"], HeaderValue::from(30));
        assert!(!reply.headers.contains_key(PAYMENT_REQUIRED));
    }
    assert_eq!(stand.shop.sums(&stand.payer).await.credited, Amount::ZERO);
    set_rated(&stand, true);
    let sale = stand.sale("/usdc", &[(CHEQUE, &proof)]).await;
    assert_eq!(sale.reserved(), Amount::new(3));
}

#[tokio::test]
async fn sale_of_a_token_that_stops_is_settled() {
    let stand = two();
    set_rated(&stand, true);
    let proof = stand.payer.opening(10).to_string();
    let sale = stand.sale("/usdc", &[(CHEQUE, &proof)]).await;
    set_rated(&stand, false);
    let end = End::Answered(StatusCode::OK);
    let answer = stand.settle(&sale, end, &Usage::default()).await;
    assert_eq!(answer[CHARGED], HeaderValue::from(3));
    // A client that lost its answer is told, although the token has stopped.
    let reply = stand.reply("/usdc", &[(CHEQUE, &proof)]).await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[test]
fn payee_follows_the_rates_of_its_bank() {
    let offers = Offers::parse(TWO, &home()).unwrap();
    let token = Address::repeat_byte(0x70);
    let rates = TokenRates::new();
    let other = Bank::new(2, Address::repeat_byte(0xba));
    offers.follow_rates(&other, &rates).unwrap();
    assert_eq!(rates.of(token), Err(RateFault::Unset));
    offers.follow_rates(&home().bank, &rates).unwrap();
    assert!(matches!(rates.of(token), Err(RateFault::Unread(_))));
}
