//! The owner of buckets and queue.

use super::{
    account::Account,
    bucket::Bucket,
    free::{Prefix, Prefixes},
    queue::{FairQueue, Waiting},
    settings::{AdmissionSettings, Refusal, SECOND, SettingsError, Tier},
};
use std::collections::{BTreeMap, BTreeSet};

/// The number of a waiting request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// The answer to a paid request that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Serve it now.
    Serve,
    /// It waits; [`Admission::poll`] returns its outcome.
    Wait(Ticket),
}

/// The end of waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Serve it now.
    Serve(Ticket),
    /// Refuse it.
    Refuse(Ticket, Refusal),
}

/// The admission of requests by capacity; see the [module](super).
///
/// `A` is the id of an account. Amounts of money are in one unit for all accounts: convert currencies before. Times are
/// nanoseconds; a time before an earlier one counts as the earlier one.
#[derive(Clone, Debug)]
pub struct Admission<A> {
    settings: AdmissionSettings,
    /// The whole capacity, and the part for paid requests.
    all: Bucket,
    paid: Bucket,
    /// The part of free clients in any case, and their part while no paid request waits.
    free_min: Bucket,
    free_max: Bucket,
    accounts: BTreeMap<A, Account>,
    by_end: BTreeSet<(u64, A)>,
    prefixes: Prefixes,
    queue: FairQueue<A>,
    next_ticket: u64,
}

impl<A: Ord + Clone> Admission<A> {
    /// Returns an admission whose capacity is idle.
    ///
    /// # Errors
    ///
    /// [`SettingsError`].
    pub fn new(settings: AdmissionSettings, now_ns: u64) -> Result<Self, SettingsError> {
        settings.check()?;
        let free = settings.free;
        Ok(Self {
            all: Bucket::full(settings.capacity, now_ns),
            paid: Bucket::full(settings.paid_share(), now_ns),
            free_min: Bucket::full(settings.free_share(free.min_percent), now_ns),
            free_max: Bucket::full(settings.free_share(free.max_percent), now_ns),
            accounts: BTreeMap::new(),
            by_end: BTreeSet::new(),
            prefixes: Prefixes::new(free),
            queue: FairQueue::new(),
            next_ticket: 0,
            settings,
        })
    }

    /// Changes the settings. Waiting requests stay.
    ///
    /// # Errors
    ///
    /// [`SettingsError`]; nothing changes.
    pub fn set_settings(
        &mut self,
        settings: AdmissionSettings,
        now_ns: u64,
    ) -> Result<(), SettingsError> {
        settings.check()?;
        let free = settings.free;
        self.all.set_tier(settings.capacity, now_ns);
        self.paid.set_tier(settings.paid_share(), now_ns);
        let share = settings.free_share(free.min_percent);
        self.free_min.set_tier(share, now_ns);
        let share = settings.free_share(free.max_percent);
        self.free_max.set_tier(share, now_ns);
        if free != self.settings.free {
            self.prefixes = Prefixes::new(free);
        }
        self.settings = settings;
        Ok(())
    }

    /// Counts a payment towards an account's weight for ten minutes.
    pub fn paid(&mut self, account: &A, tier: Tier, amount: u128, now_ns: u64) {
        self.with_account(account, tier, now_ns, |account, _| {
            account.pay(amount, now_ns);
        });
    }

