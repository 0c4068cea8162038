use super::*;
use crate::{
    ledger::{
        Currencies,
        tests::{NOW, Payer, Shop, payee},
    },
    wire::{
        BALANCE, CHARGED, Challenge, Credential, MppReceipt, PAYMENT_RECEIPT, PAYMENT_REQUIRED,
        PAYMENT_RESPONSE, PayeeTerms, PaymentPayload, PaymentRequired, Problem, SettleResponse,
    },
};
use cheque::{Address, store::Memory};
use http::{HeaderName, HeaderValue, header::WWW_AUTHENTICATE};
use serde_json::json;
use std::collections::BTreeMap;

const OFFERS: &str = r#"
[tokens.eth]
chain_id = 1
bank = "0xbabababababababababababababababababababa"
decimals = 18

[[route]]
path = "/free"
free = true

[[route]]
path = "/fixed"
price = { eth = 10 }
first_free = 1

[[route]]
path = "/metered"
price = { eth = 2 }
per_unit = { eth = 3 }
unit = "token"
max = { eth = 8 }
"#;

struct Stand {
    shop: Shop,
    seller: Seller,
    payer: Payer,
}

fn terms() -> PayeeTerms {
    PayeeTerms {
        version: "1".to_owned(),
        bank: Address::repeat_byte(0xba),
        beacon: "52db".to_owned(),
        least_payout: Amount::new(100),
        max_deposit: None,
        horizon: 604_800,
        cutoff: 30,
        finality: 1_800,
        window: 21_600,
        in_flight: 20,
        header: "Cheque".to_owned(),
        pay_url: None,
        unit: None,
        cheque_state: None,
    }
}

fn wire() -> Wire {
    Wire {
        payee: payee(),
        realm: "shop".to_owned(),
        key: [7; 32],
        credential_header: None,
        terms: BTreeMap::from([("eth".to_owned(), terms())]),
    }
}

fn stand() -> Stand {
    let shop = Shop::new();
    let offers = Offers::parse(OFFERS, 10).unwrap();
    let seller = Seller::new(offers, shop.ledger.clone(), wire()).unwrap();
    Stand {
        shop,
        seller,
        payer: Payer::native(1),
    }
}

fn headers(lines: &[(HeaderName, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

impl Stand {
    async fn enter(&self, target: &str, headers: &HeaderMap) -> Entry {
        let request = Request {
            method: &Method::GET,
            scheme: "https",
            authority: "api.example.com",
            target,
            headers,
            body: b"",
        };
        let offer = self.seller.quote(&request).unwrap();
        let room: RoomFor = Arc::new(|_| crate::ledger::Room::Free);
        self.seller.admit(&offer, headers, b"net", &room, NOW).await
    }

    /// The reply to a request of a client that has used its free request.
    async fn reply(&self, target: &str, lines: &[(HeaderName, &str)]) -> Reply {
        match self.enter(target, &headers(lines)).await {
            Entry::Reply(reply) => reply,
            other => panic!("no reply: {other:?}"),
        }
    }

    async fn sale(&self, target: &str, lines: &[(HeaderName, &str)]) -> Sale {
        match self.enter(target, &headers(lines)).await {
            Entry::Sale(sale) => *sale,
            other => panic!("no sale: {other:?}"),
        }
    }

    async fn settle(&self, sale: &Sale, end: End, usage: &Usage) -> HeaderMap {
        let receipt = self.seller.settle(sale, end, usage, None, NOW).await;
        let mut answer = HeaderMap::new();
        let status = StatusCode::OK;
        self.seller.receipt(
            &mut answer,
            &receipt.unwrap().unwrap(),
            sale.protocol(),
            status,
            NOW,
        );
        answer
    }
}

fn code(reply: &Reply) -> String {
    let problem: Problem = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(problem.status, reply.status.as_u16());
    problem.code
}

fn required(reply: &Reply) -> PaymentRequired {
    assert_eq!(reply.status, StatusCode::PAYMENT_REQUIRED);
    assert_eq!(reply.headers["cache-control"], "no-store");
    assert!(!reply.headers.contains_key(PAYMENT_RESPONSE));
    let value = reply.headers[PAYMENT_REQUIRED].to_str().unwrap();
    PaymentRequired::decode(value).unwrap()
}

fn challenge(reply: &Reply) -> Challenge {
    let value = reply.headers[WWW_AUTHENTICATE].to_str().unwrap();
    Challenge::parse(value).unwrap()
}

/// What an x402 client sends after a 402.
fn x402(reply: &Reply, proofs: &[Proof]) -> String {
    let proofs: Vec<_> = proofs.iter().map(Proof::to_string).collect();
    let payload = PaymentPayload {
        x402_version: 2,
        accepted: required(reply).accepts.remove(0),
        payload: json!({ "proofs": proofs }),
        extensions: serde_json::Map::new(),
    };
    payload.encode()
}

const CHEQUE: HeaderName = crate::wire::CHEQUE;
const MAX: HeaderName = crate::wire::MAX;
const SIGNATURE: HeaderName = crate::wire::PAYMENT_SIGNATURE;

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
    let reload = |text: &str| stand.seller.reload(Offers::parse(text, 10).unwrap());
    let price = async || {
        required(&stand.reply("/metered", &[]).await).accepts[0]
            .amount
            .clone()
    };
    assert_eq!(reload(&OFFERS.replace("eth = 2", "eth = 7")), Ok(()));
    assert_eq!(price().await, "15");
    let renamed = OFFERS.replace("eth", "ether");
    assert_eq!(
        reload(&renamed),
        Err(SellerError::NoTerms("ether".to_owned()))
    );
    assert_eq!(price().await, "15");
    let mut equal = Currencies::distinct();
    let other = crate::ledger::Currency {
        chain_id: 9,
        token: Address::ZERO,
    };
    equal.merge(other, stand.payer.currency());
    let shop = Shop::with(Arc::new(Memory::new()), equal);
    let offers = Offers::parse(OFFERS, 10).unwrap();
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
