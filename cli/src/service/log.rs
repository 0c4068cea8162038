//! A service's log: a line for each event, on stderr.

use std::io::{self, IsTerminal};

use clap::ValueEnum;
use eyre::{Result, eyre};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer, filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

/// The lowest level to log.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// The format of a line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
}

/// Installs the logger.
pub(super) fn start(level: LogLevel, format: LogFormat) -> Result<()> {
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(targets(level)))
        .try_init()
        .map_err(|error| eyre!("cannot start the log: {error}"))
}

/// Filters by the level, and dependencies by warnings at most.
fn targets(level: LogLevel) -> Targets {
    let level = LevelFilter::from(level);
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("cheque", level)
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn logs_only_warnings_of_dependencies() {
        let debug = targets(LogLevel::Debug);
        assert!(debug.would_enable("cheque::service::payer", &Level::DEBUG));
        assert!(!debug.would_enable("cheque::service::payer", &Level::TRACE));
        assert!(debug.would_enable("hyper::client", &Level::WARN));
        assert!(!debug.would_enable("hyper::client", &Level::INFO));
        let error = targets(LogLevel::Error);
        assert!(!error.would_enable("hyper::client", &Level::WARN));
        assert!(!error.would_enable("cheque", &Level::WARN));
    }
}
