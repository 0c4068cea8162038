//! A connection to the node whose length can be set: what is sent arrives later, however much it is.
//!
//! The proxy of the fault tests reads every request and forwards a batch one by one, which would itself be the load here.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{Instant, sleep_until},
};

/// Chunks that are on their way at a time, on one connection.
const CHUNKS: usize = 1_024;

/// A listener that forwards to the node. Ends with the runtime.
pub(crate) struct Wire {
    pub(crate) url: String,
    delay: Arc<AtomicU64>,
}

impl Wire {
    pub(crate) async fn to(node: &str) -> Self {
        let node = node.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let delay = Arc::new(AtomicU64::new(0));
        let length = Arc::clone(&delay);
        tokio::spawn(async move {
            loop {
                let (caller, _) = listener.accept().await.unwrap();
                let server = TcpStream::connect(&node).await.unwrap();
                for stream in [&caller, &server] {
                    stream.set_nodelay(true).unwrap();
                }
                let (from_caller, to_caller) = caller.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(carry(from_caller, to_server, Arc::clone(&length)));
                tokio::spawn(carry(from_server, to_caller, Arc::default()));
            }
        });
        Self { url, delay }
    }

    /// Sets the time that a request takes to the node. The answer takes none.
    pub(crate) fn set_delay(&self, milliseconds: u64) {
        self.delay.store(milliseconds, Ordering::SeqCst);
    }
}

/// Carries bytes in order, each chunk for the time of the delay at its arrival.
async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin + Send + 'static,
    delay: Arc<AtomicU64>,
) {
    let (sender, mut underway) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS);
    tokio::spawn(async move {
        while let Some((due, chunk)) = underway.recv().await {
            sleep_until(due).await;
            if to.write_all(&chunk).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    });
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let delay = Duration::from_millis(delay.load(Ordering::SeqCst));
        let chunk = (Instant::now() + delay, buffer[..read].to_vec());
        if sender.send(chunk).await.is_err() {
            return;
        }
    }
}
