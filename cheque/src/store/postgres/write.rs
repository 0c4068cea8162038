//! The SQL of a batch of swaps.
//!
//! The fast path serves swaps of a single change that sets a value, such as the receipt of a payment: one statement
//! compares and sets all of them, independently of each other, and commits at its end. The slow path serves the rest:
//! swaps with several changes, removals, keys that another swap of the batch names, and swaps that the fast path left
//! undone. A transaction locks the rows, applies swap after swap to the values read, and writes the result.

use crate::store::{
    change::{Change, Swap},
    commit_queue::Batch,
    postgres::{connection::Connection, error::SqlError},
    table::Table,
};
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::{error::SqlState, types::ToSql};

/// The bound on attempts of the slow path while other workers are faster. Each failed attempt means that another worker
/// made progress.
const MAX_ATTEMPTS: usize = 100;

/// Starts the transaction of the slow path. The timeout frees the locks of a worker that freezes between two
/// statements.
const BEGIN: &str = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = '10s'";

type Key<'a> = (Table, &'a [u8]);

/// The reason why a batch failed. Each of its swaps may or may not have been made.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommitError {
    #[error(transparent)]
    Sql(SqlError),
    #[error("other workers were faster {MAX_ATTEMPTS} times")]
    Busy,
}

impl From<tokio_postgres::Error> for CommitError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Sql(SqlError(error))
    }
}

impl CommitError {
    /// True if the server reports a rollback, because of a conflict between workers.
    fn is_rolled_back(&self) -> bool {
        let Self::Sql(SqlError(error)) = self else {
            return false;
        };
        is_rolled_back(error)
    }
}

fn is_rolled_back(error: &tokio_postgres::Error) -> bool {
    let undone = [
        &SqlState::T_R_DEADLOCK_DETECTED,
        &SqlState::T_R_SERIALIZATION_FAILURE,
    ];
    error.code().is_some_and(|code| undone.contains(&code))
}

/// Makes the swaps of a batch, and returns a result for each.
pub(super) async fn commit(
    connection: &Connection,
    batch: &Batch<'_>,
) -> Result<Vec<Swap>, CommitError> {
    let mut swaps = vec![None; batch.len()];
    fast_path(connection, batch, &mut swaps).await?;
    let left: Vec<usize> = (0..batch.len())
        .filter(|index| swaps[*index].is_none())
        .collect();
    if !left.is_empty() {
        let changes: Vec<_> = left.iter().map(|index| batch[*index]).collect();
        let results = slow_path(connection, &changes).await?;
        for (index, swap) in left.into_iter().zip(results) {
            swaps[index] = Some(swap);
        }
    }
    Ok(swaps.into_iter().flatten().collect())
}

/// Changes as columns for a statement, with the position of each swap in its batch.
#[derive(Default)]
struct Columns<'a> {
    places: Vec<usize>,
    tables: Vec<&'static str>,
    keys: Vec<&'a [u8]>,
    old: Vec<&'a [u8]>,
    new: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    fn push(&mut self, place: usize, (table, key): Key<'a>, old: &'a [u8], new: &'a [u8]) {
        self.places.push(place);
        self.tables.push(table.name());
        self.keys.push(key);
        self.old.push(old);
        self.new.push(new);
    }
}

