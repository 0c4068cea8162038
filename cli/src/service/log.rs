//! What a service writes down: one line for each event, on stderr.

use std::io::{self, IsTerminal};

use clap::ValueEnum;
use eyre::{Result, eyre};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    Layer, filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

/// How much is logged.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
}

/// Logs from now on.
pub(super) fn start(level: LogLevel, format: LogFormat) -> Result<()> {
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(targets(level)))
        .try_init()
        .map_err(|error| eyre!("cannot log: {error}"))
}

/// The level counts for this program; its dependencies tell no more than warnings.
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
    fn the_level_counts_for_this_program_and_dependencies_only_warn() {
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
