//! The probe of a service's store: an idle service notices, too, that its store takes no writes.

use crate::{
    store::{
        async_store::{AsyncStore, StoredError},
        table::Table,
    },
    sys::unix_now,
};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The age of the newest good write at which a service makes one of its own.
const INTERVAL: Duration = Duration::from_secs(10);

/// The pause between two probes while the store takes no writes.
const RETRY: Duration = Duration::from_secs(1);

/// Writes one mark again and again, whenever no other write has succeeded for ten seconds, and each second after a failed
/// write until one succeeds. So health tells within seconds that a store takes no writes, and that it takes them again.
///
/// The mark is one record for each `name`, replaced each time, outside of the durable records. Never returns.
pub(crate) async fn probe(store: &AsyncStore, name: &str) {
    let key = [b"probe ", name.as_bytes()].concat();
    let mut was_ill = false;
    loop {
        let due = match store.watch().age() {
            Some(age) => INTERVAL.saturating_sub(age),
            None => Duration::ZERO,
        };
        if !due.is_zero() {
            was_ill = false;
            sleep(due).await;
            continue;
        }
        store.watch().set_asked(Some(Instant::now()));
        let written = write(store, &key).await;
        store.watch().set_asked(None);
        if let Err(error) = written {
            store.watch().record_error(&error);
            if !was_ill {
                tracing::warn!(event = "step_failed", step = "store", reason = %error);
            }
            was_ill = true;
        }
        // After a conflict, too: another process writes the same mark.
        sleep(RETRY).await;
    }
}

async fn write(store: &AsyncStore, key: &[u8]) -> Result<(), StoredError> {
    let old = store.get(Table::Marks, key.to_vec()).await?;
    let new = unix_now().to_be_bytes().to_vec();
    let _swap = store
        .set(Table::Marks, key.to_vec(), old, Some(new))
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Memory, Store};
    use std::{ops::ControlFlow, sync::Arc};

    #[tokio::test]
    async fn writes_one_mark_again_and_again_and_no_record() {
        let memory = Arc::new(Memory::new());
        let store = AsyncStore::new(memory.clone());
        let limit = Duration::from_millis(100);
        let _elapsed = tokio::time::timeout(limit, probe(&store, "test")).await;
        assert!(store.watch().age().is_some(), "nothing was written");
        for _ in 0..5 {
            write(&store, b"probe test").await.unwrap();
        }
        let mut marks = 0;
        let count = &mut |_: &[u8], _: &[u8]| {
            marks += 1;
            ControlFlow::Continue(())
        };
        memory.scan(Table::Marks, b"", count).unwrap();
        assert_eq!(marks, 1);
        let none = &mut |_: Table, _: &[u8], _: &[u8]| panic!("a durable record");
        memory.scan_all(none).unwrap();
    }
}