/// Makes single sets, and fills in their results. A swap without a result has written nothing.
async fn fast_path<'a>(
    connection: &Connection,
    batch: &Batch<'a>,
    swaps: &mut [Option<Swap>],
) -> Result<(), tokio_postgres::Error> {
    let single = batch.iter().enumerate().filter_map(|(place, changes)| {
        let [change] = changes else { return None };
        Some((change, place, change.new?))
    });
    let mut single: Vec<_> = single.collect();
    // Sorted by key, so that all workers lock rows in the same order. Of several swaps with the same key, the first
    // stays.
    let key = |change: &Change<'a>| (change.table.name(), change.key);
    single.sort_by(|(one, ..), (other, ..)| key(one).cmp(&key(other)));
    single.dedup_by(|(one, ..), (other, ..)| key(one) == key(other));
    let (mut updates, mut inserts) = (Columns::default(), Columns::default());
    for (change, place, new) in single {
        let key = (change.table, change.key);
        match change.old {
            Some(old) => updates.push(place, key, old, new),
            None => inserts.push(place, key, &[], new),
        }
    }
    // Two transactions, one after the other on the same connection: neither holds locks while waiting for the other.
    let (updated, inserted) = tokio::join!(
        update(connection, &updates),
        insert_new(connection, &inserts)
    );
    for place in updated?.into_iter().chain(inserted?) {
        swaps[place] = Some(Swap::Done);
    }
    Ok(())
}

async fn update(
    connection: &Connection,
    columns: &Columns<'_>,
) -> Result<Vec<usize>, tokio_postgres::Error> {
    if columns.places.is_empty() {
        return Ok(Vec::new());
    }
    let Columns {
        places,
        tables,
        keys,
        old,
        new,
    } = columns;
    let statement = &connection.statements.compare_and_set;
    let rows = connection
        .client
        .query(statement, &[tables, keys, old, new])
        .await;
    let rows = match rows {
        Err(error) if is_rolled_back(&error) => return Ok(Vec::new()),
        rows => rows?,
    };
    let mut done = Vec::new();
    for row in rows {
        let number: i64 = row.try_get(0)?;
        let place = usize::try_from(number - 1).ok().and_then(|n| places.get(n));
        done.extend(place);
    }
    Ok(done)
}

async fn insert_new(
    connection: &Connection,
    columns: &Columns<'_>,
) -> Result<Vec<usize>, tokio_postgres::Error> {
    if columns.places.is_empty() {
        return Ok(Vec::new());
    }
    let Columns {
        places,
        tables,
        keys,
        new,
        ..
    } = columns;
    let statement = &connection.statements.insert;
    let rows = connection
        .client
        .query(statement, &[tables, keys, new])
        .await;
    let rows = match rows {
        Err(error) if is_rolled_back(&error) => return Ok(Vec::new()),
        rows => rows?,
    };
    let of_key: BTreeMap<_, _> = tables.iter().zip(keys).zip(places).collect();
    let mut done = Vec::new();
    for row in &rows {
        let (table, key): (&str, &[u8]) = (row.try_get(0)?, row.try_get(1)?);
        done.extend(of_key.get(&(&table, &key)).copied());
    }
    Ok(done)
}

/// The state of a key on the slow path.
struct Row<'a> {
    /// The value in the database, locked if present.
    stored: Option<&'a [u8]>,
    /// The value after the swaps so far.
    now: Option<&'a [u8]>,
    /// True if a successful swap depends on the key.
    used: bool,
}

