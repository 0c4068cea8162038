//! WebSockets over real connections: a client, the proxy behind an HTTP server, and an upstream.

use super::*;
use crate::wire::{Challenge, Credential, MppReceipt, SocketFrame};
use futures_util::{SinkExt, StreamExt};
use http::StatusCode;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use std::{convert::Infallible, net::SocketAddr};
use tokio::{net::TcpStream, sync::mpsc};
use tokio_tungstenite::{
    WebSocketStream, accept_async, client_async,
    tungstenite::{
        self, Message,
        client::IntoClientRequest,
        handshake::client::Response as Handshake,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

type Client = WebSocketStream<TcpStream>;

const NEVER: Duration = Duration::from_secs(3_600);

fn patient() -> ProxyLimits {
    ProxyLimits {
        unpaid: NEVER,
        look: NEVER,
        ..ProxyLimits::default()
    }
}

fn hasty() -> ProxyLimits {
    ProxyLimits {
        unpaid: Duration::from_millis(300),
        ..ProxyLimits::default()
    }
}

/// An upstream that says what it reads, and sends what it is told.
struct Upstream {
    connected: mpsc::UnboundedReceiver<()>,
    read: mpsc::UnboundedReceiver<Message>,
    send: mpsc::UnboundedSender<Message>,
}

/// A shop for WebSockets.
struct Shop {
    stand: Stand,
    address: SocketAddr,
    upstream: Upstream,
}

async fn upstream() -> (Upstream, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, connected) = mpsc::unbounded_channel();
    let (show, read) = mpsc::unbounded_channel();
    let (send, mut queue) = mpsc::unbounded_channel::<Message>();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let _ = tell.send(());
        let mut socket = accept_async(stream).await.unwrap();
        loop {
            tokio::select! {
                message = socket.next() => match message {
                    Some(Ok(message)) => drop(show.send(message)),
                    _ => break,
                },
                Some(message) = queue.recv() => drop(socket.send(message).await),
            }
        }
    });
    let upstream = Upstream {
        connected,
        read,
        send,
    };
    (upstream, address)
}

async fn serve(proxy: Proxy) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let proxy = proxy.clone();
            let answer = service_fn(move |request: Request<Incoming>| {
                let proxy = proxy.clone();
                async move { Ok::<_, Infallible>(proxy.answer(request, ORIGIN).await) }
            });
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                let stream = TokioIo::new(stream);
                let _ = server.serve_connection_with_upgrades(stream, answer).await;
            });
        }
    });
    address
}

impl Shop {
    async fn new(limits: ProxyLimits) -> Self {
        let (upstream, address) = upstream().await;
        let stand = Stand::with(&format!("http://{address}"), limits);
        let address = serve(stand.proxy.clone()).await;
        Self {
            stand,
            address,
            upstream,
        }
    }

    /// Opens a WebSocket with these headers.
    async fn connect(
        &self,
        path: &str,
        headers: &[(&'static str, String)],
    ) -> Result<(Client, Handshake), tungstenite::Error> {
        let url = format!("ws://shop.example{path}");
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).unwrap();
            request.headers_mut().insert(*name, value);
        }
        let stream = TcpStream::connect(self.address).await.unwrap();
        timeout(SOON, client_async(request, stream)).await.unwrap()
    }

    /// Opens a WebSocket that is paid by an opening over `total`.
    async fn open(&self, path: &str, total: u128) -> (Client, Handshake) {
        let proof = self.stand.payer.opening(total).to_string();
        let headers = [("cheque", proof), ("cheque-max", "1000".to_owned())];
        self.connect(path, &headers).await.unwrap()
    }

