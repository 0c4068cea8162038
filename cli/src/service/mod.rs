//! The frame of `payer run` and `payee run`: HTTP server, log, metrics and graceful shutdown.
//!
//! ```text
//! let service = self.service.start(address, limits).await?;    // listens for signals from here on
//! let payer = service.prepare(self.payer()).await?;            // a signal ends the preparation
//! let router = api::router(payer.clone(), service.streams());
//! let work = payer.clone().run(service.stop().cancelled_owned());
//! service.serve(out, router, move || payer.health(), work).await
//! ```

mod access;
pub(crate) mod body;
pub(crate) mod error;
pub(crate) mod events;
mod log;
pub(crate) mod page;
mod signals;
#[cfg(test)]
mod tests;

use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf, pin::pin, time::Duration};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Request},
    http::{HeaderName, StatusCode, header::CONTENT_TYPE},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use cheque::service::{
    Health,
    http::{HttpLimits, HttpServer, Refusals, raise_descriptor_limit},
};
use clap::Args;
use eyre::{Report, Result, WrapErr, ensure};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::json;
use tokio::{net::TcpListener, task::JoinHandle, time};
use tokio_util::sync::CancellationToken;

use crate::{
    exit::{Exit, Failure},
    output::Output,
};
use cheque::service::access::Gate;
use error::HttpError;
use events::Streams;
use log::{LogFormat, LogLevel};
pub(crate) use signals::on_hangup;

/// The longest request body, in bytes. A proof of payment with 40 levels has less than 4 kB.
const MAX_REQUEST: usize = 1 << 16;

/// The longest time to an answer. Streams of events begin at once, and may then go on.
const ANSWER: Duration = Duration::from_secs(60);

/// The largest number of connections, whatever the flag says.
const MAX_CONNECTIONS: usize = 65_536;

/// How long open requests may take after the first signal.
pub(crate) const DRAIN: Duration = Duration::from_secs(10);

/// The interval of the metrics exporter's upkeep, which runs even if nobody reads the metrics.
const UPKEEP: Duration = Duration::from_secs(10);

/// The format of `/metrics`.
const PROMETHEUS: [(HeaderName, &str); 1] = [(CONTENT_TYPE, "text/plain; version=0.0.4")];

/// A service's address and its bound of connections.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Service")]
pub(crate) struct ListenOpts {
    /// Serve HTTP at this address; port 0 picks a free port [default: payer 127.0.0.1:9551, payee 127.0.0.1:9552, gateway
    /// 127.0.0.1:8402]
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "CHEQUE_LISTEN",
        hide_env_values = true
    )]
    listen: Option<SocketAddr>,

    /// Serve at most this many connections at a time; fewer if descriptors are short [default: 1024, gateway 5120]
    ///
    /// A connection above the limit takes the place of a caller without the token, or of an idle one. At a gateway, payments
    /// stand for the token.
    #[arg(
        long,
        value_name = "NUMBER",
        env = "CHEQUE_MAX_CONNECTIONS",
        hide_env_values = true
    )]
    max_connections: Option<NonZeroUsize>,
}

/// A service's access and log.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Service")]
pub(crate) struct ServiceOpts {
    /// Require the bearer token in the file PATH; optional on loopback addresses
    #[arg(
        long,
        value_name = "PATH",
        env = "CHEQUE_API_TOKEN_FILE",
        hide_env_values = true
    )]
    api_token_file: Option<PathBuf>,

    /// Log events of this level and above to stderr
    #[arg(
        long,
        value_name = "LEVEL",
        env = "CHEQUE_LOG_LEVEL",
        hide_env_values = true,
        default_value = "info"
    )]
    log_level: LogLevel,

    /// Write the log in this format
    #[arg(
        long,
        value_name = "FORMAT",
        env = "CHEQUE_LOG_FORMAT",
        hide_env_values = true,
        default_value = "text"
    )]
    log_format: LogFormat,
}

