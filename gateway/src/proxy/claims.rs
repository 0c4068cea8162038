//! The facilitator, and the authorizations that this process works on.

use crate::{exact::Facilitator, ledger::AuthorizationId};
use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The facilitator, and the authorizations that this process works on.
#[derive(Debug)]
pub(super) struct Exact {
    pub(super) facilitator: Facilitator,
    claimed: Mutex<HashSet<AuthorizationId>>,
}

/// An authorization in use by a task of this process, until the claim is dropped.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    exact: &'a Exact,
    id: AuthorizationId,
}

impl Exact {
    pub(super) fn new(facilitator: Facilitator) -> Self {
        Self {
            facilitator,
            claimed: Mutex::default(),
        }
    }

    /// Claims an authorization. `None`: another task has it.
    pub(super) fn claim(&self, id: AuthorizationId) -> Option<Claim<'_>> {
        let is_free = self.claimed().insert(id);
        is_free.then_some(Claim { exact: self, id })
    }

    /// No code panics under the lock.
    fn claimed(&self) -> MutexGuard<'_, HashSet<AuthorizationId>> {
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.exact.claimed().remove(&self.id);
    }
}
