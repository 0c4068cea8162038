//! When a service is to end: SIGTERM or SIGINT.

use std::process;

use eyre::{Result, WrapErr};
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;

/// A token that the first signal cancels. The second one ends the process at once: nothing is lost, because whatever
/// others know of is in the store.
pub(super) fn listen() -> Result<CancellationToken> {
    let mut signals = Signals::new().wrap_err("cannot listen to signals")?;
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        signals.next().await;
        tracing::info!(
            event = "service_stopping",
            "a second signal ends it at once"
        );
        stopped.cancel();
        signals.next().await;
        process::exit(Exit::Interrupted as i32);
    });
    Ok(stop)
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// Signals are heard from now on.
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
    /// Ctrl-C is heard from now on.
    fn new() -> std::io::Result<Self> {
        Ok(Self(tokio::signal::windows::ctrl_c()?))
    }

    async fn next(&mut self) {
        self.0.recv().await;
    }
}
