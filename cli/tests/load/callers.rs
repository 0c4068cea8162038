//! Callers of a service, each with one connection, and connections without a request.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

/// The longest wait for an answer.
const ANSWER: Duration = Duration::from_secs(60);

/// A request, as path and JSON body.
pub(crate) type Request = (&'static str, String);

/// Makes the requests of a caller: its number, the number of callers, and the number of the request.
pub(crate) type Make = dyn Fn(usize, usize, usize) -> Request + Send + Sync;

/// The waiting times of all requests of a measurement.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    /// In ascending order.
    pub(crate) times: Vec<Duration>,
    /// Answers other than 200, and connections that ended.
    pub(crate) failures: Vec<String>,
}

impl Waits {
    /// The time within which this share of the requests was answered.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let last = self.times.len().saturating_sub(1);
        let index = (self.times.len() * percent / 100).min(last);
        self.times.get(index).copied().unwrap_or_default()
    }

    fn add(&mut self, other: Self) {
        self.times.extend(other.times);
        self.failures.extend(other.failures);
    }
}

/// Has `callers` send requests for `time`, each after the answer to its last; at least one each.
pub(crate) async fn call(
    url: &str,
    callers: usize,
    time: Duration,
    make: &Arc<Make>,
) -> (Waits, Duration) {
    let begun = Instant::now();
    let end = begun + time;
    let mut all = JoinSet::new();
    for number in 0..callers {
        let (make, address) = (
            Arc::clone(make),
            url.trim_start_matches("http://").to_owned(),
        );
        all.spawn(async move {
            let mut waits = Waits::default();
            let mut stream = None;
            for count in 0.. {
                let request = make(number, callers, count);
                let begun = Instant::now();
                match timeout(ANSWER, ask(&mut stream, &address, &request)).await {
                    Ok(Ok(())) => waits.times.push(begun.elapsed()),
                    Ok(Err(failure)) => waits.failures.push(failure),
                    Err(_) => waits.failures.push("no answer".to_owned()),
                }
                if Instant::now() >= end {
                    break;
                }
            }
            waits
        });
    }
    let mut waits = Waits::default();
    while let Some(of_caller) = all.join_next().await {
        waits.add(of_caller.unwrap());
    }
    let took = begun.elapsed();
    waits.times.sort_unstable();
    (waits, took)
}

/// Sends a request on the caller's connection, or a new one, and reads the whole answer.
async fn ask(
    stream: &mut Option<TcpStream>,
    address: &str,
    (path, body): &Request,
) -> Result<(), String> {
    let mut connection = match stream.take() {
        Some(connection) => connection,
        None => connect(address).await.map_err(|error| error.to_string())?,
    };
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = answer(&mut connection, request.as_bytes()).await;
    let answer = answer.ok_or("the connection has ended")?;
    if !answer.starts_with("HTTP/1.1 200 ") {
        return Err(answer);
    }
    *stream = Some(connection);
    Ok(())
}

async fn connect(address: &str) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn answer(stream: &mut TcpStream, request: &[u8]) -> Option<String> {
    stream.write_all(request).await.ok()?;
    let (mut read, mut buffer) = (Vec::new(), [0; 4_096]);
    loop {
        let count = stream
            .read(&mut buffer)
            .await
            .ok()
            .filter(|count| *count > 0)?;
        read.extend_from_slice(&buffer[..count]);
        let text = std::str::from_utf8(&read).ok()?;
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let mut lines = head.lines();
            let length = lines.find_map(|line| line.strip_prefix("content-length: "))?;
            if body.len() >= length.parse().ok()? {
                return Some(text.to_owned());
            }
        }
    }
}

/// Connections without a request. The service closes them after a while; each is opened again within a second.
pub(crate) struct Held(Arc<AtomicBool>);

impl Held {
    pub(crate) async fn open(url: &str, count: usize) -> Self {
        let address = url.trim_start_matches("http://").to_owned();
        let ended = Arc::new(AtomicBool::new(false));
        let (is_ended, ready) = (Arc::clone(&ended), Arc::new(tokio::sync::Notify::new()));
        let is_ready = Arc::clone(&ready);
        tokio::spawn(async move {
            let mut held: Vec<Option<TcpStream>> = (0..count).map(|_| None).collect();
            while !is_ended.load(Ordering::SeqCst) {
                for place in &mut held {
                    if !place.as_ref().is_some_and(is_open) {
                        *place = TcpStream::connect(&address).await.ok();
                    }
                }
                is_ready.notify_one();
                sleep(Duration::from_secs(1)).await;
            }
        });
        ready.notified().await;
        Self(ended)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// False once the service has closed the connection.
fn is_open(stream: &TcpStream) -> bool {
    let read = stream.try_read(&mut [0; 256]);
    read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}
