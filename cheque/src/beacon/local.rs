//! A relay of a local beacon, over the HTTP API of drand, for tests and the demo.

use crate::{protocol::beacon::local::LocalBeacon, sys};
use alloy_primitives::hex;
use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::get,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{fmt, future::IntoFuture, io, net::SocketAddr, sync::Arc};
use tokio::{net::TcpListener, sync::oneshot};

/// A running relay of a [`LocalBeacon`]. Ends when dropped.
///
/// Signs each round when asked for it, once its time has come by the clock. Faces programs of this machine only.
#[derive(Debug)]
pub struct LocalRelay {
    url: String,
    /// Ends the server, and its open connections, when dropped.
    _stop: oneshot::Sender<()>,
}

struct Served {
    beacon: LocalBeacon,
    clock: Box<dyn Fn() -> u64 + Send + Sync>,
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.beacon.fmt(f)
    }
}

type Answer = Result<Json<Value>, (StatusCode, &'static str)>;

impl LocalRelay {
    /// Serves a beacon at an address, by the machine's clock. Port 0 picks a free port. Call it within a tokio runtime.
    ///
    /// # Errors
    ///
    /// If nothing can listen at the address.
    pub async fn start(beacon: LocalBeacon, address: SocketAddr) -> io::Result<Self> {
        Self::start_with_clock(beacon, address, sys::unix_now).await
    }

    /// Serves a beacon by another clock, in seconds since 1970: a beacon stops while its clock does.
    ///
    /// # Errors
    ///
    /// As for [`LocalRelay::start`].
    pub async fn start_with_clock(
        beacon: LocalBeacon,
        address: SocketAddr,
        clock: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let clock = Box::new(clock);
        let router = router(Served { beacon, clock });
        let (stop, stopped) = oneshot::channel::<()>();
        let server = axum::serve(listener, router).with_graceful_shutdown(async {
            // An error: the sender is gone.
            let _ = stopped.await;
        });
        tokio::spawn(server.into_future());
        Ok(Self { url, _stop: stop })
    }

    /// Returns the URL for [`BeaconClient::new`](crate::beacon::BeaconClient::new).
    pub fn url(&self) -> &str {
        &self.url
    }
}

fn router(served: Served) -> Router {
    let chain = hex::encode(served.beacon.beacon().chain_hash());
    Router::new()
        .route(&format!("/v2/chains/{chain}/info"), get(info))
        .route(&format!("/v2/chains/{chain}/rounds/latest"), get(latest))
        .route(
            &format!("/v2/chains/{chain}/rounds/{{round}}"),
            get(numbered),
        )
        .route(&format!("/{chain}/info"), get(info))
        .route(&format!("/{chain}/public/latest"), get(latest))
        .route(&format!("/{chain}/public/{{round}}"), get(numbered))
        .with_state(Arc::new(served))
}

async fn info(State(served): State<Arc<Served>>) -> Json<Value> {
    let beacon = served.beacon.beacon();
    Json(json!({
        "public_key": hex::encode(beacon.public_key()),
        "period": beacon.period(),
        "genesis_time": beacon.genesis(),
        "hash": hex::encode(beacon.chain_hash()),
        "schemeID": "bls-unchained-g1-rfc9380",
    }))
}

async fn latest(State(served): State<Arc<Served>>) -> Answer {
    let newest = served.newest();
    answer(
        &served,
        newest.ok_or((StatusCode::NOT_FOUND, "no round yet"))?,
    )
}

async fn numbered(State(served): State<Arc<Served>>, Path(round): Path<u64>) -> Answer {
    if served.newest().is_none_or(|newest| newest < round) {
        return Err((StatusCode::TOO_EARLY, "Requested future beacon"));
    }
    answer(&served, round)
}

fn answer(served: &Served, round: u64) -> Answer {
    let times = served.beacon.beacon().time_of(round);
    times.map_err(|_| (StatusCode::BAD_REQUEST, "no such round"))?;
    let signature = served.beacon.sign(round);
    Ok(Json(json!({
        "round": round,
        "randomness": hex::encode(Sha256::digest(signature)),
        "signature": hex::encode(signature),
    })))
}

impl Served {
    fn newest(&self) -> Option<u64> {
        self.beacon.beacon().newest_at((self.clock)())
    }
}
