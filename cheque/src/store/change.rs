//! Conditional writes and their results.

use crate::store::{
    error::StoreError,
    table::{MAX_KEY, Table},
};
use std::{collections::BTreeSet, fmt};

/// A conditional write: sets `key` to `new` if its value is `old`.
///
/// Plain data, exhaustive by design.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Change<'a> {
    /// The table.
    pub table: Table,
    /// The key, at most [`MAX_KEY`] bytes.
    pub key: &'a [u8],
    /// The value expected now; `None`: no record.
    pub old: Option<&'a [u8]>,
    /// The value to write; `None`: remove the record.
    pub new: Option<&'a [u8]>,
}

/// The result of a compare-and-set. Exhaustive by design: a swap has no third outcome.
#[derive(Clone, PartialEq, Eq)]
#[must_use = "a conflict means that nothing was written"]
pub enum Swap {
    /// All changes are durable.
    Done,
    /// Nothing was written, because a key did not hold the expected value.
    Conflict {
        /// The position of the first change that did not match.
        index: usize,
        /// The value that its key holds; `None`: no record.
        found: Option<Vec<u8>>,
    },
}

/// Shows lengths instead of the key and the values, which are secret.
impl fmt::Debug for Change<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Change")
            .field("table", &self.table)
            .field("key", &Length(self.key))
            .field("old", &self.old.map(Length))
            .field("new", &self.new.map(Length))
            .finish()
    }
}

/// Shows the length instead of the value, which is secret.
impl fmt::Debug for Swap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("Done"),
            Self::Conflict { index, found } => f
                .debug_struct("Conflict")
                .field("index", index)
                .field("found", &found.as_deref().map(Length))
                .finish(),
        }
    }
}

/// Bytes of which `Debug` shows only the number.
struct Length<'a>(&'a [u8]);

impl fmt::Debug for Length<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// Rejects changes that no store takes: too long keys, and two changes of the same key.
pub(super) fn check_changes(changes: &[Change<'_>]) -> Result<(), StoreError> {
    for (index, change) in changes.iter().enumerate() {
        if change.key.len() > MAX_KEY {
            let length = change.key.len();
            return Err(StoreError::KeyTooLong { index, length });
        }
    }
    if changes.len() < 2 {
        return Ok(());
    }
    let mut seen = BTreeSet::new();
    for (index, change) in changes.iter().enumerate() {
        if !seen.insert((change.table, change.key)) {
            return Err(StoreError::RepeatedKey { index });
        }
    }
    Ok(())
}
