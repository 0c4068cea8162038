//! Waiters for money: streams whose account does not cover the next piece.

use crate::ledger::AccountKey;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{Notify, futures::Notified};

/// The waiters of one process, by account. Payments at other workers wake nobody here, so a waiter looks at the store, too.
#[derive(Debug, Default)]
pub(crate) struct Credits(Arc<Mutex<Waiters>>);

/// Each account with the number of its waiters.
type Waiters = HashMap<AccountKey, (usize, Arc<Notify>)>;

/// The place of one waiter. Dropping the last one of an account leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Watch {
    waiters: Arc<Mutex<Waiters>>,
    account: AccountKey,
    notify: Arc<Notify>,
}

impl Credits {
    /// Watches an account.
    pub(crate) fn watch(&self, account: AccountKey) -> Watch {
        let mut waiters = lock(&self.0);
        let (count, notify) = waiters.entry(account).or_default();
        *count += 1;
        Watch {
            waiters: self.0.clone(),
            account,
            notify: notify.clone(),
        }
    }

    /// Wakes all waiters of an account.
    pub(crate) fn tell(&self, account: &AccountKey) {
        if let Some((_, notify)) = lock(&self.0).get(account) {
            notify.notify_waiters();
        }
    }
}

impl Watch {
    /// Returns the next credit as a future. Credits after the call count, so call it before looking at the balance.
    pub(crate) fn next(&self) -> Notified<'_> {
        self.notify.notified()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut waiters = lock(&self.waiters);
        if let Some((count, _)) = waiters.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                waiters.remove(&self.account);
            }
        }
    }
}

fn lock(waiters: &Mutex<Waiters>) -> MutexGuard<'_, Waiters> {
    waiters.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::tests::Payer;

    #[tokio::test]
    async fn wakes_waiters_of_the_account_and_forgets_them() {
        let credits = Credits::default();
        let (own, other) = (Payer::native(1).account(), Payer::native(2).account());
        let (first, second) = (credits.watch(own), credits.watch(own));
        let (next, also) = (first.next(), second.next());
        credits.tell(&other);
        credits.tell(&own);
        next.await;
        also.await;
        drop(first);
        assert_eq!(lock(&credits.0).len(), 1);
        drop(second);
        assert!(lock(&credits.0).is_empty());
    }
}
