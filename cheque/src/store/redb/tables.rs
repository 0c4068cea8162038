//! The tables of the file.

use crate::store::{
    change::{Change, Swap},
    interface::Visit,
    table::Table,
};
use ::redb::{
    Database, Durability, ReadTransaction, ReadableTable, TableDefinition, TableError,
    WriteTransaction,
};
use std::ops::ControlFlow;

/// Marks the redb file of a cheque store, and holds its format.
pub(super) const ABOUT: TableDefinition<'static, &str, u32> = TableDefinition::new("cheque-store");
pub(super) const FORMAT_KEY: &str = "format";

type Rows = TableDefinition<'static, &'static [u8], &'static [u8]>;

pub(super) const fn rows(table: Table) -> Rows {
    TableDefinition::new(table.name())
}

/// Calls `each` with the rows of a table whose keys start with `prefix`.
pub(super) fn visit(
    read: &ReadTransaction,
    table: Table,
    prefix: &[u8],
    each: &mut Visit<'_>,
) -> Result<ControlFlow<()>, ::redb::Error> {
    let rows = match read.open_table(rows(table)) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(ControlFlow::Continue(())),
        rows => rows?,
    };
    for row in rows.range(prefix..)? {
        let (key, value) = row?;
        if !key.value().starts_with(prefix) {
            break;
        }
        if each(key.value(), value.value()).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Makes the swaps whose old values match, one after the other, in a single durable transaction.
pub(super) fn commit_batch(
    database: &Database,
    batch: &[&[Change<'_>]],
) -> Result<Vec<Swap>, ::redb::Error> {
    let mut write = database.begin_write()?;
    write.set_durability(Durability::Immediate)?;
    let mut tables = OpenTables::default();
    let swaps = batch.iter().map(|changes| tables.swap(&write, changes));
    let swaps = swaps.collect::<Result<Vec<_>, _>>()?;
    drop(tables);
    if swaps.contains(&Swap::Done) {
        write.commit()?;
    } else {
        write.abort()?;
    }
    Ok(swaps)
}

/// The tables of a transaction, each opened at most once.
#[derive(Default)]
struct OpenTables<'t>([Option<OpenTable<'t>>; TABLES]);

type OpenTable<'t> = ::redb::Table<'t, &'static [u8], &'static [u8]>;

const TABLES: usize = Table::ALL.len() + 1;

impl<'t> OpenTables<'t> {
    /// Makes the changes of a swap after all of them have matched, so nothing has to be undone.
    fn swap(
        &mut self,
        write: &'t WriteTransaction,
        changes: &[Change<'_>],
    ) -> Result<Swap, ::redb::Error> {
        for (index, change) in changes.iter().enumerate() {
            let found = self.table(write, change.table)?.get(change.key)?;
            let found = found.as_ref().map(|value| value.value());
            if found != change.old {
                let found = found.map(<[u8]>::to_vec);
                return Ok(Swap::Conflict { index, found });
            }
        }
        for change in changes {
            let table = self.table(write, change.table)?;
            match change.new {
                Some(new) => table.insert(change.key, new)?,
                None => table.remove(change.key)?,
            };
        }
        Ok(Swap::Done)
    }

    fn table(
        &mut self,
        write: &'t WriteTransaction,
        table: Table,
    ) -> Result<&mut OpenTable<'t>, ::redb::Error> {
        let slot = &mut self.0[table as usize];
        match slot {
            Some(open) => Ok(open),
            None => Ok(slot.insert(write.open_table(rows(table))?)),
        }
    }
}