impl ListenOpts {
    /// The address of the flag, else `default`.
    pub(crate) fn address(&self, default: SocketAddr) -> SocketAddr {
        self.listen.unwrap_or(default)
    }

    /// The bounds of the usual service.
    pub(crate) fn limits(&self) -> HttpLimits {
        self.limits_of(HttpLimits::default())
    }

    /// The bounds of a service whose defaults these are.
    pub(crate) fn limits_of(&self, mut limits: HttpLimits) -> HttpLimits {
        if let Some(wanted) = self.max_connections {
            limits.max_connections = wanted.get();
        }
        limits.max_connections = limits.max_connections.min(MAX_CONNECTIONS);
        limits
    }
}

impl ServiceOpts {
    /// Starts log, metrics and signal handling, and listens at the address. Requests wait until [`Service::serve`].
    pub(crate) async fn start(&self, address: SocketAddr, limits: HttpLimits) -> Result<Service> {
        let gate = access::open(address, self.api_token_file.as_deref())?;
        let stop = signals::listen()?;
        log::start(self.log_level, self.log_format)?;
        let metrics = PrometheusBuilder::new().install_recorder();
        let metrics = metrics.wrap_err("cannot record metrics")?;
        cheque::service::metrics::describe();
        Service::bind(address, gate, metrics, within_descriptors(limits), stop).await
    }
}

/// Lowers the number of connections to what the process may open.
pub(crate) fn within_descriptors(wanted: HttpLimits) -> HttpLimits {
    let descriptors = raise_descriptor_limit();
    let limits = descriptors.map_or(wanted, |descriptors| wanted.within(descriptors));
    if limits.max_connections < wanted.max_connections {
        tracing::warn!(
            event = "connections_reduced",
            connections = limits.max_connections,
            wanted = wanted.max_connections,
            descriptors,
            "raise the limit of open descriptors (LimitNOFILE, ulimit -n)"
        );
    }
    limits
}

/// A listening service before its first answer.
#[derive(Debug)]
pub(crate) struct Service {
    listener: TcpListener,
    address: SocketAddr,
    gate: Gate,
    metrics: PrometheusHandle,
    limits: HttpLimits,
    stop: CancellationToken,
}

impl Service {
    async fn bind(
        address: SocketAddr,
        gate: Gate,
        metrics: PrometheusHandle,
        limits: HttpLimits,
        stop: CancellationToken,
    ) -> Result<Self> {
        let cannot = || format!("cannot listen on {address}; name another address with --listen");
        let listener = TcpListener::bind(address).await.wrap_err_with(cannot)?;
        let address = listener.local_addr().wrap_err_with(cannot)?;
        Ok(Self {
            listener,
            address,
            gate,
            metrics,
            limits: limits.facing(address),
            stop,
        })
    }

    /// Returns the streams of events of the service. All end with the service.
    pub(crate) fn streams(&self) -> Streams {
        Streams::new(self.limits.max_connections, self.stop())
    }

