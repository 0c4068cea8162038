//! A reserved sale: its lease, its settlement and its receipt.

use super::{
    body::ProxyBody,
    reply::{no_capacity, problem},
    shared::Shared,
};
use crate::{
    capacity::Ticket,
    forward::ForwardError,
    ledger::Receipt,
    offers::{Usage, Work},
    seller::sale::{End, Sale},
};
use cheque::service::metrics as names;
use http::{HeaderMap, Response, StatusCode};
use metrics::counter;
use std::{pin::pin, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{error, warn};

/// A lease is renewed this long before its end.
const RENEW_BEFORE: u64 = 10;

/// The pause after a failure to renew.
const RENEW_AGAIN: Duration = Duration::from_secs(1);

/// A released lease cannot be renewed.
const RELEASED: Duration = Duration::from_secs(3_600);

/// The pauses before the settlement is tried again, after a failure of the store.
const SETTLE_AGAIN: [Duration; 3] = [
    Duration::from_millis(100),
    Duration::from_secs(1),
    Duration::from_secs(5),
];

/// A reserved sale, and the task that owns it.
pub(super) struct Selling {
    pub(super) shared: Arc<Shared>,
    pub(super) sale: Sale,
    /// The most that the request uses of the capacity, and the bytes of memory that it holds while it waits.
    demand: (Work, u64),
    /// Present while the request is forwarded.
    pub(super) ticket: Option<Ticket>,
    /// The moment from which the time of the answer counts.
    pub(super) began: Instant,
    renew_at: Instant,
}

/// The time until a lease is to be renewed.
fn before_end(shared: &Shared, sale: &Sale) -> Duration {
    let until_end = sale.lease_until().saturating_sub((shared.settings.now)());
    Duration::from_secs(until_end.saturating_sub(RENEW_BEFORE).max(1))
}

impl Selling {
    pub(super) fn new(shared: Arc<Shared>, sale: Sale, demand: (Work, u64)) -> Self {
        let renew_at = Instant::now() + before_end(&shared, &sale);
        Self {
            shared,
            sale,
            demand,
            ticket: None,
            began: Instant::now(),
            renew_at,
        }
    }

    /// Waits for capacity, and begins. Without capacity the reserved price is released; the error is the answer.
    pub(super) async fn enter(&mut self) -> Result<(), Response<ProxyBody>> {
        let capacity = self.shared.settings.capacity.clone();
        let account = *self.sale.account();
        let price = self.sale.reserved();
        let (work, bytes) = self.demand;
        let entering = capacity.enter(&account, &work, bytes, price);
        match self.holding(entering).await {
            Ok(ticket) => {
                self.ticket = Some(ticket);
                // The time in the queue is not charged.
                self.began = Instant::now();
                Ok(())
            }
            Err(refusal) => {
                let used = Usage::default();
                let settled = self.settle(End::NotForwarded, &used, None).await;
                Err(self.with_receipt(no_capacity(&refusal), settled))
            }
        }
    }

    /// Gives back the ticket of a request that has ended.
    pub(super) fn leave(&mut self, bytes: u64) {
        if let Some(ticket) = self.ticket.take() {
            ticket.give_back(bytes);
        }
    }

    /// Ends a sale without an answer of the upstream.
    pub(super) async fn failed(&mut self, end: End, error: &ForwardError) -> Response<ProxyBody> {
        self.leave(0);
        let settled = self.settle(end, &Usage::default(), None).await;
        self.with_receipt(failure(error), settled)
    }

    /// Does `work`, and renews the lease meanwhile. The time to renew is that of the sale, not of a single call: a stream calls
    /// for each of its parts.
    pub(super) async fn holding<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                () = sleep_until(self.renew_at) => self.renew().await,
                done = &mut work => return done,
            }
        }
    }

    async fn renew(&mut self) {
        let now = (self.shared.settings.now)();
        let pause = match self.shared.seller.renew(&self.sale, now).await {
            Ok(Some(renewed)) => {
                self.sale = renewed;
                before_end(&self.shared, &self.sale)
            }
            // The settlement finds the sale released.
            Ok(None) => RELEASED,
            Err(fault) => {
                warn!(%fault, "a lease was not renewed");
                RENEW_AGAIN
            }
        };
        self.renew_at = Instant::now() + pause;
    }

    /// Settles, and tries again while the store fails. The error says that nothing is known about the charge.
    pub(super) async fn settle(
        &self,
        end: End,
        usage: &Usage,
        answer: Option<Vec<u8>>,
    ) -> Result<Option<Receipt>, ()> {
        let mut pauses = SETTLE_AGAIN.into_iter();
        loop {
            let now = (self.shared.settings.now)();
            let seller = &self.shared.seller;
            let settled = seller.settle(&self.sale, end, usage, answer.clone(), now);
            let fault = match settled.await {
                Ok(receipt) => {
                    if let Some(receipt) = &receipt {
                        let outcome = match receipt.released {
                            true => "released",
                            false => "charged",
                        };
                        counter!(names::GATEWAY_SALES, "outcome" => outcome).increment(1);
                        let capacity = &self.shared.settings.capacity;
                        capacity.charged(&receipt.account, receipt.charged);
                    }
                    return Ok(receipt);
                }
                Err(fault) => fault,
            };
            let Some(pause) = pauses.next() else {
                error!(payment = %self.sale.payment(), %fault, "a sale was not settled");
                return Err(());
            };
            sleep(pause).await;
        }
    }

    /// Puts the receipt into an answer. Without a settlement there is no answer: the same payment buys it again.
    pub(super) fn with_receipt(
        &self,
        mut answer: Response<ProxyBody>,
        settled: Result<Option<Receipt>, ()>,
    ) -> Response<ProxyBody> {
        match settled {
            Ok(Some(receipt)) => {
                let status = answer.status();
                self.write_receipt(answer.headers_mut(), &receipt, status);
                answer
            }
            // The lease had ended before: the sale costs nothing.
            Ok(None) => answer,
            Err(()) => {
                let detail = "the payment could not be settled; send it again in a minute";
                problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
            }
        }
    }

    pub(super) fn write_receipt(
        &self,
        headers: &mut HeaderMap,
        receipt: &Receipt,
        status: StatusCode,
    ) {
        let now = (self.shared.settings.now)();
        let protocol = self.sale.protocol();
        let seller = &self.shared.seller;
        seller.receipt(headers, receipt, protocol, status, now);
    }
}

/// The answer to a request that the upstream did not answer.
pub(super) fn failure(error: &ForwardError) -> Response<ProxyBody> {
    let (status, code) = match error {
        ForwardError::TimedOut => (StatusCode::GATEWAY_TIMEOUT, "upstream_timeout"),
        ForwardError::Target => (StatusCode::BAD_REQUEST, "target"),
        _ => (StatusCode::BAD_GATEWAY, "upstream_failed"),
    };
    problem(status, code, &error.to_string())
}
