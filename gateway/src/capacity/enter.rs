//! Taking tickets.

use super::{
    shell::{Capacity, Held, serve_queue},
    ticket::Ticket,
};
use crate::{ledger::AccountKey, offers::Work};
use cheque::Amount;
use cheque_market::admission::{Decision, Demand, Grant, Prefix, Refusal, Ticket as Place};
use std::net::IpAddr;
use tokio::sync::oneshot;

impl Capacity {
    /// Takes a ticket for a request whose price is reserved, after two seconds in the queue at most. `bytes` is the memory
    /// that the request holds meanwhile. If the future is dropped, the place in the queue is given up.
    ///
    /// # Errors
    ///
    /// [`Refusal`]; nothing was taken.
    pub async fn enter(
        &self,
        account: &AccountKey,
        work: &Work,
        bytes: u64,
        price: Amount,
    ) -> Result<Ticket, Refusal> {
        let place = {
            let now = self.now();
            let mut state = self.state();
            let limits = state.limits;
            let Some(limit) = &mut state.limit else {
                return Ok(self.ticket(work, None));
            };
            let demand = Demand {
                cost: work.most(),
                bytes,
                price: limit.terms.worth(account.currency, price),
            };
            let tier = limit.tier(account, now);
            limit.admission.forget_idle(now);
            match limit.admission.request(account, tier, demand, now)? {
                Decision::Serve(grant) => {
                    let held = Held::Paid(*account, grant);
                    return Ok(self.ticket(work, Some((limits, held))));
                }
                Decision::Wait(place) => {
                    let (tell, told) = oneshot::channel();
                    limit.waiting.insert(place, tell);
                    if !state.is_served {
                        state.is_served = true;
                        tokio::spawn(serve_queue(self.clone()));
                    }
                    self.shared.changed.notify_one();
                    Waiting {
                        capacity: self,
                        account: *account,
                        limits,
                        place,
                        told,
                    }
                }
            }
        };
        place.wait(work).await
    }

    /// Takes a ticket for a request of a client that does not pay, by its network prefix.
    ///
    /// # Errors
    ///
    /// [`Refusal`]; nothing was taken.
    pub fn enter_free(&self, address: IpAddr, work: &Work) -> Result<Ticket, Refusal> {
        let now = self.now();
        let mut state = self.state();
        let limits = state.limits;
        let Some(limit) = &mut state.limit else {
            return Ok(self.ticket(work, None));
        };
        let prefix = Prefix::from(address);
        let grant = limit.admission.request_free(prefix, work.most(), now)?;
        Ok(self.ticket(work, Some((limits, Held::Free(grant)))))
    }

    fn ticket(&self, work: &Work, held: Option<(u64, Held)>) -> Ticket {
        Ticket::new(self.clone(), *work, held)
    }
}

/// A request in the queue.
struct Waiting<'a> {
    capacity: &'a Capacity,
    account: AccountKey,
    limits: u64,
    place: Place,
    told: oneshot::Receiver<Result<Grant, Refusal>>,
}

impl Waiting<'_> {
    async fn wait(mut self, work: &Work) -> Result<Ticket, Refusal> {
        let held = match (&mut self.told).await {
            Ok(Ok(grant)) => Some((self.limits, Held::Paid(self.account, grant))),
            Ok(Err(refusal)) => return Err(refusal),
            // The limit is gone.
            Err(_) => None,
        };
        Ok(self.capacity.ticket(work, held))
    }
}

/// Gives up the place of a request that was dropped.
impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let now = self.capacity.now();
        let mut state = self.capacity.state();
        if state.limits != self.limits {
            return;
        }
        if let Some(limit) = &mut state.limit
            && limit.waiting.remove(&self.place).is_some()
        {
            limit.admission.cancel(self.place, now);
            return;
        }
        drop(state);
        if let Ok(Ok(grant)) = self.told.try_recv() {
            let held = Held::Paid(self.account, grant);
            self.capacity.give_back((self.limits, held), 0);
        }
    }
}
