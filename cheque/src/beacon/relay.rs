//! One relay: requests in both versions of drand's HTTP API, with bounds on time and length.

use crate::{
    beacon::error::{BeaconError, RelayError},
    http_client::{client_for, proxy_for},
    protocol::beacon::{Beacon, round::BeaconRound},
};
use alloy_primitives::{B256, hex};
use reqwest::{Client, Response, StatusCode, Url, header::RETRY_AFTER, redirect::Policy};
use serde::Deserialize;
use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use tokio::time::timeout;

/// The longest body that is read, in bytes. A round has less than 1,000.
const MAX_BODY: usize = 16_384;

/// The longest chain of redirects that is followed.
const MAX_REDIRECTS: usize = 3;

/// A round, or the newest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Wanted {
    Newest,
    Round(u64),
}

/// A relay of one chain.
pub(super) struct Relay {
    client: Client,
    /// Host and port of the proxy before the relay.
    proxy: Option<String>,
    base: Url,
    /// Scheme, host and port: URLs may contain keys, so nothing else is shown.
    pub(super) host: String,
    chain: B256,
    timeout: Duration,
    /// True once version 2 was missing and version 1 has answered.
    is_old: AtomicBool,
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Relay({})", self.host)
    }
}

/// The fields of a round that count. drand's `randomness` is not read: the seed follows from the signature.
#[derive(Deserialize)]
struct Answer {
    round: u64,
    signature: String,
}

fn http_client(url: &Url) -> Result<Client, BeaconError> {
    let client = client_for(url)
        .redirect(Policy::limited(MAX_REDIRECTS))
        .user_agent(concat!("cheque/", env!("CARGO_PKG_VERSION")))
        .build();
    client.map_err(|error| BeaconError::Http(error.without_url().to_string()))
}

impl Relay {
    /// Makes relay `number`, counted from 1. Does not connect.
    pub(super) fn new(
        number: usize,
        url: &str,
        chain: B256,
        timeout: Duration,
    ) -> Result<Self, BeaconError> {
        let refused = |url: String| BeaconError::Url { relay: number, url };
        let base: Url = url.trim().parse().map_err(|_| refused(String::new()))?;
        let port = base.port().map(|port| format!(":{port}"));
        let host = format!(
            "{}://{}{}",
            base.scheme(),
            base.host_str().unwrap_or_default(),
            port.unwrap_or_default()
        );
        if !matches!(base.scheme(), "http" | "https") {
            return Err(refused(host));
        }
        Ok(Self {
            client: http_client(&base)?,
            proxy: proxy_for(&base),
            base,
            host,
            chain,
            timeout,
            is_old: AtomicBool::new(false),
        })
    }

    /// Fetches and verifies a round.
    pub(super) async fn fetch(
        &self,
        wanted: Wanted,
        beacon: &Beacon,
    ) -> Result<BeaconRound, RelayError> {
        let answered = timeout(self.timeout, self.answer(wanted));
        let answer = answered
            .await
            .unwrap_or(Err(RelayError::TimedOut(self.timeout)))?;
        if let Wanted::Round(asked) = wanted
            && asked != answer.round
        {
            let found = answer.round;
            return Err(RelayError::WrongRound { asked, found });
        }
        let signature = hex::decode(&answer.signature).map_err(|_| RelayError::Unreadable)?;
        let verified = beacon.verify(answer.round, &signature);
        verified.map_err(RelayError::Invalid)
    }

    /// Asks in version 2 of the API, and in version 1 where that is missing.
    async fn answer(&self, wanted: Wanted) -> Result<Answer, RelayError> {
        if !self.is_old.load(Ordering::Relaxed) {
            match self.get(&self.path(wanted, false)).await {
                // What servers say to an unknown path.
                Err(RelayError::Unreadable | RelayError::Status(400 | 403..=405 | 410 | 501)) => {}
                answered => return answered,
            }
        }
        let answered = self.get(&self.path(wanted, true)).await;
        let answered = answered.map_err(|error| match error {
            RelayError::Status(404) => RelayError::NotYet,
            other => other,
        });
        // A relay without any answer may have both versions again later.
        self.is_old.store(answered.is_ok(), Ordering::Relaxed);
        answered
    }

    fn path(&self, wanted: Wanted, is_old: bool) -> String {
        let chain = hex::encode(self.chain);
        match (wanted, is_old) {
            (Wanted::Newest, false) => format!("v2/chains/{chain}/rounds/latest"),
            (Wanted::Round(round), false) => format!("v2/chains/{chain}/rounds/{round}"),
            (Wanted::Newest, true) => format!("{chain}/public/latest"),
            (Wanted::Round(round), true) => format!("{chain}/public/{round}"),
        }
    }

    async fn get(&self, path: &str) -> Result<Answer, RelayError> {
        let mut url = self.base.clone();
        url.set_path(&format!(
            "{}/{path}",
            self.base.path().trim_end_matches('/')
        ));
        let response = self.client.get(url).send().await;
        let response = response.map_err(|error| self.unreachable(error))?;
        match response.status() {
            status if status.is_success() => self.read(response).await,
            StatusCode::TOO_EARLY => Err(RelayError::NotYet),
            StatusCode::TOO_MANY_REQUESTS => Err(RelayError::RateLimited {
                retry_after: retry_after(&response),
            }),
            status => Err(RelayError::Status(status.as_u16())),
        }
    }

    /// Reads a body of bounded length.
    async fn read(&self, mut response: Response) -> Result<Answer, RelayError> {
        let mut body = Vec::new();
        loop {
            let part = response.chunk().await;
            let Some(part) = part.map_err(|error| self.unreachable(error))? else {
                break;
            };
            if body.len() + part.len() > MAX_BODY {
                return Err(RelayError::TooLong(MAX_BODY));
            }
            body.extend_from_slice(&part);
        }
        serde_json::from_slice(&body).map_err(|_| RelayError::Unreadable)
    }

    fn unreachable(&self, error: reqwest::Error) -> RelayError {
        let reason = if error.is_connect() {
            "no connection"
        } else if error.is_redirect() {
            "too many redirects"
        } else {
            "the connection broke"
        };
        RelayError::Unreachable(match &self.proxy {
            None => reason.to_owned(),
            Some(proxy) => format!("{reason} through the proxy {proxy} of the environment"),
        })
    }
}

/// The pause that a relay asks for, if in seconds. Dates are not read: the usual pause follows.
fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}