    /// Asks for a paid request of a cost, which holds `bytes` of memory while it waits.
    ///
    /// # Errors
    ///
    /// [`Refusal`]; nothing was taken.
    pub fn request(
        &mut self,
        account: &A,
        tier: Tier,
        (cost, bytes): (u64, u64),
        now_ns: u64,
    ) -> Result<Decision, Refusal> {
        let max = self.settings.paid_share().burst.min(tier.burst);
        if cost > max {
            return Err(Refusal::TooLarge { cost, max });
        }
        let ready = self.queue.len() == 0 && self.paid_wait_ns(cost, now_ns) == 0;
        let retry_ns = self.drain_ns(now_ns);
        let (settings, ticket, id) = (self.settings.queue, self.next_ticket, account.clone());
        let decision = self.with_account(account, tier, now_ns, |account, queue| {
            match account.bucket.wait_ns(cost, now_ns) {
                Some(0) => {}
                Some(retry_ns) => return Err(Refusal::Rate { retry_ns }),
                None => return Err(Refusal::TooLarge { cost, max }),
            }
            let weight = account.weight(now_ns);
            if ready {
                account.bucket.take(cost, now_ns);
                queue.serve_at_once(cost, &mut account.finish, weight);
                account.served = account.finish;
                return Ok(Decision::Serve);
            }
            let queued = (account.queued, account.queued_bytes);
            queue.has_room(bytes, queued, &settings, retry_ns)?;
            account.bucket.take(cost, now_ns);
            account.queued += 1;
            account.queued_bytes = account.queued_bytes.saturating_add(bytes);
            let place = (&mut account.finish, weight);
            queue.push(ticket, (id, cost, bytes), place, now_ns);
            Ok(Decision::Wait(Ticket(ticket)))
        })?;
        match decision {
            Decision::Serve => self.take_paid(cost, now_ns),
            Decision::Wait(_) => self.next_ticket += 1,
        }
        Ok(decision)
    }

    /// Asks for a request of a client that does not pay. It is served now or refused.
    ///
    /// # Errors
    ///
    /// [`Refusal`]; nothing was taken.
    pub fn request_free(&mut self, prefix: Prefix, cost: u64, now_ns: u64) -> Result<(), Refusal> {
        self.prefixes.check(prefix, cost, now_ns)?;
        let share = match self.queue.len() {
            0 => &self.free_max,
            _ => &self.free_min,
        };
        let waits = [&self.all, share].map(|bucket| bucket.wait_ns(cost, now_ns));
        let [Some(all), Some(share)] = waits else {
            let max = self.settings.free.prefix.burst;
            return Err(Refusal::TooLarge { cost, max });
        };
        let retry_ns = all.max(share);
        if retry_ns > 0 {
            return Err(Refusal::FreeShare { retry_ns });
        }
        self.prefixes.take(prefix, cost, now_ns);
        self.all.take(cost, now_ns);
        // What free clients had beyond a share is no debt of that share: the lower one holds in any case.
        for bucket in [&mut self.free_min, &mut self.free_max] {
            bucket.drain(cost, now_ns);
        }
        Ok(())
    }

