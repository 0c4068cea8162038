//! WebSockets over real connections: a client, the proxy behind an HTTP server, and an upstream.

mod attacks;
mod pages;
mod selling;

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
        let stand = Stand::new(OFFERS, &format!("http://{address}"), LIMITS, limits);
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
