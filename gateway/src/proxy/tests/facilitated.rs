//! A shop that sells by `exact`, and a facilitator behind a real socket that fails in all ways.

use super::*;
use crate::{
    ledger::Ledger,
    wire::{
        PAYMENT_REQUIRED, PAYMENT_RESPONSE, PAYMENT_SIGNATURE, PaymentPayload, PaymentRequired,
        Requirements,
    },
};
use axum::{
    Json,
    body::Body as Answered,
    response::IntoResponse,
    routing::{any, post},
};
use futures_util::stream;
use serde_json::{Value, json};
use std::{convert::Infallible, sync::Mutex};

pub(super) const EXACT: &str = r#"
[exact]
facilitator = "https://facilitator.example/base"
pay_to = "0x5050505050505050505050505050505050505050"

[tokens.eth]
chain_id = 1
bank = "0xbabababababababababababababababababababa"
decimals = 18

[tokens.usdc]
chain_id = 8453
bank = "0xbabababababababababababababababababababa"
address = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"
decimals = 6
tokens_per_coin = "2500.0"
eip712 = { name = "USD Coin", version = "2" }

[[route]]
path = "/metered"
price = { usdc = 1 }
per_kib = { usdc = 1 }
max = { usdc = 100 }

[[route]]
path = "/**"
price = { eth = 10, usdc = 1000 }
"#;

/// What the facilitator does with a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Good,
    Refuses,
    /// By status 400, as some facilitators do.
    RefusesBy400,
    Breaks,
    Sleeps,
    NeverEnds,
    Babbles,
}

/// What has happened, in order, and what the facilitator does next.
#[derive(Debug)]
pub(super) struct Scene {
    words: Mutex<(Word, Word)>,
    log: Mutex<Vec<&'static str>>,
}

impl Scene {
    fn note(&self, what: &'static str) {
        self.log.lock().unwrap().push(what);
    }

    pub(super) fn log(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }

    pub(super) fn say(&self, verify: Word, settle: Word) {
        *self.words.lock().unwrap() = (verify, settle);
    }
}