    /// Returns waiting requests that are to be served or refused now, and forgets idle accounts.
    pub fn poll(&mut self, now_ns: u64) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        while let Some((number, oldest)) = self.queue.oldest()
            && self.is_over(oldest, now_ns)
        {
            self.withdraw(number, now_ns);
            let retry_ns = self.drain_ns(now_ns);
            outcomes.push(Outcome::Refuse(
                Ticket(number),
                Refusal::Waited { retry_ns },
            ));
        }
        while let Some((number, first)) = self.queue.first() {
            let cost = first.cost;
            if self.paid_wait_ns(cost, now_ns) > 0 {
                break;
            }
            if let Some(served) = self.queue.remove(number, true) {
                self.leave_queue(&served, |account| account.served = served.end);
            }
            self.take_paid(cost, now_ns);
            outcomes.push(Outcome::Serve(Ticket(number)));
        }
        while let Some((end, account)) = self.by_end.first().cloned()
            && end <= now_ns
        {
            self.by_end.remove(&(end, account.clone()));
            self.accounts.remove(&account);
        }
        outcomes
    }

    /// Returns the moment of the next work for [`poll`](Self::poll).
    pub fn next_event(&self, now_ns: u64) -> u64 {
        let max_wait = self.settings.queue.max_wait_ns;
        let first = self.queue.first().map_or(u64::MAX, |(_, first)| {
            now_ns.saturating_add(self.paid_wait_ns(first.cost, now_ns))
        });
        let oldest = self.queue.oldest().map_or(u64::MAX, |(_, oldest)| {
            oldest.arrived_ns.saturating_add(max_wait)
        });
        let idle = self.by_end.first().map_or(u64::MAX, |(end, _)| *end);
        first.min(oldest).min(idle)
    }

    /// Takes a waiting request out of the queue, for example because its client has hung up. Gives its units back.
    /// Returns false if it does not wait.
    pub fn cancel(&mut self, ticket: Ticket, now_ns: u64) -> bool {
        self.withdraw(ticket.0, now_ns)
    }

    /// Gives back units of a served paid request whose cost was lower than announced.
    pub fn settle(&mut self, account: &A, unused: u64, now_ns: u64) {
        for bucket in [&mut self.all, &mut self.paid] {
            bucket.give_back(unused, now_ns);
        }
        if let Some(mut known) = self.accounts.remove(account) {
            self.by_end
                .remove(&(known.forgotten_from(), account.clone()));
            known.bucket.give_back(unused, now_ns);
            self.keep(account, known);
        }
    }

    /// Returns the number and the bytes of waiting requests.
    pub fn waiting(&self) -> (usize, u64) {
        (self.queue.len(), self.queue.bytes)
    }

    /// Returns the number of known accounts and of known network prefixes.
    pub fn known(&self) -> (usize, usize) {
        (self.accounts.len(), self.prefixes.len())
    }

    fn is_over(&self, waiting: &Waiting<A>, now_ns: u64) -> bool {
        let end = waiting
            .arrived_ns
            .saturating_add(self.settings.queue.max_wait_ns);
        end <= now_ns
    }

    /// Returns nanoseconds until the capacity has units for a paid request.
    fn paid_wait_ns(&self, cost: u64, now_ns: u64) -> u64 {
        let waits = [&self.all, &self.paid].map(|bucket| bucket.wait_ns(cost, now_ns));
        // After a change of the settings a waiting request may be too large. Its time in the queue ends.
        let [all, paid] = waits.map(|wait| wait.unwrap_or(u64::MAX));
        all.max(paid)
    }

    /// Returns nanoseconds in which the queue gets shorter for sure: those of its first request, at least 1 s.
    fn drain_ns(&self, now_ns: u64) -> u64 {
        let first = self.queue.first();
        let wait = first.map_or(0, |(_, first)| self.paid_wait_ns(first.cost, now_ns));
        wait.max(SECOND)
    }

    fn take_paid(&mut self, cost: u64, now_ns: u64) {
        for bucket in [&mut self.all, &mut self.paid] {
            bucket.take(cost, now_ns);
        }
    }

    /// Takes a request out of the queue that was not served.
    fn withdraw(&mut self, number: u64, now_ns: u64) -> bool {
        let Some(left) = self.queue.remove(number, false) else {
            return false;
        };
        self.leave_queue(&left, |account| {
            account.bucket.give_back(left.cost, now_ns);
            // The account's next requests do not stand behind one that was not served, if none stands between.
            if account.queued == 0 {
                account.finish = account.served;
            } else if account.finish == left.end {
                account.finish = left.start;
            }
        });
        true
    }

    fn leave_queue(&mut self, left: &Waiting<A>, change: impl FnOnce(&mut Account)) {
        if let Some(mut account) = self.accounts.remove(&left.account) {
            let key = (account.forgotten_from(), left.account.clone());
            self.by_end.remove(&key);
            account.queued = account.queued.saturating_sub(1);
            account.queued_bytes = account.queued_bytes.saturating_sub(left.bytes);
            change(&mut account);
            self.keep(&left.account, account);
        }
    }

    /// Changes an account, known or new, with the queue.
    fn with_account<R>(
        &mut self,
        id: &A,
        tier: Tier,
        now_ns: u64,
        change: impl FnOnce(&mut Account, &mut FairQueue<A>) -> R,
    ) -> R {
        let known = self.accounts.remove(id);
        let mut account = match known {
            Some(account) => {
                self.by_end.remove(&(account.forgotten_from(), id.clone()));
                account
            }
            None => Account::new(tier, now_ns),
        };
        account.bucket.set_tier(tier, now_ns);
        let result = change(&mut account, &mut self.queue);
        self.keep(id, account);
        result
    }

    fn keep(&mut self, id: &A, account: Account) {
        self.by_end.insert((account.forgotten_from(), id.clone()));
        self.accounts.insert(id.clone(), account);
    }
}
