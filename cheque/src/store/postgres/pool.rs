//! The pool of idle connections, and the commits on them.

use crate::store::{
    commit_queue::{Batch, Cause, Results},
    error::StoreError,
    postgres::{
        connection::{Connection, Server},
        write,
    },
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The bound on idle connections.
const MAX_IDLE: usize = 4;

pub(super) struct Pool {
    idle: Mutex<Vec<Connection>>,
    pub(super) server: Server,
}

impl Pool {
    pub(super) const fn new(server: Server) -> Self {
        Self {
            idle: Mutex::new(Vec::new()),
            server,
        }
    }

    /// Takes an idle connection, or makes one.
    pub(super) fn take(&self) -> Result<Connection, StoreError> {
        let mut idle = lock(&self.idle);
        while let Some(connection) = idle.pop() {
            if !connection.client.is_closed() {
                return Ok(connection);
            }
        }
        drop(idle);
        self.server.connect()
    }

    /// Returns a connection without an open transaction.
    pub(super) fn give_back(&self, connection: Connection) {
        let mut idle = lock(&self.idle);
        if idle.len() < MAX_IDLE {
            idle.push(connection);
        }
    }

    /// Makes the swaps of a batch durable.
    pub(super) fn commit(&self, batch: &Batch<'_>) -> Results {
        let connection = match self.take() {
            Ok(connection) => connection,
            Err(error) => {
                let cause: Cause = match error {
                    StoreError::Unreachable { cause, .. } => cause,
                    other => Arc::new(other),
                };
                let unreachable = |_| {
                    Err(StoreError::Unreachable {
                        path: self.server.place().to_path_buf(),
                        cause: cause.clone(),
                    })
                };
                return batch.iter().map(unreachable).collect();
            }
        };
        let committed = write::commit(&connection, batch);
        let cause: Cause = match self.server.wait(&connection, committed) {
            Ok(Ok(swaps)) => {
                self.give_back(connection);
                return swaps.into_iter().map(Ok).collect();
            }
            Ok(Err(error)) => Arc::new(error),
            Err(timeout) => Arc::new(timeout),
        };
        let unknown = |_| {
            Err(StoreError::Unknown {
                path: self.server.place().to_path_buf(),
                cause: cause.clone(),
            })
        };
        batch.iter().map(unknown).collect()
    }
}

/// Locks a mutex. Code that panics while holding the lock leaves no half-made change.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
