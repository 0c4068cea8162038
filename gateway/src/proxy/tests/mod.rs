//! Sales through the proxy: a real upstream on the loopback address, a payer's cheques, and a ledger in memory.

mod bodies;
mod capacity;
mod discovery;
mod exact;
mod facilitated;
mod layered;
mod money;
mod paying;
mod sockets;
mod streams;

use super::*;
use crate::{
    forward::ForwardLimits,
    ledger::tests::{NOW, Payer, Shop, payee},
    offers::{Offers, tests::home},
    wire::{BALANCE, CHARGED, CHEQUE, MAX, PayeeTerms, Problem, Wire},
};
use axum::Router;
use cheque::{Address, Amount, Proof};
use http::HeaderValue;
use http_body_util::{BodyExt, Full};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};
use tokio::{net::TcpListener, time::timeout};

const OFFERS: &str = r#"
[tokens.eth]
chain_id = 1
bank = "0xbabababababababababababababababababababa"
decimals = 18

[[route]]
path = "/free"
free = true
websocket = true

[[route]]
path = "/metered"
price = { eth = 0 }
per_kib = { eth = 1 }
max = { eth = 1000 }

[[route]]
path = "/events"
price = { eth = 0 }
per_unit = { eth = 5 }
unit = "event"
meter = "events"
max = { eth = 1000 }

[[route]]
path = "/timed"
price = { eth = 0 }
per_second = { eth = 10 }
max = { eth = 1000 }

[[route]]
path = "/tokens"
price = { eth = 1 }
per_unit = { eth = 3 }
unit = "token"
unit_size = 10
meter = "openai_usage"
max = { eth = 99 }

[[route]]
path = "/calls"
price = { eth = 10 }

[[route]]
path = "/**"
price = { eth = 10 }
websocket = true
"#;

/// The price of `/**`, in units.
const PRICE: u128 = 10;

/// The longest wait of a test.
const SOON: Duration = Duration::from_secs(30);

const ORIGIN: Origin = Origin {
    address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    is_secure: true,
    is_proxy: false,
};

const LIMITS: ForwardLimits = ForwardLimits {
    connect: Duration::from_secs(5),
    first_byte: Duration::from_millis(500),
    idle: Duration::from_secs(5),
    max_upload: 1 << 20,
};

struct Stand {
    shop: Shop,
    proxy: Proxy,
    payer: Payer,
}

impl Stand {
    /// A proxy before an upstream. The payer's opening has paid nothing yet.
    async fn before(upstream: Router) -> Self {
        Self::selling(OFFERS, upstream).await
    }

    async fn limited(upstream: Router, limits: ProxyLimits) -> Self {
        let address = serve(upstream).await;
        Self::new(OFFERS, &address, LIMITS, limits)
    }

    /// The same with other offers.
    async fn selling(offers: &str, upstream: Router) -> Self {
        Self::within(LIMITS, offers, upstream).await
    }

    /// The same before an upstream that may take its time.
    async fn patient(offers: &str, upstream: Router) -> Self {
        let limits = ForwardLimits {
            first_byte: SOON,
            ..LIMITS
        };
        Self::within(limits, offers, upstream).await
    }

    async fn within(limits: ForwardLimits, offers: &str, upstream: Router) -> Self {
        let address = serve(upstream).await;
        Self::new(offers, &address, limits, ProxyLimits::default())
    }

    async fn at(upstream: &str) -> Self {
        Self::new(OFFERS, upstream, LIMITS, ProxyLimits::default())
    }

    fn new(offers: &str, upstream: &str, forward: ForwardLimits, limits: ProxyLimits) -> Self {
        let upstream = Upstream::new(&upstream.parse().unwrap(), forward).unwrap();
        Self::of(Shop::new(), offers, upstream, limits, || NOW)
    }

    fn of(
        shop: Shop,
        offers: &str,
        upstream: Upstream,
        limits: ProxyLimits,
        now: fn() -> u64,
    ) -> Self {
        let wire = Wire {
            payee: payee(),
            realm: "shop".to_owned(),
            key: [7; 32],
            credential_header: None,
            terms: BTreeMap::from([("eth".to_owned(), terms())]).into(),
        };
        let offers = Offers::parse(offers, &home()).unwrap();
        let capacity = Capacity::new(&offers).unwrap();
        let seller = Seller::new(offers, shop.ledger.clone(), wire).unwrap();
        let settings = ProxySettings {
            max_body: 1 << 20,
            max_stored: 64 << 10,
            capacity,
            now,
            limits,
            origins: vec!["https://page.example".to_owned()],
        };
        Self {
            shop,
            proxy: Proxy::new(seller, upstream, settings),
            payer: Payer::native(1),
        }
    }

    /// Asks for a path with a proof in the short header.
    async fn ask(&self, path: &str, proof: Option<&Proof>) -> Response<ProxyBody> {
        self.proxy.answer(request(path, proof), ORIGIN).await
    }

    /// Shows the deposit to the payee: the opening pays for the first request.
    async fn open(&self, path: &str) -> Response<ProxyBody> {
        self.ask(path, Some(&self.payer.opening(PRICE))).await
    }

    async fn balance(&self) -> u128 {
        self.shop.balance(&self.payer).await
    }
}

fn request(path: &str, proof: Option<&Proof>) -> Request<Full<Bytes>> {
    let mut request = Request::get(path);
    request = request.header("host", "shop.example");
    if let Some(proof) = proof {
        request = request.header(CHEQUE, proof.to_string());
        // An older cheque adds nothing, and spends the balance.
        request = request.header(MAX, "1000");
    }
    request.body(Full::default()).unwrap()
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
        in_flight: 1_024,
        header: "Cheque".to_owned(),
        pay_url: None,
        unit: None,
        cheque_state: None,
    }
}

async fn text(answer: Response<ProxyBody>) -> String {
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

async fn code(answer: Response<ProxyBody>) -> String {
    let problem: Problem = serde_json::from_str(&text(answer).await).unwrap();
    problem.code
}

fn units(answer: &Response<ProxyBody>, name: http::HeaderName) -> u128 {
    let value: &HeaderValue = &answer.headers()[name];
    value.to_str().unwrap().parse().unwrap()
}

/// Starts an upstream. Returns its address.
async fn serve(upstream: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, upstream).await });
    format!("http://{address}")
}
