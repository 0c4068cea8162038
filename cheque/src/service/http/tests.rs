mod encrypted;

use super::{
    connections::{Connections, Source},
    server::ACCEPT_PAUSE,
    shared::Shared,
    *,
};
use http::{Request, Response};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tower::Service;

/// The longest wait of a test.
const SOON: Duration = Duration::from_secs(20);

/// A body of a number of frames of 64 KiB.
struct Body64(usize);

impl Body for Body64 {
    type Data = std::collections::VecDeque<u8>;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Infallible>>> {
        if self.0 == 0 {
            return Poll::Ready(None);
        }
        self.0 -= 1;
        Poll::Ready(Some(Ok(Frame::data(vec![b'x'; 64 << 10].into()))))
    }
}

/// Answers `/trusted` to a caller that it trusts from then on, and `/large` with 64 MiB.
#[derive(Clone, Default)]
struct Echo(Arc<AtomicUsize>);

impl Service<Request<Incoming>> for Echo {
    type Response = Response<Body64>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        self.0.fetch_add(1, Ordering::SeqCst);
        let path = request.uri().path();
        if path != "/stranger" {
            request.extensions().get::<Caller>().unwrap().trust();
        }
        let frames = if path == "/large" { 1_024 } else { 0 };
        std::future::ready(Ok(Response::new(Body64(frames))))
    }
}

struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    done: JoinHandle<()>,
}

async fn start(limits: HttpLimits) -> Server {
    start_with(HttpServer::new(limits, Refusals::default())).await
}

async fn start_with(server: HttpServer) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let stopped = async {
        let _ = stopped.await;
    };
    let serving = server.serve(listener, Echo::default(), stopped);
    let done = tokio::spawn(serving);
    Server {
        address,
        stop,
        done,
    }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

const fn limits(max_connections: usize) -> HttpLimits {
    HttpLimits {
        max_connections,
        max_strangers: None,
        first_header: Duration::from_secs(60),
        idle: Duration::from_secs(60),
        unread: Duration::from_secs(60),
        max_header: 16 << 10,
    }
}

/// Sends a request and reads its head. `None` if the server has closed the connection.
async fn ask(stream: &mut TcpStream, path: &str) -> Option<String> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = vec![0; 256];
    let read = timeout(SOON, stream.read(&mut answer))
        .await
        .expect("an answer or an end");
    let read = read.ok().filter(|read| *read > 0)?;
    Some(String::from_utf8_lossy(&answer[..read]).into_owned())
}

/// True if the server closes the connection soon, whatever it says before.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    timeout(SOON, stream.read_to_end(&mut rest)).await.is_ok()
}

#[tokio::test]
async fn answers_while_strangers_hold_all_connections() {
    let server = start(limits(50)).await;
    let mut trusted = server.connect().await;
    assert!(ask(&mut trusted, "/trusted").await.is_some());
    let mut strangers = Vec::new();
    for _ in 0..200 {
        strangers.push(server.connect().await);
    }
    assert!(
        ask(&mut trusted, "/trusted").await.is_some(),
        "a known caller"
    );
    let mut new = server.connect().await;
    assert!(ask(&mut new, "/trusted").await.is_some(), "a new caller");
    assert!(is_closed(&mut strangers[0]).await);
    // The newest strangers are within the bound.
    let mut last = strangers.pop().unwrap();
    assert!(ask(&mut last, "/stranger").await.is_some());
}

#[tokio::test]
async fn refuses_a_call_while_all_connections_are_busy() {
    let server = start(limits(1)).await;
    let mut busy = server.connect().await;
    assert!(ask(&mut busy, "/large").await.is_some());
    let mut more = server.connect().await;
    let answer = ask(&mut more, "/trusted").await.unwrap_or_default();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(body.len(), 73, "the stated length");
}

#[tokio::test]
async fn closes_a_connection_without_a_complete_header() {
    let short = HttpLimits {
        first_header: Duration::from_millis(200),
        ..limits(10)
    };
    let server = start(short).await;
    let mut silent = server.connect().await;
    let mut slow = server.connect().await;
    slow.write_all(b"GET / HTTP/1.1\r\nx: ").await.unwrap();
    // A byte now and then does not buy more time.
    let drip = async {
        while slow.write_all(b"y").await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, drip).await.expect("the connection must end");
    assert!(is_closed(&mut silent).await);
}

