//! Requests that end, served or not.

use super::{
    account::Account,
    grant::{FreeGrant, Grant},
    paid::{Admission, Ticket},
    queue::Waiting,
};

impl<A: Ord + Clone> Admission<A> {
    /// Takes a waiting request out of the queue, for example because its client has hung up. Gives its units back.
    /// Returns false if it does not wait.
    pub fn cancel(&mut self, ticket: Ticket, now_ns: u64) -> bool {
        self.withdraw(ticket.0, now_ns)
    }

    /// Ends a served paid request: it has used `used` units, and the rest is given back.
    pub fn settle(&mut self, account: &A, grant: Grant, used: u64, now_ns: u64) {
        let unused = grant.cost.saturating_sub(used);
        for bucket in [&mut self.all, &mut self.paid] {
            bucket.give_back(unused, grant.served, now_ns);
        }
        if let Some(mut known) = self.accounts.remove(account) {
            self.by_end
                .remove(&(known.forgotten_from(), account.clone()));
            known.bucket.give_back(unused, grant.asked, now_ns);
            self.keep(account, known);
        }
    }

    /// Ends a request of a client that does not pay.
    pub fn settle_free(&mut self, grant: FreeGrant, used: u64, now_ns: u64) {
        let number = grant.number;
        let unused = grant.cost.saturating_sub(used);
        self.all.give_back(unused, number, now_ns);
        self.prefixes
            .give_back(grant.prefix, unused, number, now_ns);
        for (share, drained) in [&mut self.free_min, &mut self.free_max]
            .into_iter()
            .zip(grant.drained)
        {
            share.give_back_drained(drained, used, number, now_ns);
        }
    }

    /// Takes a request out of the queue that was not served.
    pub(super) fn withdraw(&mut self, number: u64, now_ns: u64) -> bool {
        let Some(left) = self.queue.remove(number, false) else {
            return false;
        };
        self.leave_queue(&left, |account| {
            account.bucket.give_back(left.cost, number, now_ns);
            // The account's next requests do not stand behind one that was not served, if none stands between.
            if account.queued == 0 {
                account.finish = account.served;
            } else if account.finish == left.end {
                account.finish = left.start;
            }
        });
        true
    }

    pub(super) fn leave_queue(&mut self, left: &Waiting<A>, change: impl FnOnce(&mut Account)) {
        if let Some(mut account) = self.accounts.remove(&left.account) {
            let key = (account.forgotten_from(), left.account.clone());
            self.by_end.remove(&key);
            account.queued = account.queued.saturating_sub(1);
            account.queued_bytes = account.queued_bytes.saturating_sub(left.bytes);
            change(&mut account);
            self.keep(&left.account, account);
        }
    }
}
