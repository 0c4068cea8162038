//! The owner of the admission.

use crate::{
    ledger::{AccountKey, Room},
    offers::{CapacityTerms, Offers, Work},
};
use cheque::Amount;
use cheque_market::admission::{
    Admission, Demand, FreeGrant, Grant, Outcome, Refusal, SettingsError, Ticket as Place, Tier,
};
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep},
};

/// Gives tickets for a limited number of requests at once. Cheap to clone; memory is bounded.
#[derive(Clone)]
pub struct Capacity {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    began: Instant,
    state: Mutex<State>,
    /// Wakes the task that serves the queue.
    pub(super) changed: Notify,
}

/// The owner of the units of a ticket.
#[derive(Debug)]
pub(super) enum Held {
    Paid(AccountKey, Grant),
    Free(FreeGrant),
}

#[derive(Default)]
pub(super) struct State {
    /// Absent without a limit.
    pub(super) limit: Option<Limit>,
    /// The number of limits so far. A ticket of another limit is not given back.
    pub(super) limits: u64,
    /// True while a task serves the queue.
    pub(super) is_served: bool,
}

pub(super) struct Limit {
    pub(super) terms: CapacityTerms,
    pub(super) admission: Admission<AccountKey>,
    pub(super) waiting: HashMap<Place, oneshot::Sender<Result<Grant, Refusal>>>,
}

impl Capacity {
    /// Returns the idle capacity of `offers`, or one without a limit.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] if the capacity is out of bounds.
    pub fn new(offers: &Offers) -> Result<Self, SettingsError> {
        let capacity = Self {
            shared: Arc::new(Shared {
                began: Instant::now(),
                state: Mutex::default(),
                changed: Notify::new(),
            }),
        };
        capacity.reload(offers)?;
        Ok(capacity)
    }

    /// Takes over the capacity of new offers. What waits goes on waiting; without a limit it is served.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] if the capacity is out of bounds; nothing changes.
    pub fn reload(&self, offers: &Offers) -> Result<(), SettingsError> {
        let now = self.now();
        let mut state = self.state();
        match (&mut state.limit, offers.capacity()) {
            (Some(limit), Some(terms)) => {
                limit.admission.set_settings(*terms.settings(), now)?;
                limit.terms = terms.clone();
            }
            (None, Some(terms)) => {
                let admission = Admission::new(*terms.settings(), now)?;
                state.limits += 1;
                state.limit = Some(Limit {
                    terms: terms.clone(),
                    admission,
                    waiting: HashMap::new(),
                });
            }
            // Drops the senders, which serves what waits.
            (_, None) => state.limit = None,
        }
        drop(state);
        self.shared.changed.notify_one();
        Ok(())
    }

    /// Returns the most units that a request may cost of an account, and of a free client; `None` without a limit.
    pub fn largest(&self) -> Option<(u64, u64)> {
        Some(self.state().limit.as_ref()?.terms.largest())
    }

    /// Tells whether a request of an account would be refused at once: for the ledger, before it reserves the price. Takes
    /// nothing. A request that would wait has room.
    pub fn room(&self, account: &AccountKey, work: &Work, bytes: u64) -> Room {
        let now = self.now();
        let state = self.state();
        let Some(limit) = &state.limit else {
            return Room::Free;
        };
        let demand = Demand {
            cost: work.most(),
            bytes,
            price: 0,
        };
        let tier = limit.tier(account, now);
        match limit.admission.check(account, tier, demand, now) {
            Ok(_) => Room::Free,
            Err(refusal) => Room::Full {
                // A request that is too large is refused before, by `largest`.
                retry_after: refusal.retry_seconds().unwrap_or(1),
            },
        }
    }

    /// Counts what an account was charged towards its weight, for ten minutes.
    pub fn charged(&self, account: &AccountKey, amount: Amount) {
        let now = self.now();
        let mut state = self.state();
        if let Some(limit) = &mut state.limit {
            let worth = limit.terms.worth(account.currency, amount);
            let tier = limit.tier(account, now);
            if worth > 0 {
                limit.admission.paid(account, tier, worth, now);
            }
        }
    }

    /// Returns the number and the bytes of waiting requests.
    pub fn waiting(&self) -> (usize, u64) {
        let state = self.state();
        let limit = state.limit.as_ref();
        limit.map_or((0, 0), |limit| limit.admission.waiting())
    }

    pub(super) fn give_back(&self, (limits, held): (u64, Held), used: u64) {
        let now = self.now();
        let mut state = self.state();
        if state.limits != limits {
            return;
        }
        let Some(limit) = &mut state.limit else {
            return;
        };
        match held {
            Held::Paid(account, grant) => limit.admission.settle(&account, grant, used, now),
            Held::Free(grant) => limit.admission.settle_free(grant, used, now),
        }
        if !limit.waiting.is_empty() {
            self.shared.changed.notify_one();
        }
    }

    pub(super) fn now(&self) -> u64 {
        let elapsed = self.shared.began.elapsed().as_nanos();
        u64::try_from(elapsed).unwrap_or(u64::MAX)
    }

    /// No code panics under the lock.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        let state = self.shared.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (requests, bytes) = self.waiting();
        f.debug_struct("Capacity")
            .field("waiting", &requests)
            .field("waiting_bytes", &bytes)
            .finish_non_exhaustive()
    }
}

impl Limit {
    pub(super) fn tier(&self, account: &AccountKey, now: u64) -> Tier {
        let worth = self.admission.paid_lately(account, now);
        self.terms.tier(worth)
    }

    /// Tells requests that their time has come.
    fn poll(&mut self, now: u64) {
        for outcome in self.admission.poll(now) {
            let (place, result) = match outcome {
                Outcome::Serve(place, grant) => (place, Ok(grant)),
                Outcome::Refuse(place, refusal) => (place, Err(refusal)),
            };
            if let Some(tell) = self.waiting.remove(&place) {
                // A request that has just been dropped gives its grant back itself.
                let _ = tell.send(result);
            }
        }
    }
}

/// Serves the queue until it is empty. One task does so for all that wait.
pub(super) async fn serve_queue(capacity: Capacity) {
    loop {
        let pause = {
            let now = capacity.now();
            let mut state = capacity.state();
            let pause = state.limit.as_mut().and_then(|limit| {
                limit.poll(now);
                let next = limit.admission.next_event(now);
                (!limit.waiting.is_empty()).then(|| next.saturating_sub(now))
            });
            let Some(pause) = pause else {
                state.is_served = false;
                return;
            };
            Duration::from_nanos(pause)
        };
        tokio::select! {
            () = sleep(pause) => {}
            () = capacity.shared.changed.notified() => {}
        }
    }
}
