//! Connections that nobody uses, and the groups that are written on them.

use crate::store::{
    commit_queue::{Cause, Group, Results},
    error::StoreError,
    postgres::{
        connection::{Connection, Server},
        lock, write,
    },
};
use std::sync::{Arc, Mutex};

/// How many connections without work are kept.
const IDLE: usize = 4;

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

    /// A connection that nobody else uses.
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

    /// Keeps a connection without a transaction for others.
    pub(super) fn give_back(&self, connection: Connection) {
        let mut idle = lock(&self.idle);
        if idle.len() < IDLE {
            idle.push(connection);
        }
    }

    /// Makes the swaps of a group durable.
    pub(super) fn commit(&self, group: &Group<'_>) -> Results {
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
                return group.iter().map(unreachable).collect();
            }
        };
        let committed = write::commit(&connection, group);
        let cause: Cause = match self.server.wait(&connection, committed) {
            Ok(Ok(swaps)) => {
                self.give_back(connection);
                return swaps.into_iter().map(Ok).collect();
            }
            Ok(Err(error)) => Arc::new(error),
            Err(silent) => Arc::new(silent),
        };
        let unknown = |_| {
            Err(StoreError::Unknown {
                path: self.server.place().to_path_buf(),
                cause: cause.clone(),
            })
        };
        group.iter().map(unknown).collect()
    }
}