    /// The status of a refused handshake.
    async fn refused(&self, path: &str, headers: &[(&'static str, String)]) -> StatusCode {
        match self.connect(path, headers).await {
            Err(tungstenite::Error::Http(answer)) => answer.status(),
            other => panic!("not refused: {other:?}"),
        }
    }

    /// The credential of a cheque, as a client of MPP makes it from a challenge.
    async fn credential(&self, path: &str, proof: &Proof) -> String {
        let required = self.stand.ask(path, None).await;
        let challenge = required.headers()["www-authenticate"].to_str().unwrap();
        let credential = Credential {
            challenge: Challenge::parse(challenge).unwrap().echo,
            source: None,
            payload: serde_json::json!({ "proofs": [proof.to_string()] }),
        };
        credential.encode()
    }

    async fn read(&mut self) -> Message {
        let read = timeout(SOON, self.upstream.read.recv()).await;
        read.expect("nothing reaches the upstream").unwrap()
    }

    /// Waits until the upstream's connection has ended. Returns what it read before.
    async fn end(&mut self) -> Vec<Message> {
        let mut all = Vec::new();
        let reading = async {
            while let Some(message) = self.upstream.read.recv().await {
                all.push(message);
            }
        };
        timeout(SOON, reading)
            .await
            .expect("the upstream is still open");
        all
    }

    async fn charged(&self) -> u128 {
        let settled = async {
            loop {
                let sums = self.stand.shop.sums(&self.stand.payer).await;
                if sums.reserved.is_zero() {
                    return sums.charged.get();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(SOON, settled).await.expect("never settled")
    }
}

async fn next(client: &mut Client) -> Message {
    let next = timeout(SOON, client.next()).await;
    next.expect("no message").unwrap().unwrap()
}

async fn frame(client: &mut Client) -> SocketFrame {
    let message = next(client).await;
    let text = message.to_text().unwrap();
    SocketFrame::decode(text).unwrap_or_else(|| panic!("no frame: {text}"))
}

async fn data(client: &mut Client) -> String {
    match frame(client).await {
        SocketFrame::Message { data } => data,
        other => panic!("no data: {other:?}"),
    }
}

async fn wish(client: &mut Client) -> (String, String) {
    match frame(client).await {
        SocketFrame::PaymentNeedVoucher { data } => {
            (data.required_cumulative, data.accepted_cumulative)
        }
        other => panic!("no wish: {other:?}"),
    }
}

async fn receipt(client: &mut Client) -> MppReceipt {
    match frame(client).await {
        SocketFrame::PaymentReceipt { data } => data,
        other => panic!("no receipt: {other:?}"),
    }
}

async fn closed(client: &mut Client) -> CloseCode {
    match next(client).await {
        Message::Close(Some(CloseFrame { code, .. })) => code,
        other => panic!("not closed: {other:?}"),
    }
}

async fn tell(client: &mut Client, frame: SocketFrame) {
    client.send(Message::text(frame.encode())).await.unwrap();
}

#[tokio::test]
async fn sells_messages_in_both_directions_and_takes_payments() {
    let mut shop = Shop::new(patient()).await;
    // Two messages.
    let (mut client, handshake) = shop.open("/events", 10).await;
    assert_eq!(handshake.status(), StatusCode::SWITCHING_PROTOCOLS);
    client.send(Message::text("hello")).await.unwrap();
    assert_eq!(shop.read().await, Message::text("hello"));
    shop.upstream.send.send(Message::text("a")).unwrap();
    assert_eq!(data(&mut client).await, "a");
    shop.upstream.send.send(Message::text("b")).unwrap();
    let expected = ("15".to_owned(), "10".to_owned());
    assert_eq!(wish(&mut client).await, expected);
    // A failed payment changes nothing.
    let authorization = "Payment e30".to_owned();
    tell(&mut client, SocketFrame::Authorization { authorization }).await;
    let error = frame(&mut client).await;
    assert!(
        matches!(error, SocketFrame::PaymentError { status: 402, .. }),
        "{error:?}"
    );
    // The connection was paid by the short form, and is topped up by MPP.
    let proof = shop.stand.payer.cheque(20);
    let authorization = shop.credential("/events", &proof).await;
    tell(&mut client, SocketFrame::Authorization { authorization }).await;
    let paid = receipt(&mut client).await;
    assert_eq!((&*paid.accepted_cumulative, &*paid.charged), ("20", "0"));
    assert_eq!(data(&mut client).await, "b");
    let wrapped = SocketFrame::Message {
        data: r#"{"mpp":"payment-close-request"}"#.to_owned(),
    };
    tell(&mut client, wrapped).await;
    let raw = r#"{"mpp":"payment-close-request"}"#;
    assert_eq!(shop.read().await, Message::text(raw));
    tell(&mut client, SocketFrame::PaymentCloseRequest).await;
    let SocketFrame::PaymentCloseReady { data } = frame(&mut client).await else {
        panic!("not ready to close");
    };
    assert_eq!((&*data.charged, &*data.balance), ("20", "0"));
    assert_eq!(closed(&mut client).await, CloseCode::Normal);
    shop.end().await;
}

#[tokio::test]
async fn goes_on_after_a_payment_beside_the_websocket() {
    let shop = Shop::new(patient()).await;
    let (mut client, _) = shop.open("/events", 5).await;
    for text in ["a", "b"] {
        shop.upstream.send.send(Message::text(text)).unwrap();
    }
    assert_eq!(data(&mut client).await, "a");
    wish(&mut client).await;
    let post = Request::post(PAY_PATH).header("host", "shop.example");
    let proof = shop.stand.payer.cheque(10).to_string();
    let post = post.body(Full::new(Bytes::from(proof))).unwrap();
    let added = shop.stand.proxy.answer(post, ORIGIN).await;
    assert_eq!(added.status(), StatusCode::NO_CONTENT);
    assert_eq!(data(&mut client).await, "b");
}

#[tokio::test]
async fn sells_bytes_of_messages_as_they_are() {
    let mut shop = Shop::new(patient()).await;
    let (mut client, _) = shop.open("/metered", 100).await;
    let binary = Message::binary(vec![7; 3 << 10]);
    client.send(binary.clone()).await.unwrap();
    assert_eq!(shop.read().await, binary);
    shop.upstream.send.send(binary.clone()).unwrap();
    assert_eq!(next(&mut client).await, binary);
    let closing = CloseFrame {
        code: CloseCode::Library(4_007),
        reason: "done".into(),
    };
    client.close(Some(closing.clone())).await.unwrap();
    assert_eq!(shop.read().await, Message::Close(Some(closing)));
    assert_eq!(shop.charged().await, 6);
}

#[tokio::test]
async fn asks_the_upstream_after_the_payment_only() {
    let mut shop = Shop::new(patient()).await;
    assert_eq!(
        shop.refused("/events", &[]).await,
        StatusCode::PAYMENT_REQUIRED
    );
    let forged = [("cheque", shop.stand.payer.cheque(100).to_string())];
    assert_eq!(
        shop.refused("/events", &forged).await,
        StatusCode::PAYMENT_REQUIRED
    );
    let proof = shop.stand.payer.opening(10).to_string();
    let paying = |origin: &str| [("cheque", proof.clone()), ("origin", origin.to_owned())];
    for origin in ["https://evil.example", "https://page.example.evil", "null"] {
        assert_eq!(
            shop.refused("/events", &paying(origin)).await,
            StatusCode::FORBIDDEN
        );
    }
    let mut no_key = paying("https://page.example").to_vec();
    no_key.push(("sec-websocket-version", "12".to_owned()));
    assert_eq!(
        shop.refused("/events", &no_key).await,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(shop.refused("/tokens", &[]).await, StatusCode::BAD_REQUEST);
    assert!(shop.upstream.connected.try_recv().is_err());
    assert_eq!(shop.stand.balance().await, 0);
    let listed = paying("https://page.example");
    let (mut client, _) = shop.connect("/events", &listed).await.unwrap();
    shop.upstream.send.send(Message::text("a")).unwrap();
    assert_eq!(data(&mut client).await, "a");
    assert!(shop.upstream.connected.try_recv().is_ok());
    // A payment buys one WebSocket.
    assert_eq!(shop.refused("/events", &listed).await, StatusCode::CONFLICT);
}

#[tokio::test]
async fn closes_a_websocket_that_is_never_paid() {
    let mut shop = Shop::new(hasty()).await;
    let (mut client, _) = shop.open("/events", 7).await;
    client.send(Message::text("a")).await.unwrap();
    assert_eq!(shop.read().await, Message::text("a"));
    // Neither direction is free.
    client.send(Message::text("b")).await.unwrap();
    assert_eq!(wish(&mut client).await.0, "10");
    // The payment of another account does not help.
    let other = Payer::native(2);
    let authorization = shop.credential("/events", &other.opening(500)).await;
    tell(&mut client, SocketFrame::Authorization { authorization }).await;
    assert_eq!(receipt(&mut client).await.balance, "500");
    let error = frame(&mut client).await;
    assert!(
        matches!(error, SocketFrame::PaymentError { status: 402, .. }),
        "{error:?}"
    );
    let last = receipt(&mut client).await;
    assert_eq!((&*last.charged, &*last.balance), ("5", "2"));
    assert_eq!(closed(&mut client).await, CloseCode::Policy);
    let read = shop.end().await;
    assert!(read.iter().all(Message::is_close), "{read:?}");
    assert_eq!(shop.charged().await, 5);
    assert_eq!(shop.stand.shop.balance(&other).await, 500);
}

#[tokio::test]
async fn closes_on_a_flood_of_unpaid_messages() {
    let mut shop = Shop::new(patient()).await;
    let (mut client, _) = shop.open("/events", 5).await;
    for _ in 0..100 {
        client.send(Message::text("x")).await.unwrap();
    }
    wish(&mut client).await;
    let error = frame(&mut client).await;
    assert!(
        matches!(error, SocketFrame::PaymentError { status: 429, .. }),
        "{error:?}"
    );
    assert_eq!(receipt(&mut client).await.charged, "5");
    assert_eq!(shop.read().await, Message::text("x"));
    shop.end().await;
}

#[tokio::test]
async fn closes_after_many_failed_payments() {
    let shop = Shop::new(patient()).await;
    let (mut client, _) = shop.open("/events", 5).await;
    for _ in 0..16 {
        let authorization = "Payment e30".to_owned();
        tell(&mut client, SocketFrame::Authorization { authorization }).await;
        let error = frame(&mut client).await;
        assert!(
            matches!(error, SocketFrame::PaymentError { status: 402, .. }),
            "{error:?}"
        );
    }
    let error = frame(&mut client).await;
    assert!(
        matches!(error, SocketFrame::PaymentError { status: 429, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn charges_messages_of_a_client_that_hangs_up() {
    let mut shop = Shop::new(patient()).await;
    let (mut client, _) = shop.open("/events", 100).await;
    client.send(Message::text("a")).await.unwrap();
    assert_eq!(shop.read().await, Message::text("a"));
    drop(client);
    shop.end().await;
    assert_eq!(shop.charged().await, 5);
    assert_eq!(shop.stand.balance().await, 95);
}

#[tokio::test]
async fn drops_a_client_that_does_not_read() {
    let limits = ProxyLimits {
        unread: Duration::from_millis(300),
        ..patient()
    };
    let mut shop = Shop::new(limits).await;
    let (client, _) = shop.open("/events", 1_000).await;
    for _ in 0..200 {
        let large = Message::binary(vec![7; 512 << 10]);
        shop.upstream.send.send(large).unwrap();
    }
    shop.end().await;
    // Messages fill the connection's buffers, and no more.
    let charged = shop.charged().await;
    assert!(charged < 200 * 5, "{charged}");
    drop(client);
}

#[tokio::test]
async fn sells_a_websocket_at_one_price_and_gives_free_ones() {
    for (path, charged) in [("/answer", PRICE), ("/free", 0)] {
        let mut shop = Shop::new(patient()).await;
        let (mut client, handshake) = shop.open(path, PRICE).await;
        if charged > 0 {
            assert_eq!(handshake.headers()[CHARGED], "10");
        }
        // Frames of the gateway mean nothing here.
        let text = Message::text(SocketFrame::PaymentCloseRequest.encode());
        client.send(text.clone()).await.unwrap();
        assert_eq!(shop.read().await, text);
        shop.upstream.send.send(text.clone()).unwrap();
        assert_eq!(next(&mut client).await, text);
        client.close(None).await.unwrap();
        shop.end().await;
        assert_eq!(shop.charged().await, charged);
    }
}

#[tokio::test]
async fn releases_the_payment_of_a_refused_handshake() {
    let refusing = Router::new().fallback(|| async { (StatusCode::NOT_FOUND, "no socket") });
    let stand = Stand::before(refusing).await;
    let address = serve(stand.proxy.clone()).await;
    let (upstream, _) = upstream().await;
    let shop = Shop {
        stand,
        address,
        upstream,
    };
    let proof = shop.stand.payer.opening(10).to_string();
    for _ in 0..3 {
        let paying = [("cheque", proof.clone())];
        assert_eq!(
            shop.refused("/events", &paying).await,
            StatusCode::NOT_FOUND
        );
        assert_eq!(shop.stand.balance().await, 10);
    }
}

const PAGE: [(&str, &str); 1] = [("origin", "https://page.example")];

impl Shop {
    /// Opens a WebSocket as a page does: without a payment.
    async fn page(&self, path: &str) -> Client {
        let headers = PAGE.map(|(name, value)| (name, value.to_owned()));
        let (client, handshake) = self.connect(path, &headers).await.unwrap();
        assert_eq!(handshake.status(), StatusCode::SWITCHING_PROTOCOLS);
        client
    }

    async fn pay(&self, client: &mut Client, path: &str, proof: &Proof) {
        let authorization = self.credential(path, proof).await;
        tell(client, SocketFrame::Authorization { authorization }).await;
    }
}

async fn error(client: &mut Client) -> u16 {
    match frame(client).await {
        SocketFrame::PaymentError { status, .. } => status,
        other => panic!("no error: {other:?}"),
    }
}

#[tokio::test]
async fn a_page_pays_by_its_first_message() {
    let mut shop = Shop::new(patient()).await;
    let mut client = shop.page("/events").await;
    let forged = shop.stand.payer.cheque(10);
    shop.pay(&mut client, "/events", &forged).await;
    assert_eq!(error(&mut client).await, 402);
    assert!(shop.upstream.connected.try_recv().is_err());
    let opening = shop.stand.payer.opening(10);
    shop.pay(&mut client, "/events", &opening).await;
    let first = receipt(&mut client).await;
    assert_eq!((&*first.accepted_cumulative, &*first.charged), ("10", "0"));
    client.send(Message::text("hello")).await.unwrap();
    assert_eq!(shop.read().await, Message::text("hello"));
    shop.upstream.send.send(Message::text("a")).unwrap();
    assert_eq!(data(&mut client).await, "a");
    // The same payment buys no second WebSocket.
    let mut second = shop.page("/events").await;
    shop.pay(&mut second, "/events", &opening).await;
    assert_eq!(error(&mut second).await, 409);
    drop(client);
    assert_eq!(shop.charged().await, 10);
}

#[tokio::test]
async fn a_page_that_does_not_pay_reaches_nothing() {
    let mut shop = Shop::new(hasty()).await;
    let mut silent = shop.page("/events").await;
    let mut talking = shop.page("/events").await;
    talking.send(Message::text("hello")).await.unwrap();
    for client in [&mut silent, &mut talking] {
        assert_eq!(error(client).await, 402);
        assert_eq!(closed(client).await, CloseCode::Policy);
    }
    let mut failing = shop.page("/events").await;
    let unknown = shop.stand.payer.cheque(10);
    for _ in 0..3 {
        shop.pay(&mut failing, "/events", &unknown).await;
        assert_eq!(error(&mut failing).await, 402);
    }
    assert_eq!(error(&mut failing).await, 402);
    assert!(shop.upstream.connected.try_recv().is_err());
    // A route at one price is paid by a header.
    let headers = PAGE.map(|(name, value)| (name, value.to_owned()));
    assert_eq!(
        shop.refused("/answer", &headers).await,
        StatusCode::PAYMENT_REQUIRED
    );
}

#[tokio::test]
async fn waiting_pages_are_bounded_and_leave_places() {
    let shop = Shop::new(patient()).await;
    let mut waiting = Vec::new();
    for _ in 0..page::MAX_WAITING {
        waiting.push(shop.page("/events").await);
    }
    let headers = PAGE.map(|(name, value)| (name, value.to_owned()));
    let busy = StatusCode::SERVICE_UNAVAILABLE;
    assert_eq!(shop.refused("/events", &headers).await, busy);
    // Others are served.
    let (mut client, _) = shop.open("/events", 5).await;
    shop.upstream.send.send(Message::text("a")).unwrap();
    assert_eq!(data(&mut client).await, "a");
    waiting.clear();
    let again = async {
        while shop.stand.proxy.shared.pages.available_permits() < page::MAX_WAITING {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, again).await.expect("a place is lost");
    drop(shop.page("/events").await);
}

#[tokio::test]
async fn websockets_share_the_memory_of_bodies() {
    let limits = ProxyLimits {
        memory: 256 << 10,
        ..patient()
    };
    let shop = Shop::new(limits).await;
    let (client, _) = shop.open("/events", 5).await;
    let proof = [("cheque", shop.stand.payer.cheque(10).to_string())];
    let busy = StatusCode::SERVICE_UNAVAILABLE;
    assert_eq!(shop.refused("/events", &proof).await, busy);
    // The refused payment was not taken.
    assert_eq!(shop.stand.balance().await, 0);
    drop(client);
    let left = async {
        while shop.stand.proxy.shared.budget.left() < 256 << 10 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, left).await.expect("memory is lost");
}
