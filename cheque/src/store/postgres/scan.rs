//! Scans in chunks, so that memory holds a few rows at a time.

use crate::store::{
    interface::VisitAll,
    postgres::{
        connection::{Connection, with_timeout},
        error::ReadError,
    },
    table::Table,
};
use std::{ops::ControlFlow, time::Duration};
use tokio_postgres::{IsolationLevel, types::ToSql};

/// The approximate size of a chunk, and the bound on its rows.
const CHUNK_BYTES: usize = 1 << 20;
const CHUNK_ROWS: usize = 4096;

/// Calls `each` with all rows of the tables whose keys start with `prefix`, as of the same moment. Cuts the connection
/// if the server takes longer than `answer_timeout` for an answer.
pub(super) async fn scan(
    connection: &mut Connection,
    tables: &[Table],
    prefix: &[u8],
    answer_timeout: Duration,
    each: &mut VisitAll<'_>,
) -> Result<(), ReadError> {
    let scanned = rows(connection, tables, prefix, answer_timeout, each).await;
    if let Err(ReadError::Timeout(_)) = scanned {
        connection.cut();
    }
    scanned
}

async fn rows(
    connection: &mut Connection,
    tables: &[Table],
    prefix: &[u8],
    answer_timeout: Duration,
    each: &mut VisitAll<'_>,
) -> Result<(), ReadError> {
    let statement = connection.statements.scan.clone();
    let transaction = connection
        .client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start();
    let transaction = with_timeout(answer_timeout, transaction).await??;
    'tables: for table in tables {
        let name = table.name();
        let parameters: [&(dyn ToSql + Sync); 2] = [&name, &prefix];
        let rows =
            with_timeout(answer_timeout, transaction.bind(&statement, &parameters)).await??;
        // Starts with a single row, because some tables have large values.
        let mut count = 1;
        loop {
            let limit = i32::try_from(count).unwrap_or(i32::MAX);
            let chunk =
                with_timeout(answer_timeout, transaction.query_portal(&rows, limit)).await??;
            let mut bytes = 0;
            for row in &chunk {
                let (key, value): (&[u8], &[u8]) = (row.try_get(0)?, row.try_get(1)?);
                bytes += key.len() + value.len();
                if !key.starts_with(prefix) {
                    continue 'tables;
                }
                if let ControlFlow::Break(()) = each(*table, key, value) {
                    break 'tables;
                }
            }
            if chunk.len() < count {
                break;
            }
            let fitting = CHUNK_BYTES * count / bytes.max(1);
            count = fitting.clamp(1, CHUNK_ROWS).min(count * 4);
        }
    }
    Ok(with_timeout(answer_timeout, transaction.rollback()).await??)
}