    /// Returns the token of the service's end, cancelled by a signal or the end of its work. Endless answers must end then.
    pub(crate) fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Awaits the service's preparation; a signal ends the wait with [`Exit::Interrupted`].
    pub(crate) async fn prepare<T>(
        &self,
        preparation: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Report::new(Failure {
                exit: Exit::Interrupted,
                code: "interrupted".to_owned(),
                text: "the service is interrupted before it began; start it again".to_owned(),
            })),
            done = preparation => done,
        }
    }

    /// Answers requests and runs the work until a signal comes or one of the two fails. Then finishes open requests within
    /// [`DRAIN`], and the work's current step.
    ///
    /// Adds `GET /health` and `GET /metrics` to the router's paths. The work must end once [`Self::stop`] is cancelled.
    ///
    /// # Errors
    /// Fails with the work's error, or if the HTTP server fails or ends too early.
    pub(crate) async fn serve<E: Into<Report>>(
        self,
        out: &Output,
        router: Router,
        health: impl Fn() -> Health + Clone + Send + Sync + 'static,
        work: impl Future<Output = Result<(), E>>,
    ) -> Result<()> {
        let url = format!("http://{}", self.address);
        out.event(&json!({ "listening": url }), || format!("listening: {url}"))?;
        tracing::info!(event = "service_started", %url);
        let upkeep = tokio::spawn(run_upkeep(self.metrics.clone()));
        let refusals = Refusals::default();
        let guard = access::Guard::new(self.gate, refusals.clone());
        let router = with_common_paths(router, health, self.metrics, guard);
        let stopped = self.stop.clone().cancelled_owned();
        let server = HttpServer::new(self.limits, refusals);
        let server = server.serve(self.listener, router, stopped);
        let ended = run_beside(tokio::spawn(server), work, &self.stop).await;
        upkeep.abort();
        match &ended {
            Ok(()) => tracing::info!(event = "service_stopped"),
            Err(error) => tracing::error!(event = "service_failed", error = format!("{error:#}")),
        }
        ended
    }
}

/// Runs the work until its end, and then the server until its open requests are answered, for [`DRAIN`] at most. The end of one
/// cancels `stop`, and so ends the other.
///
/// # Errors
/// Fails with the work's error. Fails, too, if the server ends before `stop`: a service without it answers nobody, and only a
/// process that ends is started again.
async fn run_beside<E: Into<Report>>(
    mut server: JoinHandle<()>,
    work: impl Future<Output = Result<(), E>>,
    stop: &CancellationToken,
) -> Result<()> {
    let mut work = pin!(work);
    let worked = tokio::select! {
        biased;
        served = &mut server => {
            let is_early = !stop.is_cancelled();
            stop.cancel();
            let worked = work.await.map_err(Into::into);
            served.wrap_err("the HTTP server failed")?;
            ensure!(!is_early, "the HTTP server has ended; start the service again");
            return worked;
        }
        worked = &mut work => worked.map_err(Into::into),
    };
    // The work may have ended without a signal.
    stop.cancel();
    match time::timeout(DRAIN, server).await {
        Ok(served) => served.wrap_err("the HTTP server failed")?,
        Err(_) => tracing::warn!(
            event = "requests_dropped",
            "requests are unanswered at the end of the time limit"
        ),
    }
    worked
}

async fn run_upkeep(metrics: PrometheusHandle) {
    let mut interval = time::interval(UPKEEP);
    loop {
        interval.tick().await;
        metrics.run_upkeep();
    }
}

/// Answers 200 for a healthy service, else 503.
fn health_answer(health: Health) -> (StatusCode, Json<Health>) {
    let status = match health.ok {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(health))
}

/// Adds the paths of every service to the router, and puts all paths behind the gate.
fn with_common_paths(
    router: Router,
    health: impl Fn() -> Health + Clone + Send + Sync + 'static,
    metrics: PrometheusHandle,
    guard: access::Guard,
) -> Router {
    router
        .route(
            "/metrics",
            get(async move || (PROMETHEUS, metrics.render())),
        )
        .route("/health", get(async move || health_answer(health())))
        .fallback(async || {
            HttpError::new(StatusCode::NOT_FOUND, "not_found", "the path is unknown")
        })
        .method_not_allowed_fallback(async || {
            let text = "the path does not support this method";
            HttpError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", text)
        })
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
        .layer(middleware::from_fn(in_time))
        .layer(middleware::from_fn_with_state(guard, access::check))
}

/// Ends a request that takes too long.
async fn in_time(request: Request, next: Next) -> Response {
    match time::timeout(ANSWER, next.run(request)).await {
        Ok(answer) => answer,
        Err(_) => HttpError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "result_unknown",
            "there is no answer after 60 s; the payment may be made or recorded; send it again as the guide says",
        )
        .into_response(),
    }
}
