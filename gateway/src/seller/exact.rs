//! Sales by the scheme `exact`, as far as the seller knows of them.

use super::Seller;
use crate::{
    exact::ExactPayment,
    ledger::LedgerFault,
    seller::request::Offer,
    wire::{Reply, ShownError, exact_offers, of_scheme_exact},
};
use http::HeaderMap;
use std::sync::atomic::Ordering::Relaxed;

impl Seller {
    /// Offers `exact` from now on, because the host has a facilitator.
    pub(crate) fn sell_exact(&self) {
        self.shared.sells_exact.store(true, Relaxed);
    }

    /// Reads a payment by `exact`. `None`: the request has none, or is not sold so; [`Seller::admit`] answers it.
    pub(crate) fn exact(
        &self,
        offer: &Offer,
        headers: &HeaderMap,
        now: u64,
    ) -> Option<Result<ExactPayment, Reply>> {
        let sold = self.sold(offer.tariff()?);
        sold.exact().next()?;
        let wire = &self.shared.wire;
        let payload = of_scheme_exact(headers)?;
        // Not beside another payment.
        if wire.payment(headers, now) != Err(ShownError::Foreign) {
            return None;
        }
        let offers = exact_offers(&sold).collect();
        let payment = ExactPayment::read(payload, offers, offer.fingerprint, now);
        Some(payment.map_err(|fault| wire.refused_exact(&sold, fault.code(), &offer.url, now)))
    }

    /// Answers a payment by `exact` that is not good.
    pub(crate) fn refuse_exact(&self, offer: &Offer, reason: &str, now: u64) -> Reply {
        match offer.tariff() {
            Some(tariff) => {
                let sold = self.sold(tariff);
                let wire = &self.shared.wire;
                wire.refused_exact(&sold, reason, &offer.url, now)
            }
            None => self.shared.wire.closed(now),
        }
    }

    /// Answers a request that the ledger could not decide about.
    pub(crate) fn unavailable(&self, fault: &LedgerFault, now: u64) -> Reply {
        self.shared.wire.unavailable(fault, now)
    }
}