async fn answer(word: Word, good: Value, bad: Value) -> Response<Answered> {
    match word {
        Word::Good => Json(good).into_response(),
        Word::Refuses => Json(bad).into_response(),
        Word::RefusesBy400 => (StatusCode::BAD_REQUEST, Json(bad)).into_response(),
        Word::Breaks => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Word::Sleeps => std::future::pending().await,
        Word::NeverEnds => {
            let parts = stream::repeat_with(|| Ok::<_, Infallible>(vec![b' '; 4 << 10]));
            Answered::from_stream(parts).into_response()
        }
        Word::Babbles => "{\"ok\":true}".into_response(),
    }
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

pub(super) struct ExactStand {
    shop: Shop,
    pub(super) scene: Arc<Scene>,
    pub(super) upstream: String,
    facilitator: String,
    pub(super) proxy: Proxy,
}

impl ExactStand {
    /// A shop before an upstream whose answer has this status and body.
    pub(super) async fn new(status: StatusCode, body: fn() -> Answered) -> Self {
        let words = Mutex::new((Word::Good, Word::Good));
        let log = Mutex::default();
        let scene = Arc::new(Scene { words, log });
        let of = Arc::clone(&scene);
        let served = move || {
            of.note("serve");
            async move { (status, body()) }
        };
        let (verifying, settling) = (Arc::clone(&scene), Arc::clone(&scene));
        let verify = move |Json(asked): Json<Value>| async move {
            verifying.note("verify");
            check(&asked);
            let bad = json!({ "isValid": false, "invalidReason": "insufficient_funds" });
            let word = verifying.words.lock().unwrap().0;
            answer(word, json!({ "isValid": true, "payer": PAYER }), bad).await
        };
        let settle = move |Json(asked): Json<Value>| async move {
            settling.note("settle");
            check(&asked);
            let good = json!({ "success": true, "transaction": "0xabc", "network": "eip155:8453" });
            let bad =
                json!({ "success": false, "errorReason": "nonce <used>\n", "transaction": "" });
            let word = settling.words.lock().unwrap().1;
            answer(word, good, bad).await
        };
        let router = Router::new()
            .route("/base/verify", post(verify))
            .route("/base/settle", post(settle));
        let facilitator = format!("{}/base/", serve(router).await);
        let upstream = serve(Router::new().fallback(any(served))).await;
        let shop = Shop::new();
        let proxy = proxy(&shop.ledger, &upstream, &facilitator, || NOW);
        Self {
            shop,
            scene,
            upstream,
            facilitator,
            proxy,
        }
    }

    /// Another process of the shop.
    pub(super) fn worker(&self, name: u8, now: fn() -> u64) -> Proxy {
        let ledger = self.shop.worker(name);
        proxy(&ledger, &self.upstream, &self.facilitator, now)
    }

    pub(super) async fn pay(&self, path: &str, payment: &str) -> Response<ProxyBody> {
        pay(&self.proxy, path, payment).await
    }
}

fn proxy(ledger: &Ledger, upstream: &str, facilitator: &str, now: fn() -> u64) -> Proxy {
    let names = ["eth", "usdc"].map(|name| (name.to_owned(), terms()));
    let wire = Wire {
        payee: payee(),
        realm: "shop".to_owned(),
        key: [7; 32],
        credential_header: None,
        terms: BTreeMap::from(names).into(),
    };
    let offers = Offers::parse(EXACT, &home()).unwrap();
    let capacity = Capacity::new(&offers).unwrap();
    let seller = Seller::new(offers, ledger.clone(), wire).unwrap();
    let upstream = Upstream::new(&upstream.parse().unwrap(), LIMITS).unwrap();
    let settings = ProxySettings {
        max_body: 1 << 20,
        max_stored: 64 << 10,
        capacity,
        now,
        limits: ProxyLimits::default(),
        origins: Vec::new(),
    };
    let quick = Duration::from_millis(500);
    let facilitator = Facilitator::with_deadlines(facilitator, (quick, quick)).unwrap();
    Proxy::new(seller, upstream, settings).with_facilitator(facilitator)
}

pub(super) const PAYER: &str = "0x1111111111111111111111111111111111111111";

/// Checks what a facilitator gets.
fn check(asked: &Value) {
    assert_eq!(asked["x402Version"], 2);
    let offer = &asked["paymentRequirements"];
    assert_eq!(
        (&offer["scheme"], &offer["amount"]),
        (&json!("exact"), &json!("1000"))
    );
    assert_eq!(offer["extra"]["name"], "USD Coin");
    // All of the client's words arrive.
    assert_eq!(
        asked["paymentPayload"]["resource"]["url"],
        "https://shop.example/x"
    );
    assert_eq!(asked["paymentPayload"]["payload"]["signature"], "0x01");
}

pub(super) async fn pay(proxy: &Proxy, path: &str, payment: &str) -> Response<ProxyBody> {
    let mut request = request(path, None);
    let value = HeaderValue::from_str(payment).unwrap();
    request.headers_mut().insert(PAYMENT_SIGNATURE, value);
    timeout(SOON, proxy.answer(request, ORIGIN)).await.unwrap()
}

pub(super) fn required(answer: &Response<ProxyBody>) -> PaymentRequired {
    assert_eq!(answer.status(), StatusCode::PAYMENT_REQUIRED);
    assert!(!answer.headers().contains_key(PAYMENT_RESPONSE));
    let value = answer.headers()[PAYMENT_REQUIRED].to_str().unwrap();
    PaymentRequired::decode(value).unwrap()
}

pub(super) async fn exact_offer(proxy: &Proxy, path: &str) -> Option<Requirements> {
    let answer = proxy.answer(request(path, None), ORIGIN).await;
    let accepts = required(&answer).accepts;
    let mut exact = accepts.into_iter().filter(|offer| offer.scheme == "exact");
    let offer = exact.next();
    assert_eq!(exact.next(), None);
    offer
}

/// A payment as x402 clients make it, with one field of the authorization replaced.
pub(super) async fn payment(stand: &ExactStand, nonce: u8, (field, value): (&str, &str)) -> String {
    let accepted = exact_offer(&stand.proxy, "/x").await.unwrap();
    let mut payload = json!({
        "signature": "0x01",
        "authorization": {
            "from": PAYER,
            "to": accepted.pay_to,
            "value": accepted.amount,
            "validAfter": "0",
            "validBefore": (NOW + 300).to_string(),
            "nonce": format!("0x{}", format!("{nonce:02x}").repeat(32)),
        },
    });
    payload["authorization"][field] = json!(value);
    let payment = PaymentPayload {
        x402_version: 2,
        accepted,
        payload,
        extensions: serde_json::Map::new(),
    };
    let mut payment = serde_json::to_value(payment).unwrap();
    payment["resource"] = json!({ "url": "https://shop.example/x" });
    crate::wire::to_header(&payment.to_string())
}

pub(super) async fn paid(stand: &ExactStand, nonce: u8) -> String {
    payment(stand, nonce, ("validAfter", "0")).await
}

pub(super) fn hello() -> Answered {
    Answered::from("hello")
}
