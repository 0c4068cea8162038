//! The owner of buckets and queue.

use super::{
    account::Account,
    bucket::Bucket,
    free::{Prefix, Prefixes},
    grant::{FreeGrant, Grant},
    queue::{FairQueue, Waiting},
    settings::{AdmissionSettings, Demand, Refusal, SECOND, SettingsError, Tier},
};
use std::collections::{BTreeMap, BTreeSet};

/// Maximum number of known accounts. The one that would be forgotten first gives way to a new one.
const MAX_ACCOUNTS: usize = 131_072;

/// The number of a waiting request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(super) u64);

/// The answer to a paid request that was not refused.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// Serve it now.
    Serve(Grant),
    /// It waits; [`Admission::poll`] returns its outcome.
    Wait(Ticket),
}

/// The end of waiting.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Serve it now.
    Serve(Ticket, Grant),
    /// Refuse it.
    Refuse(Ticket, Refusal),
}

/// The admission of requests by capacity; see the [module](super).
///
/// `A` is the id of an account. Amounts of money are in one unit for all accounts: convert currencies before. Times are
/// nanoseconds; a time before an earlier one counts as the earlier one.
#[derive(Clone, Debug)]
pub struct Admission<A> {
    pub(super) settings: AdmissionSettings,
    /// The whole capacity, and the part for paid requests.
    pub(super) all: Bucket,
    pub(super) paid: Bucket,
    /// The part of free clients in any case, and their part while no paid request waits.
    pub(super) free_min: Bucket,
    pub(super) free_max: Bucket,
    pub(super) accounts: BTreeMap<A, Account>,
    pub(super) by_end: BTreeSet<(u64, A)>,
    pub(super) prefixes: Prefixes,
    pub(super) queue: FairQueue<A>,
    /// Number of the next take from a bucket, or of the next ticket.
    pub(super) next: u64,
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
            next: 0,
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

    /// Returns what counts of an account's payments: those of the last ten minutes, less with age.
    pub fn paid_lately(&self, account: &A, now_ns: u64) -> u128 {
        let known = self.accounts.get(account);
        known.map_or(0, |account| account.paid_lately(now_ns))
    }

    /// Asks for a paid request. Its own price counts towards the account's weight, so that a newcomer's request stands behind
    /// as many units of others as they have paid more.
    ///
    /// # Errors
    ///
    /// [`Refusal`]; nothing was taken.
    pub fn request(
        &mut self,
        account: &A,
        tier: Tier,
        demand: Demand,
        now_ns: u64,
    ) -> Result<Decision, Refusal> {
        let is_ready = self.check(account, tier, demand, now_ns)?;
        let Demand { cost, bytes, price } = demand;
        let (number, id) = (self.next, account.clone());
        self.next += 2;
        self.with_account(account, tier, now_ns, |account, queue| {
            account.bucket.take(cost, number, now_ns);
            let weight = account.weight(price, now_ns);
            if is_ready {
                queue.serve_at_once(cost, &mut account.finish, weight);
                account.served = account.finish;
                return;
            }
            account.queued += 1;
            account.queued_bytes = account.queued_bytes.saturating_add(bytes);
            let place = (&mut account.finish, weight);
            queue.push(number, (id, cost, bytes), place, now_ns);
        });
        if !is_ready {
            return Ok(Decision::Wait(Ticket(number)));
        }
        self.take_paid(cost, number + 1, now_ns);
        Ok(Decision::Serve(Grant {
            cost,
            asked: number,
            served: number + 1,
        }))
    }

    /// Tells whether a request would be refused at once. Returns true if it would be served at once, false if it would wait.
    ///
    /// # Errors
    ///
    /// [`Refusal`].
    pub fn check(
        &self,
        account: &A,
        tier: Tier,
        demand: Demand,
        now_ns: u64,
    ) -> Result<bool, Refusal> {
        let Demand { cost, bytes, .. } = demand;
        let max = self.settings.paid_share().burst.min(tier.burst);
        if cost > max {
            return Err(Refusal::TooLarge { cost, max });
        }
        let known = self.accounts.get(account);
        let queued = known.map_or((0, 0), |known| (known.queued, known.queued_bytes));
        let wait = known.map_or(Some(0), |known| known.bucket.wait_ns_by(tier, cost, now_ns));
        match wait {
            Some(0) => {}
            Some(retry_ns) => return Err(Refusal::Rate { retry_ns }),
            None => return Err(Refusal::TooLarge { cost, max }),
        }
        if self.queue.len() == 0 && self.paid_wait_ns(cost, now_ns) == 0 {
            return Ok(true);
        }
        let retry_ns = self.drain_ns(now_ns);
        let settings = &self.settings.queue;
        self.queue.has_room(bytes, queued, settings, retry_ns)?;
        Ok(false)
    }

    /// Asks for a request of a client that does not pay. It is served now or refused.
    ///
    /// # Errors
    ///
    /// [`Refusal`]; nothing was taken.
    pub fn request_free(
        &mut self,
        prefix: Prefix,
        cost: u64,
        now_ns: u64,
    ) -> Result<FreeGrant, Refusal> {
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
        let number = self.next;
        self.next += 1;
        self.prefixes.take(prefix, cost, number, now_ns);
        self.all.take(cost, number, now_ns);
        // What free clients had beyond a share is no debt of that share: the lower one holds in any case.
        let shares = [&mut self.free_min, &mut self.free_max];
        Ok(FreeGrant {
            prefix,
            cost,
            number,
            drained: shares.map(|share| share.drain(cost, number, now_ns)),
        })
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
            let grant = Grant {
                cost,
                asked: number,
                served: self.next,
            };
            self.next += 1;
            self.take_paid(cost, grant.served, now_ns);
            outcomes.push(Outcome::Serve(Ticket(number), grant));
        }
        self.forget_idle(now_ns);
        outcomes
    }

    /// Forgets accounts that are as good as unknown. A host without waiting requests calls this instead of
    /// [`poll`](Self::poll), at any time.
    pub fn forget_idle(&mut self, now_ns: u64) {
        while let Some((end, account)) = self.by_end.first().cloned()
            && end <= now_ns
        {
            self.by_end.remove(&(end, account.clone()));
            self.accounts.remove(&account);
        }
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

    fn take_paid(&mut self, cost: u64, number: u64, now_ns: u64) {
        for bucket in [&mut self.all, &mut self.paid] {
            bucket.take(cost, number, now_ns);
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
            None => {
                self.make_room();
                Account::new(tier, now_ns)
            }
        };
        account.bucket.set_tier(tier, now_ns);
        let result = change(&mut account, &mut self.queue);
        self.keep(id, account);
        result
    }

    /// Forgets an account without a place in the queue, if there are too many. It loses the weight of its payments.
    fn make_room(&mut self) {
        if self.accounts.len() < MAX_ACCOUNTS {
            return;
        }
        if let Some((end, first)) = self.by_end.first().cloned()
            && end < u64::MAX
        {
            self.by_end.remove(&(end, first.clone()));
            self.accounts.remove(&first);
        }
    }

    pub(super) fn keep(&mut self, id: &A, account: Account) {
        self.by_end.insert((account.forgotten_from(), id.clone()));
        self.accounts.insert(id.clone(), account);
    }
}
