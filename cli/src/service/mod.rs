//! What `payer run` and `payee run` share: an HTTP server beside the work, logs, metrics, and an end in order.
//!
//! ```text
//! let service = self.service.start(LISTEN).await?;             // signals are heard from here on
//! let payer = service.prepare(self.payer()).await?;            // a signal ends it, nothing has begun
//! let router = api::router(payer.clone(), service.stop());
//! let work = payer.clone().run(service.stop().cancelled_owned());
//! service.serve(out, router, move || payer.health(), work).await
//! ```

mod access;
mod log;
mod refusal;
mod signals;
#[cfg(test)]
mod tests;

use std::{future::IntoFuture, net::SocketAddr, path::PathBuf, time::Duration};

use axum::{
    Json, Router,
    extract::DefaultBodyLimit,
    http::{HeaderName, StatusCode, header::CONTENT_TYPE},
    middleware,
    routing::get,
};
use cheque::service::Health;
use clap::Args;
use eyre::{Report, Result, WrapErr};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::json;
use tokio::{net::TcpListener, time};
use tokio_util::sync::CancellationToken;

use crate::{
    exit::{Exit, Failure},
    output::Output,
};
use access::Gate;
use log::{LogFormat, LogLevel};
pub(crate) use refusal::Refusal;

/// No request is longer: a proof of payment with 40 levels has less than 4 kB.
const LONGEST_REQUEST: usize = 1 << 16;

/// How long requests in hand may take once the service is to end.
const DRAIN: Duration = Duration::from_secs(10);

/// How often the exporter tidies up, whether or not somebody reads the metrics.
const UPKEEP: Duration = Duration::from_secs(10);

/// The format of `/metrics`.
const PROMETHEUS: [(HeaderName, &str); 1] = [(CONTENT_TYPE, "text/plain; version=0.0.4")];

/// How a service is reached, and what it tells.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Service")]
pub(crate) struct ServiceOpts {
    /// Address and port to answer HTTP requests at; port 0 is any that is free [default: 127.0.0.1:9551 for a payer,
    /// 127.0.0.1:9552 for a payee]
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "CHEQUE_LISTEN",
        hide_env_values = true
    )]
    listen: Option<SocketAddr>,

    /// Answer only requests that carry the bearer token in this file; needed where other machines can reach the address
    #[arg(
        long,
        value_name = "PATH",
        env = "CHEQUE_API_TOKEN_FILE",
        hide_env_values = true
    )]
    api_token_file: Option<PathBuf>,

    /// Log from this level on
    #[arg(
        long,
        value_name = "LEVEL",
        env = "CHEQUE_LOG",
        hide_env_values = true,
        default_value = "info"
    )]
    log: LogLevel,

    /// Format of the log, which goes to stderr
    #[arg(
        long,
        value_name = "FORMAT",
        env = "CHEQUE_LOG_FORMAT",
        hide_env_values = true,
        default_value = "text"
    )]
    log_format: LogFormat,
}

impl ServiceOpts {
    /// Begins to log, to count, to hear signals, and to listen at the address that is named or else at the usual one.
    /// Requests wait until [`Service::serve`].
    pub(crate) async fn start(&self, usual: SocketAddr) -> Result<Service> {
        let address = self.listen.unwrap_or(usual);
        let gate = Gate::open(address, self.api_token_file.as_deref())?;
        let stop = signals::listen()?;
        log::start(self.log, self.log_format)?;
        let metrics = PrometheusBuilder::new().install_recorder();
        let metrics = metrics.wrap_err("cannot count what happens")?;
        cheque::service::metrics::describe();
        Service::bind(address, gate, metrics, stop).await
    }
}

/// A service that listens and does not answer yet.
#[derive(Debug)]
pub(crate) struct Service {
    listener: TcpListener,
    address: SocketAddr,
    gate: Gate,
    metrics: PrometheusHandle,
    stop: CancellationToken,
}

impl Service {
    async fn bind(
        address: SocketAddr,
        gate: Gate,
        metrics: PrometheusHandle,
        stop: CancellationToken,
    ) -> Result<Self> {
        let cannot = || format!("cannot listen on {address}: name another address with --listen");
        let listener = TcpListener::bind(address).await.wrap_err_with(cannot)?;
        let address = listener.local_addr().wrap_err_with(cannot)?;
        Ok(Self {
            listener,
            address,
            gate,
            metrics,
            stop,
        })
    }

    /// Cancelled as soon as the service is to end. Answers that have no end of their own, such as streams of events,
    /// have to end then.
    pub(crate) fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Awaits what has to be done before the service can begin, unless a signal comes first.
    pub(crate) async fn prepare<T>(
        &self,
        preparation: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Report::new(Failure {
                exit: Exit::Interrupted,
                code: "interrupted".to_owned(),
                text: "interrupted before the service began".to_owned(),
            })),
            done = preparation => done,
        }
    }

    /// Answers requests and works until a signal comes or the work fails; then finishes the requests in hand, and the
    /// work its step.
    ///
    /// Adds `GET /health` and `GET /metrics` to the router's paths. The work has to end once [`Self::stop`] is
    /// cancelled.
    ///
    /// # Errors
    /// The work's.
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
        let upkeep = tokio::spawn(tidy(self.metrics.clone()));
        let router = with_common_paths(router, health, self.metrics, self.gate);
        let stopped = self.stop.clone().cancelled_owned();
        let server = axum::serve(self.listener, router).with_graceful_shutdown(stopped);
        let server = tokio::spawn(server.into_future());

        let worked = work.await.map_err(Into::into);
        // It may have ended by itself.
        self.stop.cancel();
        match time::timeout(DRAIN, server).await {
            Ok(served) => served.wrap_err("the HTTP server failed")??,
            Err(_) => tracing::warn!(event = "requests_dropped", "requests were still unanswered"),
        }
        upkeep.abort();
        match &worked {
            Ok(()) => tracing::info!(event = "service_stopped"),
            Err(error) => tracing::error!(event = "service_failed", error = format!("{error:#}")),
        }
        worked
    }
}

async fn tidy(metrics: PrometheusHandle) {
    let mut interval = time::interval(UPKEEP);
    loop {
        interval.tick().await;
        metrics.run_upkeep();
    }
}

/// 200 if all is well, else 503.
fn answer(health: Health) -> (StatusCode, Json<Health>) {
    let status = match health.ok {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(health))
}

/// The router with what every service answers, behind the gate.
fn with_common_paths(
    router: Router,
    health: impl Fn() -> Health + Clone + Send + Sync + 'static,
    metrics: PrometheusHandle,
    gate: Gate,
) -> Router {
    router
        .route(
            "/metrics",
            get(async move || (PROMETHEUS, metrics.render())),
        )
        .route("/health", get(async move || answer(health())))
        .fallback(async || {
            Refusal::new(StatusCode::NOT_FOUND, "not_found", "there is no such path")
        })
        .method_not_allowed_fallback(async || {
            let text = "the path does not answer this method";
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", text)
        })
        .layer(DefaultBodyLimit::max(LONGEST_REQUEST))
        .layer(middleware::from_fn_with_state(gate, access::check))
}
