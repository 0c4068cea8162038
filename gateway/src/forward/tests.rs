//! Requests to real servers on the loopback address, well and badly behaved.

use super::*;
use crate::ledger::{
    PaymentId,
    tests::{Payer, payee},
};
use axum::{
    Router,
    body::Body as AxumBody,
    extract::Request as Asked,
    http::HeaderMap,
    response::IntoResponse,
    routing::{any, get},
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use headers::Origin;
use http::{HeaderValue, StatusCode};
use http_body::Frame;
use http_body_util::{Empty, Full, StreamBody};
use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};

const ORIGIN: Origin = Origin {
    address: IpAddr::V4(Ipv4Addr::LOCALHOST),
    is_secure: false,
    is_proxy: false,
};

const SHORT: ForwardLimits = ForwardLimits {
    connect: Duration::from_millis(500),
    first_byte: Duration::from_millis(300),
    idle: Duration::from_millis(300),
    max_upload: 1 << 20,
};

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn axum_at(router: Router) -> SocketAddr {
    let (listener, address) = listener().await;
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// A server that reads a header, writes `answer`, waits, and closes the connection.
async fn raw(answer: &'static [u8], wait: Duration) -> SocketAddr {
    let (listener, address) = listener().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut seen = Vec::new();
                while !seen.windows(4).any(|end| end == b"\r\n\r\n") {
                    if stream.read_buf(&mut seen).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                let _ = stream.write_all(answer).await;
                tokio::time::sleep(wait).await;
            });
        }
    });
    address
}

fn upstream(address: &str, limits: ForwardLimits) -> Upstream {
    Upstream::new(&address.parse().unwrap(), limits).unwrap()
}

fn to(address: SocketAddr) -> Upstream {
    upstream(&format!("http://{address}"), SHORT)
}

fn ask(path: &str) -> Request<Empty<Bytes>> {
    Request::get(path).body(Empty::new()).unwrap()
}

async fn text(answer: Answer) -> String {
    let bytes = answer.response.into_body().collect().await.unwrap();
    String::from_utf8(bytes.to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn forwards_path_and_query_byte_for_byte_below_its_own() {
    let echo = |request: Asked| async move { request.uri().to_string() };
    let address = axum_at(Router::new().fallback(any(echo))).await;
    let upstream = upstream(&format!("http://{address}/v1/"), SHORT);
    for path in [
        "/",
        "/a%2Fb;x=1?q=%41&r=a+b",
        "/%7euser?",
        "/a//b",
        "/\u{5c}x".trim_start_matches('\u{5c}'),
    ] {
        let answer = upstream.send(ask(path), &ORIGIN, None).await.unwrap();
        assert_eq!(text(answer).await, format!("/v1{path}"));
    }
}

#[tokio::test]
async fn refuses_targets_without_a_path() {
    let upstream = upstream("http://127.0.0.1:9", SHORT);
    let request = Request::options("*").body(Empty::<Bytes>::new()).unwrap();
    let error = upstream.send(request, &ORIGIN, None).await.unwrap_err();
    assert!(matches!(error, ForwardError::Target), "{error:?}");
}

#[test]
fn refuses_addresses_that_are_none() {
    for address in ["ftp://host", "/path", "host:80", "http://host/?a=1"] {
        let parsed: Uri = address.parse().unwrap();
        assert!(Upstream::new(&parsed, SHORT).is_err(), "{address}");
    }
}

#[tokio::test]
async fn tells_the_upstream_who_has_paid_and_nobody_what_it_charged() {
    let seen = |headers: HeaderMap| async move {
        let payer = headers.get("x-payer").cloned();
        let payer = payer.unwrap_or(HeaderValue::from_static("nobody"));
        (
            [("cheque-charge", "3"), ("x-own", "1")],
            payer.to_str().unwrap().to_owned(),
        )
            .into_response()
    };
    let upstream = to(axum_at(Router::new().route("/", get(seen))).await);
    let paid = Paid {
        payer: payee(),
        payment: PaymentId::of(&Payer::native(1).cheque(7))
            .unwrap()
            .to_string(),
        reserved: Amount::new(5),
    };
    let mut request = ask("/");
    request
        .headers_mut()
        .insert("x-payer", HeaderValue::from_static("0xbb"));
    let answer = upstream
        .send(request.clone(), &ORIGIN, Some(&paid))
        .await
        .unwrap();
    assert_eq!(answer.reported.charge, Some(Amount::new(3)));
    assert!(!answer.response.headers().contains_key("cheque-charge"));
    assert_eq!(answer.response.headers()["x-own"], "1");
    assert_eq!(text(answer).await, payee().to_checksum(None));
    let free = upstream.send(request, &ORIGIN, None).await.unwrap();
    assert_eq!(text(free).await, "nobody");
}

#[tokio::test]
async fn passes_on_each_part_of_an_answer_before_the_next_exists() {
    let (parts, queue) = mpsc::unbounded_channel::<&'static str>();
    let queue = std::sync::Arc::new(tokio::sync::Mutex::new(Some(queue)));
    let events = move || {
        let queue = std::sync::Arc::clone(&queue);
        async move {
            let queue = queue.lock().await.take().unwrap();
            let parts = stream::unfold(queue, |mut queue| async move {
                Some((Ok::<_, Infallible>(queue.recv().await?), queue))
            });
            AxumBody::from_stream(parts)
        }
    };
    let upstream = to(axum_at(Router::new().route("/", get(events))).await);
    let answer = upstream.send(ask("/"), &ORIGIN, None).await.unwrap();
    let mut body = answer.response.into_body();
    for part in ["one", "two"] {
        parts.send(part).unwrap();
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), part);
    }
    drop(parts);
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn streams_an_upload_while_the_upstream_reads_it() {
    let count = |request: Asked| async move {
        let mut body = request.into_body().into_data_stream();
        let mut bytes = 0;
        while let Some(part) = body.next().await {
            bytes += part.unwrap().len();
        }
        bytes.to_string()
    };
    let upstream = to(axum_at(Router::new().fallback(any(count))).await);
    // Slower in all than the limit for the first byte, and never pausing for that long.
    let parts = stream::unfold(0, |n| async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        (n < 10).then(|| {
            (
                Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"12345"))),
                n + 1,
            )
        })
    });
    let request = Request::post("/")
        .body(StreamBody::new(Box::pin(parts)))
        .unwrap();
    let answer = upstream.send(request, &ORIGIN, None).await.unwrap();
    assert_eq!(text(answer).await, "50");
}

