//! The caller's side of a queued swap.

use crate::store::{
    change::{Change, Swap},
    error::StoreError,
    table::Table,
};
use oneshot::AsyncReceiver;
use std::{
    ops::Range,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// The future result of a swap in the queue.
pub(in crate::store) struct Waiter {
    pub(super) result: AsyncReceiver<Result<Swap, StoreError>>,
    /// Freed by the caller: see `Shared::enqueue`.
    pub(super) _changes: Arc<[PackedChange]>,
    pub(super) path: Arc<Path>,
}

impl Waiter {
    pub(in crate::store) fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Swap, StoreError>> {
        let result = Pin::new(&mut self.result).poll(context);
        result.map(|result| result.unwrap_or_else(|_| Err(committer_panicked(&self.path))))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the thread that was to commit this panicked")]
struct CommitterPanicked;

pub(super) fn committer_panicked(path: &Path) -> StoreError {
    StoreError::Unknown {
        path: path.to_path_buf(),
        cause: Arc::new(CommitterPanicked),
    }
}

/// An owned [`Change`] with all bytes in one allocation.
pub(super) struct PackedChange {
    table: Table,
    bytes: Vec<u8>,
    key: Range<usize>,
    old: Option<Range<usize>>,
    new: Option<Range<usize>>,
}

impl PackedChange {
    pub(super) fn of(change: &Change<'_>) -> Self {
        let values = change.old.map_or(0, <[u8]>::len) + change.new.map_or(0, <[u8]>::len);
        let mut bytes = Vec::with_capacity(change.key.len() + values);
        let mut add = |part: &[u8]| {
            let start = bytes.len();
            bytes.extend_from_slice(part);
            start..bytes.len()
        };
        Self {
            table: change.table,
            key: add(change.key),
            old: change.old.map(&mut add),
            new: change.new.map(&mut add),
            bytes,
        }
    }

    /// The length of key and values in bytes.
    pub(super) const fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn borrowed(&self) -> Change<'_> {
        let part = |range: &Range<usize>| &self.bytes[range.clone()];
        Change {
            table: self.table,
            key: part(&self.key),
            old: self.old.as_ref().map(part),
            new: self.new.as_ref().map(part),
        }
    }
}
