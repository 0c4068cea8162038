//! The tables and their migrations.

use crate::store::{error::StoreError, postgres::error::ConnectError};
use std::path::Path;
use tokio_postgres::{Client, error::SqlState};

/// The migrations: each takes the tables from the format of its position to the next. A released migration never
/// changes.
///
/// `value` is stored uncompressed: positions and salts do not compress, and trying costs time. Half of each page stays
/// free, so that an update writes the new value beside the old one without touching an index, and vacuuming is rare.
const STEPS: [&str; 1] = ["CREATE TABLE cheque_rows (
        tab text COLLATE \"C\" NOT NULL,
        key bytea NOT NULL,
        value bytea NOT NULL,
        PRIMARY KEY (tab, key)
    ) WITH (fillfactor = 50);
    ALTER TABLE cheque_rows ALTER COLUMN value SET STORAGE EXTERNAL;"];

/// The newest format of the tables that this library writes and reads.
pub(super) const FORMAT: u32 = STEPS.len() as u32;

/// The advisory lock on migrations: an arbitrary number, the same in all versions of this library.
const LOCK: i64 = 0x6368_6571_7565;

/// Creates the tables, or migrates them to the newest format. Rejects newer tables and tables of other programs.
pub(super) async fn migrate(client: &mut Client, place: &Path) -> Result<(), ConnectError> {
    let transaction = client.transaction().await?;
    transaction
        .batch_execute("SET LOCAL statement_timeout = 0")
        .await?;
    // Workers that start at the same time migrate one after the other.
    transaction
        .execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
        .await?;
    let there = "SELECT to_regclass('cheque_store') IS NULL, to_regclass('cheque_rows') IS NULL";
    let there = transaction.query_one(there, &[]).await?;
    let found = match (there.try_get(0)?, there.try_get(1)?) {
        (false, _) => format(transaction.client(), place).await?,
        (true, false) => return Err(foreign(place)),
        (true, true) => {
            let make = "CREATE TABLE cheque_store (
                    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
                    format integer NOT NULL
                );
                INSERT INTO cheque_store (format) VALUES (0);";
            transaction.batch_execute(make).await?;
            0
        }
    };
    if found < FORMAT {
        for step in STEPS.iter().skip(found as usize) {
            transaction.batch_execute(step).await?;
        }
        let mark = format!("UPDATE cheque_store SET format = {FORMAT}");
        transaction.batch_execute(&mark).await?;
    }
    Ok(transaction.commit().await?)
}

/// Rejects tables of another format. A migration may happen between two connections.
pub(super) async fn check(client: &Client, place: &Path) -> Result<(), ConnectError> {
    match format(client, place).await? {
        FORMAT => Ok(()),
        found => Err(ConnectError::Store(StoreError::Older {
            path: place.to_path_buf(),
            found,
            known: FORMAT,
        })),
    }
}

/// Rejects a database without the tables.
pub(super) async fn require(client: &Client, place: &Path) -> Result<(), ConnectError> {
    let there =
        "SELECT coalesce(to_regclass('cheque_store'), to_regclass('cheque_rows')) IS NOT NULL";
    if client.query_one(there, &[]).await?.try_get(0)? {
        return Ok(());
    }
    Err(ConnectError::Store(StoreError::Absent {
        path: place.to_path_buf(),
    }))
}

/// Reads the format of the tables.
async fn format(client: &Client, place: &Path) -> Result<u32, ConnectError> {
    let rows = client
        .query("SELECT format::bigint FROM cheque_store", &[])
        .await;
    let rows = match rows {
        Err(error) if is_other_table(&error) => return Err(foreign(place)),
        rows => rows?,
    };
    let [row] = &rows[..] else {
        return Err(foreign(place));
    };
    let found: i64 = row.try_get(0)?;
    let found = u32::try_from(found).map_err(|_| foreign(place))?;
    if found > FORMAT {
        return Err(ConnectError::Store(StoreError::Newer {
            path: place.to_path_buf(),
            found,
            known: FORMAT,
        }));
    }
    Ok(found)
}

fn is_other_table(error: &tokio_postgres::Error) -> bool {
    let other = [
        &SqlState::UNDEFINED_COLUMN,
        &SqlState::UNDEFINED_TABLE,
        &SqlState::CANNOT_COERCE,
    ];
    error.code().is_some_and(|code| other.contains(&code))
}

fn foreign(place: &Path) -> ConnectError {
    ConnectError::Store(StoreError::Foreign {
        path: place.to_path_buf(),
    })
}