#[tokio::test]
async fn closes_an_idle_connection() {
    let short = HttpLimits {
        idle: Duration::from_millis(200),
        ..limits(10)
    };
    let server = start(short).await;
    let mut idle = server.connect().await;
    assert!(ask(&mut idle, "/trusted").await.is_some());
    assert!(is_closed(&mut idle).await);
}

#[tokio::test]
async fn closes_a_connection_that_leaves_its_answer_unread() {
    let short = HttpLimits {
        unread: Duration::from_millis(300),
        ..limits(1)
    };
    let server = start(short).await;
    let mut deaf = server.connect().await;
    assert!(ask(&mut deaf, "/large").await.is_some());
    let answered = async {
        loop {
            let mut next = server.connect().await;
            let answer = ask(&mut next, "/trusted").await.unwrap_or_default();
            if answer.starts_with("HTTP/1.1 200") {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(SOON, answered)
        .await
        .expect("the place must be free again");
}

#[tokio::test]
async fn answers_431_to_a_header_above_the_bound() {
    let server = start(limits(10)).await;
    let mut large = server.connect().await;
    let request = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(20 << 10));
    large.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    large.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 431");
    let mut fits = server.connect().await;
    let request = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(12 << 10));
    fits.write_all(request.as_bytes()).await.unwrap();
    fits.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}

#[tokio::test]
async fn ends_after_open_requests_and_without_idle_ones() {
    let server = start(limits(10)).await;
    let (mut open, mut idle, mut silent) = (
        server.connect().await,
        server.connect().await,
        server.connect().await,
    );
    silent.write_all(b"GET / HT").await.unwrap();
    assert!(ask(&mut idle, "/trusted").await.is_some());
    assert!(ask(&mut open, "/large").await.is_some());
    server.stop.send(()).unwrap();
    assert!(is_closed(&mut idle).await && is_closed(&mut silent).await);
    assert!(!server.done.is_finished(), "an answer is not read yet");
    let mut rest = Vec::new();
    open.read_to_end(&mut rest).await.unwrap();
    assert!(rest.len() > 63 << 20, "{} bytes", rest.len());
    timeout(SOON, server.done).await.unwrap().unwrap();
}

/// A firewall that refuses a caller, or a network that is down, must not cost another caller its connection.
#[cfg(unix)]
#[test]
fn closes_a_connection_for_a_descriptor_and_nothing_else() {
    use rustix::io::Errno;
    let shared = Shared {
        limits: limits(10),
        refusals: Refusals::default(),
        tls: None,
        connections: Connections::new(10, None),
        proxies: Networks::default(),
    };
    let source = Source::of([192, 0, 2, 1].into());
    let slots: Vec<_> = (0..4)
        .map(|_| shared.connections.admit(source, false).unwrap())
        .collect();
    let fail = |errno: Errno| shared.on_accept_error(&errno.into());
    for errno in [Errno::PERM, Errno::NETDOWN, Errno::PROTO, Errno::INVAL] {
        assert_eq!(fail(errno), Some(ACCEPT_PAUSE), "{errno}");
        assert_eq!(shared.connections.len(), 4, "{errno}");
    }
    assert_eq!(fail(Errno::CONNABORTED), None);
    let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    for (errno, left) in shortages.into_iter().zip([3, 2, 1, 0]) {
        assert_eq!(fail(errno), Some(ACCEPT_PAUSE), "{errno}");
        assert_eq!(shared.connections.len(), left, "{errno}");
    }
    drop(slots);
}

#[test]
fn keeps_to_the_descriptors_of_the_process() {
    let limits = HttpLimits::default();
    assert_eq!(limits.within(65_536).max_connections, 1_024);
    assert_eq!(limits.within(1_024).max_connections, 768 - CLOSING);
    assert_eq!(limits.within(0).max_connections, 1);
}

#[test]
fn bounds_strangers_where_other_machines_can_connect() {
    let bound = |listener: &str, max_connections| {
        let limits = limits(max_connections).facing(listener.parse().unwrap());
        limits.max_strangers
    };
    for own in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
        assert_eq!(bound(own, 1_024), None, "{own}");
    }
    for public in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "[2001:db8::1]:1"] {
        assert_eq!(bound(public, 1_024), Some(256), "{public}");
    }
    assert_eq!(bound("0.0.0.0:1", 3), Some(1));
}
