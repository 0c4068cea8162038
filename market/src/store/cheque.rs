//! Rows of a market in a store of the crate `cheque`.

use super::interface::{Batch, Store, StoreError, Visit};
use cheque::store::{Change, Swap, Table};
use std::{fmt, ops::ControlFlow, sync::Arc};

/// Prefix of the keys of received cheques' positions, after the prefix of the market.
pub(crate) const CHEQUE_POSITIONS: &[u8] = b"pay:cheque/1:";

/// A [`Store`] in a store of the crate `cheque`: one file or database for balances and cheques.
///
/// The positions of received cheques are in [`Table::Positions`], in which a `cheque::payee::Payee` finds redeemable
/// cheques; everything else is in [`Table::App`]. So a cheque, its balance and its redemption share one store, and
/// the features of the store's engine (backups, use from several threads, recovery after a disk failure) cover the
/// market too.
///
/// Only one process at a time may use the rows, because balances are kept in memory. A scan that starts in the middle
/// also reads the rows before its start. A scan whose prefix covers both tables takes one snapshot of each table.
#[derive(Clone)]
pub struct ChequeStore {
    store: Arc<dyn cheque::store::Store>,
    /// Key prefix of positions.
    positions: Vec<u8>,
}

/// Another process writes the rows of the market.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("another process has changed the market's rows; stop all processes of the market but one")]
struct Shared;

impl ChequeStore {
    /// Opens the rows of the market with this key prefix; pass the same prefix to its tracker and its payments.
    pub fn new(store: Arc<dyn cheque::store::Store>, prefix: &[u8]) -> Self {
        Self {
            store,
            positions: [prefix, CHEQUE_POSITIONS].concat(),
        }
    }

    fn place<'k>(&self, key: &'k [u8]) -> (Table, &'k [u8]) {
        match key.strip_prefix(self.positions.as_slice()) {
            Some(position) => (Table::Positions, position),
            None => (Table::App, key),
        }
    }

    /// Scans the rows of one table. The caller's keys are those of the table after `before`.
    fn scan_table(
        &self,
        (table, prefix, before): (Table, &[u8], &[u8]),
        first: &[u8],
        each: &mut Visit<'_>,
    ) -> Result<ControlFlow<()>, StoreError> {
        let mut flow = ControlFlow::Continue(());
        let visit = &mut |key: &[u8], value: &[u8]| {
            let key = [before, key].concat();
            if key.as_slice() < first {
                return ControlFlow::Continue(());
            }
            flow = each(&key, value);
            flow
        };
        self.store
            .scan(table, prefix, visit)
            .map_err(StoreError::new)?;
        Ok(flow)
    }
}

impl Store for ChequeStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let (table, key) = self.place(key);
        self.store.get(table, key).map_err(StoreError::new)
    }

    fn scan(&self, prefix: &[u8], from: &[u8], each: &mut Visit<'_>) -> Result<(), StoreError> {
        let first = [prefix, from].concat();
        if let Some(position) = prefix.strip_prefix(self.positions.as_slice()) {
            let part = (Table::Positions, position, self.positions.as_slice());
            let _ended = self.scan_table(part, &first, each)?;
            return Ok(());
        }
        let mut positions = self.positions.starts_with(prefix);
        let mut failed = Ok(());
        let with_positions = &mut |key: &[u8], value: &[u8]| {
            if positions && key > self.positions.as_slice() {
                positions = false;
                let part = (Table::Positions, [].as_slice(), self.positions.as_slice());
                match self.scan_table(part, &first, each) {
                    Ok(ControlFlow::Continue(())) => {}
                    Ok(ended) => return ended,
                    Err(error) => {
                        failed = Err(error);
                        return ControlFlow::Break(());
                    }
                }
            }
            each(key, value)
        };
        let ended = self.scan_table((Table::App, prefix, &[]), &first, with_positions)?;
        failed?;
        if positions && ended.is_continue() {
            let part = (Table::Positions, [].as_slice(), self.positions.as_slice());
            let _ended = self.scan_table(part, &first, each)?;
        }
        Ok(())
    }

    fn write(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut rows = Vec::new();
        for (key, new) in batch.iter() {
            let (table, key) = self.place(key);
            let old = self.store.get(table, key).map_err(StoreError::new)?;
            if old.as_deref() != new {
                rows.push((table, key, old, new));
            }
        }
        let changes = rows.iter().map(|(table, key, old, new)| Change {
            table: *table,
            key,
            old: old.as_deref(),
            new: *new,
        });
        let changes: Vec<_> = changes.collect();
        match self.store.swap(&changes).map_err(StoreError::new)? {
            Swap::Done => Ok(()),
            Swap::Conflict { .. } => Err(StoreError::new(Shared)),
        }
    }
}

impl fmt::Debug for ChequeStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChequeStore").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POSITION: &[u8] = b"m:pay:cheque/1:record";

    fn store() -> (Arc<cheque::store::Memory>, ChequeStore) {
        let memory = Arc::new(cheque::store::Memory::new());
        let store = ChequeStore::new(memory.clone(), b"m:");
        let mut batch = Batch::new();
        for key in [b"m:a".as_slice(), POSITION, b"m:pay:cheque/1", b"m:z", b"n"] {
            batch.put(key, [1]);
        }
        store.write(&batch).unwrap();
        (memory, store)
    }

    fn keys(store: &ChequeStore, prefix: &[u8], from: &[u8], max: usize) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        let visit = &mut |key: &[u8], _: &[u8]| {
            found.push(key.to_vec());
            match found.len() == max {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        store.scan(prefix, from, visit).unwrap();
        found
    }

    #[test]
    fn stores_positions_in_the_table_of_the_payee() {
        use ::cheque::store::Store as _;
        let (memory, store) = store();
        assert_eq!(
            memory.get(Table::Positions, b"record").unwrap(),
            Some(vec![1])
        );
        assert_eq!(memory.get(Table::App, POSITION).unwrap(), None);
        assert_eq!(Store::get(&store, POSITION).unwrap(), Some(vec![1]));
        let mut batch = Batch::new();
        batch.delete(POSITION);
        batch.put(b"m:a", [2]);
        Store::write(&store, &batch).unwrap();
        assert_eq!(memory.get(Table::Positions, b"record").unwrap(), None);
        assert_eq!(memory.get(Table::App, b"m:a").unwrap(), Some(vec![2]));
    }

    #[test]
    fn scans_both_tables_in_key_order() {
        let (_, store) = store();
        let all: [&[u8]; 5] = [b"m:a", b"m:pay:cheque/1", POSITION, b"m:z", b"n"];
        assert_eq!(keys(&store, b"", b"", 9), all);
        assert_eq!(keys(&store, b"m:", b"b", 9), all[1..4]);
        assert_eq!(keys(&store, b"m:", b"", 3), all[..3]);
        assert_eq!(keys(&store, b"m:p", b"ay:cheque/1:s", 9).len(), 0);
        assert_eq!(keys(&store, b"m:pay:cheque/1:", b"m", 9), all[2..3]);
    }
}
