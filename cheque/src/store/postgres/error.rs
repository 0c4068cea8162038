//! Errors of connections.

use crate::store::{error::StoreError, postgres::passfile::PassfileError};
use std::{fmt, sync::Arc, time::Duration};
use tokio_postgres::error::{DbError, Severity};

/// An error of the client library, with its causes in one line.
#[derive(Debug)]
pub(super) struct SqlError(pub(super) tokio_postgres::Error);

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.0.to_string();
        let mut cause = std::error::Error::source(&self.0);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        f.write_str(&text.replace('\n', " "))
    }
}

impl std::error::Error for SqlError {}

impl SqlError {
    /// True if the connection is lost, or may be. False if the server has answered and still serves the connection.
    pub(super) fn is_loss(&self) -> bool {
        let severity = self.0.as_db_error().map(DbError::parsed_severity);
        severity != Some(Some(Severity::Error))
    }
}

/// A failed login without a password, where a password file was left alone.
#[derive(Debug, thiserror::Error)]
#[error("{error}; {passfile}")]
pub(super) struct Unauthorized {
    pub(super) error: SqlError,
    pub(super) passfile: Arc<PassfileError>,
}

/// A server that has not answered in time.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {} s", .after.as_secs())]
pub(super) struct AnswerTimeout {
    pub(super) after: Duration,
}

/// A store that is being dropped.
#[derive(Debug, thiserror::Error)]
#[error("the store is being closed")]
pub(super) struct Closing;

/// The reason why a connection could not be made.
#[derive(Debug)]
pub(super) enum ConnectError {
    /// The server refused.
    Sql(SqlError),
    /// The server did not answer.
    Timeout(AnswerTimeout),
    /// The tables or the server's settings do not suit.
    Store(StoreError),
}

impl From<tokio_postgres::Error> for ConnectError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Sql(SqlError(error))
    }
}

/// The reason why a read failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error(transparent)]
    Sql(SqlError),
    #[error(transparent)]
    Timeout(#[from] AnswerTimeout),
}

impl From<tokio_postgres::Error> for ReadError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Sql(SqlError(error))
    }
}

impl ReadError {
    /// True if the connection is lost, or may be.
    pub(super) fn is_loss(&self) -> bool {
        match self {
            Self::Sql(error) => error.is_loss(),
            Self::Timeout(_) => true,
        }
    }
}
