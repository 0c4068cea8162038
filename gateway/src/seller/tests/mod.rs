mod operating;
mod selling;
mod stopping;

use super::*;
use crate::{
    ledger::{
        Currencies,
        tests::{NOW, Payer, Shop, payee},
    },
    offers::tests::home,
    wire::{
        BALANCE, CHARGED, Challenge, Credential, MppReceipt, PAYMENT_RECEIPT, PAYMENT_REQUIRED,
        PAYMENT_RESPONSE, PayeeTerms, PaymentPayload, PaymentRequired, Problem, SettleResponse,
    },
};
use cheque::{Address, store::Memory};
use http::{HeaderName, HeaderValue, Method, header::WWW_AUTHENTICATE};
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
        terms: BTreeMap::from([("eth".to_owned(), terms())]).into(),
    }
}

fn stand() -> Stand {
    let shop = Shop::new();
    let offers = Offers::parse(OFFERS, &home()).unwrap();
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
