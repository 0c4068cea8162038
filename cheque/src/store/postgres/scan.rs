//! Scans in chunks, so that no more than a few rows are in memory.

use crate::store::{
    Table, VisitAll,
    postgres::connection::{Connection, Lost, within},
};
use std::{ops::ControlFlow, time::Duration};
use tokio_postgres::{IsolationLevel, types::ToSql};

/// About how much one chunk takes, and how many rows it has at most.
const CHUNK_BYTES: usize = 1 << 20;
const CHUNK_ROWS: usize = 4096;

/// Calls `each` with all rows of the tables whose keys start with `prefix`, as of one moment. Each answer of the server
/// may take as long as `silence`, and then the connection is cut.
pub(super) async fn scan(
    connection: &mut Connection,
    tables: &[Table],
    prefix: &[u8],
    silence: Duration,
    each: &mut VisitAll<'_>,
) -> Result<(), Lost> {
    let scanned = rows(connection, tables, prefix, silence, each).await;
    if let Err(Lost::Silent(_)) = scanned {
        connection.cut();
    }
    scanned
}

async fn rows(
    connection: &mut Connection,
    tables: &[Table],
    prefix: &[u8],
    silence: Duration,
    each: &mut VisitAll<'_>,
) -> Result<(), Lost> {
    let statement = connection.statements.scan.clone();
    let transaction = connection
        .client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start();
    let transaction = within(silence, transaction).await??;
    'tables: for table in tables {
        let name = table.name();
        let parameters: [&(dyn ToSql + Sync); 2] = [&name, &prefix];
        let rows = within(silence, transaction.bind(&statement, &parameters)).await??;
        // One at first: the values of some tables are large.
        let mut count = 1;
        loop {
            let limit = i32::try_from(count).unwrap_or(i32::MAX);
            let chunk = within(silence, transaction.query_portal(&rows, limit)).await??;
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
    Ok(within(silence, transaction.rollback()).await??)
}