async fn slow_path(
    connection: &Connection,
    swaps: &[&[Change<'_>]],
) -> Result<Vec<Swap>, CommitError> {
    for _ in 0..MAX_ATTEMPTS {
        match try_slow_path(connection, swaps).await {
            Ok(Some(results)) => return Ok(results),
            Ok(None) => {}
            Err(error) if error.is_rolled_back() => {
                connection.client.batch_execute("ROLLBACK").await?;
            }
            Err(error) => return Err(error),
        }
    }
    Err(CommitError::Busy)
}

/// Makes an attempt. Returns `None`, with nothing written, if another worker has just created a key that was absent.
async fn try_slow_path(
    connection: &Connection,
    swaps: &[&[Change<'_>]],
) -> Result<Option<Vec<Swap>>, CommitError> {
    let client = &connection.client;
    let statements = &connection.statements;
    let keys: BTreeSet<Key<'_>> = swaps
        .iter()
        .flat_map(|changes| changes.iter())
        .map(|change| (change.table, change.key))
        .collect();
    let tables: Vec<_> = keys.iter().map(|(table, _)| table.name()).collect();
    let names: Vec<_> = keys.iter().map(|(_, key)| *key).collect();
    let keyed: [&(dyn ToSql + Sync); 2] = [&tables, &names];
    // Sends both at once; the server executes them in order.
    let (begun, found) = tokio::join!(
        biased;
        client.batch_execute(BEGIN),
        client.query(&statements.lock, &keyed)
    );
    begun?;
    let mut stored = vec![None; keys.len()];
    for row in found? {
        let number: i64 = row.try_get(0)?;
        let slot = usize::try_from(number - 1).ok();
        if let Some(slot) = slot.and_then(|slot| stored.get_mut(slot)) {
            *slot = Some(row.try_get::<_, Vec<u8>>(1)?);
        }
    }
    let stored: BTreeMap<Key<'_>, Option<Vec<u8>>> = keys.into_iter().zip(stored).collect();
    let (results, rows) = apply_swaps(swaps, &stored);
    if !write(connection, &rows).await? {
        client.batch_execute("ROLLBACK").await?;
        return Ok(None);
    }
    client.batch_execute("COMMIT").await?;
    Ok(Some(results))
}

/// Applies swap after swap in memory, each to the values that the swaps before it have left.
fn apply_swaps<'a>(
    swaps: &[&[Change<'a>]],
    stored: &'a BTreeMap<Key<'a>, Option<Vec<u8>>>,
) -> (Vec<Swap>, BTreeMap<Key<'a>, Row<'a>>) {
    let row = |(key, stored): (&Key<'a>, &'a Option<Vec<u8>>)| {
        let stored = stored.as_deref();
        let row = Row {
            stored,
            now: stored,
            used: false,
        };
        (*key, row)
    };
    let mut rows: BTreeMap<_, _> = stored.iter().map(row).collect();
    let results = swaps.iter().map(|changes| {
        for (index, change) in changes.iter().enumerate() {
            let now = rows
                .get(&(change.table, change.key))
                .and_then(|row| row.now);
            if now != change.old {
                let found = now.map(<[u8]>::to_vec);
                return Swap::Conflict { index, found };
            }
        }
        for change in *changes {
            if let Some(row) = rows.get_mut(&(change.table, change.key)) {
                row.now = change.new;
                row.used = true;
            }
        }
        Swap::Done
    });
    let results = results.collect();
    (results, rows)
}

/// Writes the changed rows. Returns false if another worker has created an absent key.
async fn write(
    connection: &Connection,
    rows: &BTreeMap<Key<'_>, Row<'_>>,
) -> Result<bool, tokio_postgres::Error> {
    let client = &connection.client;
    let statements = &connection.statements;
    let (mut updates, mut inserts, mut deletes) =
        (Columns::default(), Columns::default(), Columns::default());
    for (key, row) in rows {
        match (row.stored, row.now) {
            (Some(stored), Some(now)) if stored != now => updates.push(0, *key, &[], now),
            (Some(_), None) => deletes.push(0, *key, &[], &[]),
            (None, Some(now)) => inserts.push(0, *key, &[], now),
            // An absent row cannot be locked, so the transaction creates it for a moment.
            (None, None) if row.used => {
                inserts.push(0, *key, &[], &[]);
                deletes.push(0, *key, &[], &[]);
            }
            _ => {}
        }
    }
    if !updates.keys.is_empty() {
        let Columns {
            tables, keys, new, ..
        } = &updates;
        client
            .execute(&statements.update, &[tables, keys, new])
            .await?;
    }
    if !inserts.keys.is_empty() {
        let Columns {
            tables, keys, new, ..
        } = &inserts;
        let made = client
            .query(&statements.insert, &[tables, keys, new])
            .await?;
        if made.len() != keys.len() {
            return Ok(false);
        }
    }
    if !deletes.keys.is_empty() {
        let Columns { tables, keys, .. } = &deletes;
        client.execute(&statements.delete, &[tables, keys]).await?;
    }
    Ok(true)
}
