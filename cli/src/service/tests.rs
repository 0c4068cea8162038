use super::*;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::routing::post;
use eyre::eyre;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
    task::JoinHandle,
};

const QUIET: Output = Output::new(true, true);

fn health(ok: bool) -> Health {
    Health {
        ok,
        reason: "test reason".to_owned(),
        head: Some(7),
        head_age: Some(12),
        warnings: Vec::new(),
        last_error: None,
    }
}

async fn service() -> Service {
    let metrics = PrometheusBuilder::new().build_recorder();
    let handle = metrics.handle();
    metrics::with_local_recorder(&metrics, || metrics::counter!("cheques").increment(3));
    let address = "127.0.0.1:0".parse().unwrap();
    let gate = access::open(address, None).unwrap();
    let stop = CancellationToken::new();
    let limits = HttpLimits::default();
    Service::bind(address, gate, handle, limits, stop)
        .await
        .unwrap()
}

/// Serves without work or paths of its own, until stopped.
async fn idle(ok: bool) -> (SocketAddr, CancellationToken, JoinHandle<Result<()>>) {
    let service = service().await;
    let (address, stop) = (service.address, service.stop());
    let serving = {
        let stopped = stop.clone().cancelled_owned();
        async move {
            let work = async {
                stopped.await;
                Result::<()>::Ok(())
            };
            let health = move || health(ok);
            service.serve(&QUIET, Router::new(), health, work).await
        }
    };
    (address, stop, tokio::spawn(serving))
}

/// Sends a request; returns status, head and body of the answer.
async fn ask(address: SocketAddr, method: &str, path: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request =
        format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_owned(), body.to_owned())
}

#[tokio::test]
async fn answers_health_metrics_and_unknown_paths() {
    let (address, stop, serving) = idle(true).await;
    let (status, _, body) = ask(address, "GET", "/health").await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 200);
    let all = json!({ "ok": true, "reason": "test reason", "head": 7, "head_age": 12, "last_error": null });
    assert_eq!(body, all);
    let (status, head, body) = ask(address, "GET", "/metrics").await;
    assert_eq!(status, 200);
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    assert!(body.contains("\ncheques 3\n"), "{body}");
    for (method, path, expected) in [("GET", "/nowhere", 404), ("POST", "/health", 405)] {
        let (status, _, body) = ask(address, method, path).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(status, expected);
        assert!(
            body["code"].is_string() && body["error"].is_string(),
            "{body}"
        );
    }
    stop.cancel();
    serving.await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn answers_bad_health_with_503() {
    let (address, ..) = idle(false).await;
    let (status, _, body) = ask(address, "GET", "/health").await;
    assert_eq!(status, 503);
    assert!(body.contains(r#""ok":false"#), "{body}");
}

#[tokio::test]
async fn finishes_open_requests_and_the_step_before_it_ends() {
    let service = service().await;
    let (address, stop) = (service.address, service.stop());
    let (arrived, resume) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let finished = Arc::new(AtomicBool::new(false));
    let slow = {
        let (arrived, resume) = (Arc::clone(&arrived), Arc::clone(&resume));
        async move || {
            arrived.notify_one();
            resume.notified().await;
            "done"
        }
    };
    let work = {
        let (stop, resume, finished) = (service.stop(), Arc::clone(&resume), Arc::clone(&finished));
        async move {
            stop.cancelled().await;
            // The signal came while a request was open.
            resume.notify_one();
            tokio::task::yield_now().await;
            finished.store(true, Ordering::SeqCst);
            Result::<()>::Ok(())
        }
    };
    let router = Router::new().route("/slow", post(slow));
    let serving =
        tokio::spawn(async move { service.serve(&QUIET, router, || health(true), work).await });
    let answer = tokio::spawn(async move { ask(address, "POST", "/slow").await });
    arrived.notified().await;
    stop.cancel();
    serving.await.unwrap().unwrap();
    assert!(finished.load(Ordering::SeqCst));
    let (status, _, body) = answer.await.unwrap();
    assert_eq!((status, &body[..]), (200, "done"));
}

#[tokio::test]
async fn ends_with_the_error_of_its_work() {
    let service = service().await;
    let (address, stop) = (service.address, service.stop());
    let work = async { Err(eyre!("the disk is full")) };
    let served = service
        .serve(&QUIET, Router::new(), || health(true), work)
        .await;
    assert_eq!(served.unwrap_err().to_string(), "the disk is full");
    assert!(stop.is_cancelled(), "streams of events must end too");
    assert!(TcpStream::connect(address).await.is_err());
}

/// A server that ends or panics is no reason to go on without answers; the work still finishes its step.
#[tokio::test]
async fn ends_with_an_error_when_the_server_ends() {
    let panicking = async { panic!("of the listener") };
    for (server, text) in [
        (tokio::spawn(async {}), "the HTTP server has ended"),
        (tokio::spawn(panicking), "the HTTP server failed"),
    ] {
        let (stop, finished) = (CancellationToken::new(), AtomicBool::new(false));
        let work = async {
            stop.cancelled().await;
            tokio::task::yield_now().await;
            finished.store(true, Ordering::SeqCst);
            Result::<()>::Ok(())
        };
        let ended = time::timeout(DRAIN, run_beside(server, work, &stop)).await;
        let error = ended.expect("the service must end").unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
        assert!(finished.load(Ordering::SeqCst) && stop.is_cancelled());
    }
}

#[tokio::test]
async fn ends_without_error_when_the_server_ends_after_the_signal() {
    let stop = CancellationToken::new();
    let server = tokio::spawn(stop.clone().cancelled_owned());
    let work = async {
        stop.cancelled().await;
        // The server ends before the step of the work.
        time::sleep(Duration::from_millis(50)).await;
        Result::<()>::Ok(())
    };
    let running = run_beside(server, work, &stop);
    let (ended, ()) = tokio::join!(running, async { stop.cancel() });
    ended.unwrap();
}

#[tokio::test]
async fn ends_endless_preparation_on_a_signal() {
    let service = service().await;
    service.stop().cancel();
    let prepared = service.prepare(std::future::pending::<Result<()>>()).await;
    let error = prepared.unwrap_err();
    let failure = error.downcast_ref::<Failure>().unwrap();
    assert_eq!(failure.exit, Exit::Interrupted);
}

#[tokio::test]
async fn rejects_a_port_in_use() {
    let service = service().await;
    let metrics = PrometheusBuilder::new().build_recorder().handle();
    let gate = access::open(service.address, None).unwrap();
    let limits = HttpLimits::default();
    let again = Service::bind(service.address, gate, metrics, limits, service.stop()).await;
    let error = format!("{:#}", again.unwrap_err());
    assert!(error.contains("--listen"), "{error}");
}

#[tokio::test]
async fn bounds_strangers_on_an_address_beyond_loopback() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "0123456789abcdef0123456789abcdef").unwrap();
    for (listen, max) in [("127.0.0.1:0", None), ("0.0.0.0:0", Some(256))] {
        let address = listen.parse().unwrap();
        let gate = access::open(address, Some(&token)).unwrap();
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let (limits, stop) = (HttpLimits::default(), CancellationToken::new());
        let service = Service::bind(address, gate, metrics, limits, stop).await;
        assert_eq!(service.unwrap().limits.max_strangers, max, "{listen}");
    }
}
