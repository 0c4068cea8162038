//! SIGTERM and SIGINT, which end a service.

use std::process;

use eyre::{Result, WrapErr};
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;

/// Returns a token, cancelled by the first signal. A second signal ends the process at once. Nothing is lost then,
/// because the store has every payment before its answer is sent.
pub(super) fn listen() -> Result<CancellationToken> {
    let mut signals = Signals::new().wrap_err("cannot listen to signals")?;
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        signals.next().await;
        tracing::info!(
            event = "service_stopping",
            "the service stops in order; another signal would end it at once"
        );
        stopped.cancel();
        signals.next().await;
        process::exit(Exit::Interrupted as i32);
    });
    Ok(stop)
}

/// Does `work` at each SIGHUP, until `stop`. Systems without this signal wait for `stop` alone.
#[cfg(unix)]
pub(crate) async fn on_hangup(stop: impl Future<Output = ()>, work: impl AsyncFn()) -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangup = signal(SignalKind::hangup()).wrap_err("cannot listen to SIGHUP")?;
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            biased;
            () = &mut stop => return Ok(()),
            _ = hangup.recv() => work().await,
        }
    }
}

/// Waits for `stop`: this system has no SIGHUP.
#[cfg(not(unix))]
pub(crate) async fn on_hangup(stop: impl Future<Output = ()>, _: impl AsyncFn()) -> Result<()> {
    stop.await;
    Ok(())
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// Listens for signals from now on.
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    /// Listens for Ctrl-C from now on.
    fn new() -> std::io::Result<Self> {
        Ok(Self(tokio::signal::windows::ctrl_c()?))
    }

    async fn next(&mut self) {
        self.0.recv().await;
    }
}
