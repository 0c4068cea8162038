//! How a group of swaps becomes SQL.
//!
//! Swaps of one change that sets a value, which is what receiving a payment needs, go the fast way: one statement
//! compares and sets all of them, each on its own, and commits when it ends. What did not fit there, and what is more
//! than one change, a removal or a key that another swap of the group is about, goes the slow way: a transaction locks
//! the rows, judges swap by swap what it has read, and writes the result.

use crate::store::{
    Change, Swap, Table,
    commit_queue::Group,
    postgres::connection::{Connection, Sql},
};
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::{error::SqlState, types::ToSql};

/// How often the slow way begins again when other workers were faster. Each time one of them has got on.
const ATTEMPTS: usize = 100;

/// Locks must not stay when a worker freezes between two statements.
const BEGIN: &str = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = '10s'";

type Key<'a> = (Table, &'a [u8]);

/// Why a group failed. It is unknown which of its swaps were made.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    #[error(transparent)]
    Sql(Sql),
    #[error("other workers were faster {ATTEMPTS} times")]
    Busy,
}

impl From<tokio_postgres::Error> for Failed {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Sql(Sql(error))
    }
}

impl Failed {
    /// Whether the server says that it has undone everything, because workers were in each other's way.
    fn is_rolled_back(&self) -> bool {
        let Self::Sql(Sql(error)) = self else {
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

/// Makes the swaps of a group, and returns one result for each.
pub(super) async fn commit(
    connection: &Connection,
    group: &Group<'_>,
) -> Result<Vec<Swap>, Failed> {
    let mut swaps = vec![None; group.len()];
    fast(connection, group, &mut swaps).await?;
    let left: Vec<usize> = (0..group.len())
        .filter(|index| swaps[*index].is_none())
        .collect();
    if !left.is_empty() {
        let changes: Vec<_> = left.iter().map(|index| group[*index]).collect();
        let results = slow(connection, &changes).await?;
        for (index, swap) in left.into_iter().zip(results) {
            swaps[index] = Some(swap);
        }
    }
    Ok(swaps.into_iter().flatten().collect())
}

/// The columns of what goes the fast way, with the place of each swap in its group.
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

/// Fills in what is done. Everything else has written nothing.
async fn fast<'a>(
    connection: &Connection,
    group: &Group<'a>,
    swaps: &mut [Option<Swap>],
) -> Result<(), tokio_postgres::Error> {
    let single = group.iter().enumerate().filter_map(|(place, changes)| {
        let [change] = changes else { return None };
        Some((change, place, change.new?))
    });
    let mut single: Vec<_> = single.collect();
    // By key, so that all workers lock rows in one order; of several for one key, the first.
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
    // Two transactions, one after the other on one connection, so neither holds locks while it waits for the other.
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

/// What the slow way knows of a key.
struct Row<'a> {
    /// What the database holds. If it is something, it is locked.
    stored: Option<&'a [u8]>,
    /// What the swaps so far have made of it.
    now: Option<&'a [u8]>,
    /// Whether a swap that is made relies on it.
    used: bool,
}

async fn slow(connection: &Connection, swaps: &[&[Change<'_>]]) -> Result<Vec<Swap>, Failed> {
    for _ in 0..ATTEMPTS {
        match once(connection, swaps).await {
            Ok(Some(results)) => return Ok(results),
            Ok(None) => {}
            Err(error) if error.is_rolled_back() => {
                connection.client.batch_execute("ROLLBACK").await?;
            }
            Err(error) => return Err(error),
        }
    }
    Err(Failed::Busy)
}

/// `None`: another worker has made a key that was not there a moment before, and nothing was written.
async fn once(
    connection: &Connection,
    swaps: &[&[Change<'_>]],
) -> Result<Option<Vec<Swap>>, Failed> {
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
    // Both are sent at once; the server takes them in order.
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
    let (results, rows) = judge(swaps, &stored);
    if !write(connection, &rows).await? {
        client.batch_execute("ROLLBACK").await?;
        return Ok(None);
    }
    client.batch_execute("COMMIT").await?;
    Ok(Some(results))
}

/// Judges one swap after the other, each on what those before it have left.
fn judge<'a>(
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

/// Writes what has changed; `false` if a key that was not there is there now.
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
            // What is not there cannot be locked, so it is made for a moment.
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