#[tokio::test]
async fn refuses_uploads_above_the_limit_with_and_without_a_length() {
    let read = |request: Asked| async move {
        let _ = axum::body::to_bytes(request.into_body(), usize::MAX).await;
    };
    let upstream = to(axum_at(Router::new().fallback(any(read))).await);
    let large = Bytes::from(vec![0; (1 << 20) + 1]);
    let request = Request::post("/").body(Full::new(large.clone())).unwrap();
    let error = upstream.send(request, &ORIGIN, None).await.unwrap_err();
    assert!(matches!(error, ForwardError::UploadTooLarge), "{error:?}");
    let parts = stream::iter([Ok::<_, Infallible>(Frame::data(large))]);
    let request = Request::post("/").body(StreamBody::new(parts)).unwrap();
    let error = upstream.send(request, &ORIGIN, None).await.unwrap_err();
    assert!(matches!(error, ForwardError::UploadTooLarge), "{error:?}");
}

#[tokio::test]
async fn tells_whose_fault_a_missing_answer_is() {
    let read = |request: Asked| async move {
        let _ = axum::body::to_bytes(request.into_body(), usize::MAX).await;
    };
    let upstream = to(axum_at(Router::new().fallback(any(read))).await);
    let broken = stream::iter([Err::<Frame<Bytes>, _>(std::io::Error::other("gone"))]);
    let request = Request::post("/").body(StreamBody::new(broken)).unwrap();
    let error = upstream.send(request, &ORIGIN, None).await.unwrap_err();
    assert!(
        matches!(error, ForwardError::Upload(_)) && error.is_of_client(),
        "{error:?}"
    );
    let stalled = stream::pending::<Result<Frame<Bytes>, Infallible>>();
    let request = Request::post("/").body(StreamBody::new(stalled)).unwrap();
    let error = upstream.send(request, &ORIGIN, None).await.unwrap_err();
    assert!(matches!(error, ForwardError::UploadStalled), "{error:?}");
}

