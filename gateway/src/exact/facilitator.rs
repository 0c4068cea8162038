//! The client of a facilitator: `POST /verify` and `POST /settle`, each with a deadline and a bounded answer.

use crate::wire::Requirements;
use cheque::Address;
use reqwest::{Client, Response, Url, redirect::Policy};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{fmt, net::IpAddr, time::Duration};
use tokio::time::timeout;

/// The time to verify a payment.
const VERIFY: Duration = Duration::from_secs(10);

/// The time to make a transfer. Shorter than the lease of an authorization.
const SETTLE: Duration = Duration::from_secs(45);

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 << 10;

/// The longest reason that is repeated to a client, in characters.
const MAX_REASON: usize = 100;

/// Verifies payments by `exact`, and makes their transfers. Cheap to clone.
#[derive(Clone)]
pub struct Facilitator {
    client: Client,
    base: Url,
    deadlines: (Duration, Duration),
}

/// The reason why a facilitator is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FacilitatorError {
    /// The URL is neither by HTTPS, nor by HTTP to this machine.
    #[error("the facilitator is no URL by https, or by http to this machine; name another one")]
    Url,
    /// The HTTP client cannot be made.
    #[error("no HTTP client for the facilitator: {0}")]
    Client(String),
}

/// The facilitator's word on a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verified {
    Valid,
    /// With the reason, which is safe to repeat.
    Invalid(String),
    /// No word: the payment may be shown again.
    Unknown(String),
}

/// The facilitator's word on a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// The transfer was made. With the client's receipt, in JSON.
    Made(String),
    /// The transfer was not made, for this reason.
    Refused(String),
    /// The outcome is unknown.
    Unknown(String),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Asked<'a> {
    x402_version: u64,
    payment_payload: &'a Value,
    payment_requirements: &'a Requirements,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VerifyAnswer {
    is_valid: bool,
    invalid_reason: Option<String>,
    payer: Option<Address>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SettleAnswer {
    success: bool,
    error_reason: Option<String>,
    #[serde(default)]
    transaction: String,
    #[serde(default)]
    network: String,
}

/// Hides the path, which may have a key.
impl fmt::Debug for Facilitator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Facilitator({})",
            self.base.host_str().unwrap_or_default()
        )
    }
}

impl Facilitator {
    /// Returns the facilitator at `url`. Connects to nothing yet.
    ///
    /// # Errors
    ///
    /// [`FacilitatorError`] for a URL over which a stranger could forge its word.
    pub fn new(url: &str) -> Result<Self, FacilitatorError> {
        Self::with_deadlines(url, (VERIFY, SETTLE))
    }

    pub(crate) fn with_deadlines(
        url: &str,
        deadlines: (Duration, Duration),
    ) -> Result<Self, FacilitatorError> {
        let base: Url = url.parse().map_err(|_| FacilitatorError::Url)?;
        let is_own = is_this_machine(&base);
        if base.scheme() != "https" && !(base.scheme() == "http" && is_own) {
            return Err(FacilitatorError::Url);
        }
        let builder = Client::builder()
            .redirect(Policy::none())
            .user_agent(concat!("cheque/", env!("CARGO_PKG_VERSION")));
        // A proxy of the environment could not reach this machine.
        let builder = if is_own { builder.no_proxy() } else { builder };
        let client = builder.build();
        let client =
            client.map_err(|error| FacilitatorError::Client(error.without_url().to_string()))?;
        Ok(Self {
            client,
            base,
            deadlines,
        })
    }

    /// Asks whether a payment is good.
    pub(crate) async fn verify(
        &self,
        payload: &Value,
        requirements: &Requirements,
        payer: Address,
    ) -> Verified {
        let answer: VerifyAnswer = match self
            .post("verify", payload, requirements, self.deadlines.0)
            .await
        {
            Ok((_, answer)) => answer,
            Err(reason) => return Verified::Unknown(reason),
        };
        match answer.is_valid {
            true if answer.payer.is_some_and(|other| other != payer) => {
                Verified::Invalid("invalid_payer".to_owned())
            }
            true => Verified::Valid,
            false => Verified::Invalid(reason(answer.invalid_reason, "invalid_payload")),
        }
    }

    /// Has the transfer made.
    pub(crate) async fn settle(
        &self,
        payload: &Value,
        requirements: &Requirements,
        payer: Address,
    ) -> Settled {
        let (is_good, answer): (bool, SettleAnswer) = match self
            .post("settle", payload, requirements, self.deadlines.1)
            .await
        {
            Ok(answer) => answer,
            Err(reason) => return Settled::Unknown(reason),
        };
        if !answer.success {
            let reason = reason(answer.error_reason, "unexpected_settle_error");
            return Settled::Refused(reason);
        }
        let is_named = !answer.transaction.is_empty() && answer.transaction.len() <= 128;
        if !is_good || !is_named || answer.network != requirements.network {
            return Settled::Unknown("the facilitator's word contradicts itself".to_owned());
        }
        let fields = [
            ("success", Value::Bool(true)),
            ("transaction", answer.transaction.into()),
            ("network", answer.network.into()),
            ("payer", payer.to_checksum(None).into()),
            ("amount", requirements.amount.clone().into()),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value));
        Settled::Made(Value::Object(Map::from_iter(fields)).to_string())
    }

    /// Posts a question. Returns whether the status was one of success, and the answer in JSON, whatever the status: some
    /// facilitators refuse by 400.
    async fn post<T: for<'de> Deserialize<'de>>(
        &self,
        verb: &str,
        payload: &Value,
        requirements: &Requirements,
        deadline: Duration,
    ) -> Result<(bool, T), String> {
        let mut url = self.base.clone();
        url.set_path(&format!(
            "{}/{verb}",
            self.base.path().trim_end_matches('/')
        ));
        let asked = Asked {
            x402_version: 2,
            payment_payload: payload,
            payment_requirements: requirements,
        };
        // Plain data always has a JSON form.
        let body = serde_json::to_vec(&asked).unwrap_or_default();
        let request = self.client.post(url);
        let request = request
            .header("content-type", "application/json")
            .body(body);
        let asking = async {
            let failed = |error: reqwest::Error| error.without_url().to_string();
            let response = request.send().await.map_err(failed)?;
            let status = response.status();
            let body = read(response).await?;
            let answer = serde_json::from_slice(&body);
            let answer = answer.map_err(|_| format!("status {status} without a known answer"))?;
            Ok((status.is_success(), answer))
        };
        let late = |_| Err(format!("no answer in {} s", deadline.as_secs()));
        timeout(deadline, asking).await.unwrap_or_else(late)
    }
}

/// Reads a body of bounded length.
async fn read(mut response: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        let part = response.chunk().await;
        let part = part.map_err(|error| error.without_url().to_string())?;
        let Some(part) = part else {
            return Ok(body);
        };
        if body.len() + part.len() > MAX_ANSWER {
            return Err(format!("the answer is longer than {MAX_ANSWER} bytes"));
        }
        body.extend_from_slice(&part);
    }
}

/// A reason that is safe to repeat in a header: short, and of few characters.
fn reason(told: Option<String>, default: &str) -> String {
    let told = told.unwrap_or_default();
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"_-. :".contains(&byte);
    match !told.is_empty() && told.len() <= MAX_REASON && told.bytes().all(is_safe) {
        true => told,
        false => default.to_owned(),
    }
}

fn is_this_machine(url: &Url) -> bool {
    let Some(host) = url.host_str() else {
        return false;
    };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    match address.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host == "localhost",
    }
}