#[tokio::test]
async fn tells_an_absent_upstream_from_one_that_breaks_off() {
    let (closed, address) = listener().await;
    drop(closed);
    let error = to(address).send(ask("/"), &ORIGIN, None).await.unwrap_err();
    assert!(matches!(error, ForwardError::Unreachable(_)), "{error:?}");
    for answer in [&b""[..], b"HTTP/1.1 200", b"nonsense\r\n\r\n"] {
        let address = raw(answer, Duration::ZERO).await;
        let error = to(address).send(ask("/"), &ORIGIN, None).await.unwrap_err();
        assert!(matches!(error, ForwardError::Broken(_)), "{error:?}");
    }
    let address = raw(
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf",
        Duration::ZERO,
    )
    .await;
    let answer = to(address).send(ask("/"), &ORIGIN, None).await.unwrap();
    let error = answer.response.into_body().collect().await.unwrap_err();
    assert!(matches!(error, ForwardError::Broken(_)), "{error:?}");
}

#[tokio::test]
async fn waits_for_header_and_body_no_longer_than_allowed() {
    let silent = raw(b"", Duration::from_secs(60)).await;
    let began = tokio::time::Instant::now();
    let error = to(silent).send(ask("/"), &ORIGIN, None).await.unwrap_err();
    assert!(matches!(error, ForwardError::TimedOut), "{error:?}");
    // An upstream that reads nothing of a body beyond all buffers.
    let (deaf, address) = listener().await;
    let limits = ForwardLimits {
        max_upload: 1 << 26,
        ..SHORT
    };
    let large = Full::new(Bytes::from(vec![0; 1 << 26]));
    let request = Request::post("/").body(large).unwrap();
    let deaf_one = upstream(&format!("http://{address}"), limits);
    let error = deaf_one.send(request, &ORIGIN, None).await.unwrap_err();
    assert!(matches!(error, ForwardError::TimedOut), "{error:?}");
    drop(deaf);
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf";
    let address = raw(half, Duration::from_secs(60)).await;
    let answer = to(address).send(ask("/"), &ORIGIN, None).await.unwrap();
    let error = answer.response.into_body().collect().await.unwrap_err();
    assert!(matches!(error, ForwardError::TimedOut), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn follows_no_redirect_and_keeps_status_and_headers() {
    let moved = || async { (StatusCode::FOUND, [("location", "/elsewhere")]) };
    let upstream = to(axum_at(Router::new().route("/", get(moved))).await);
    let answer = upstream.send(ask("/"), &ORIGIN, None).await.unwrap();
    assert_eq!(answer.response.status(), StatusCode::FOUND);
    assert_eq!(answer.response.headers()["location"], "/elsewhere");
}

#[tokio::test]
async fn speaks_http2_with_an_upstream_that_wants_it() {
    use hyper::service::service_fn;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    let (listener, address) = listener().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = service_fn(|request: Request<hyper::body::Incoming>| async move {
                let version = format!("{:?} {}", request.version(), request.uri().path());
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(version))))
            });
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(
                async move { server.serve_connection(TokioIo::new(stream), answer).await },
            );
        }
    });
    let upstream = upstream(&format!("h2c://{address}"), SHORT);
    let mut request = ask("/path");
    *request.version_mut() = Version::HTTP_2;
    let answer = upstream.send(request, &ORIGIN, None).await.unwrap();
    assert_eq!(text(answer).await, "HTTP/2.0 /path");
}

#[tokio::test]
async fn a_pause_of_the_reader_is_not_the_upstreams() {
    let (parts, queue) = mpsc::unbounded_channel::<&'static str>();
    let queue = std::sync::Arc::new(tokio::sync::Mutex::new(Some(queue)));
    let answer = move || {
        let queue = std::sync::Arc::clone(&queue);
        async move {
            let queue = queue.lock().await.take().unwrap();
            let parts = stream::unfold(queue, |mut queue| async move {
                Some((Ok::<_, Infallible>(queue.recv().await?), queue))
            });
            AxumBody::from_stream(parts)
        }
    };
    let upstream = to(axum_at(Router::new().route("/", get(answer))).await);
    let answer = upstream.send(ask("/"), &ORIGIN, None).await.unwrap();
    let mut body = answer.response.into_body();
    parts.send("one").unwrap();
    body.frame().await.unwrap().unwrap();
    // Longer than the upstream may pause.
    tokio::time::sleep(2 * SHORT.idle).await;
    body.resume();
    let next = async {
        tokio::task::yield_now().await;
        parts.send("two").unwrap();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        frame = body.frame() => {
            assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), "two");
        }
        () = next => {}
    }
}
