//! The seller: offers, wire and ledger behind one boundary.

pub(crate) mod credits;
mod exact;
mod metering;
pub(crate) mod request;
pub(crate) mod sale;

#[cfg(test)]
mod tests;

use crate::{
    discovery::{WellKnown, annotate},
    ledger::{
        Admitted, Ask, Extended, Ledger, LedgerFault, Outcome, Payment, Receipt, Refusal, RoomFor,
    },
    offers::{FreeCounts, Offers, Target, Tariff, Token, Usage},
    seller::{
        credits::Credits,
        request::{Offer, QuoteRefusal, Request},
        sale::{End, Entry, Sale},
    },
    wire::{Paying, Protocol, Reply, TokenTerms, Wire},
};
use cheque::{Amount, Proof};
use http::{HeaderMap, StatusCode};
use std::sync::{
    Arc, Mutex, PoisonError, RwLock,
    atomic::{AtomicBool, Ordering::Relaxed},
};

/// Sells an upstream's answers: offers, wire and ledger together. Cheap to clone.
///
/// A reverse proxy and a tower layer call it alike, in the order of a request's life:
///
/// 1. [`Seller::quote`] checks target and body, and finds the price. The host forwards exactly the bytes that it passed.
/// 2. [`Seller::admit`] reads the payment, credits it, and reserves the price. What it returns is to be forwarded, or to be
///    sent to the client. A forwarded request first goes through [`strip_request`](crate::wire::strip_request), free ones too;
///    then the host may set `X-Payer` and `X-Payment-Id` from the [`Sale`].
/// 3. The host runs the rest in a task of its own: the upstream's outcome counts, not the client's connection. It calls
///    [`Seller::renew`] before [`Sale::lease_until`]. A live sale ([`Sale::is_live`]) has reserved its first piece only: before
///    more than [`Sale::reserved`] is delivered, by [`Seller::cost`], the host calls [`Seller::extend`].
/// 4. [`Sale::read_answer`] takes what the upstream reports out of its headers.
/// 5. [`Seller::settle`] charges or releases. A request with a fixed price may be settled as soon as the upstream's status is
///    known, so that the receipt goes into the headers; one with a variable price when the answer has ended. If the store fails,
///    settle again: an unsettled sale is released at the end of its lease.
/// 6. [`Seller::receipt`] sets the headers of the receipt.
///
/// Beside these, the host calls [`Ledger::sweep`] some times a minute, [`Ledger::prune`] for positions that the payee has dropped,
/// and [`Ledger::lose_deposit`] for deposits that a reorganisation has removed.
#[derive(Clone, Debug)]
pub struct Seller {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    offers: RwLock<Arc<Offers>>,
    ledger: Ledger,
    wire: Wire,
    free: Mutex<FreeCounts>,
    credits: Credits,
    sells_exact: AtomicBool,
}

/// The reason why offers cannot be sold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SellerError {
    /// The offers count other tokens as equal than the ledger.
    #[error("the tokens that count as equal have changed; restart to change them")]
    Currencies,
}

impl Seller {
    /// Sells by `offers`. The ledger must count the same currencies as equal. A token without terms in `wire` is not offered.
    ///
    /// # Errors
    ///
    /// [`SellerError::Currencies`] if the ledger counts others as equal.
    pub fn new(offers: Offers, ledger: Ledger, wire: Wire) -> Result<Self, SellerError> {
        check(&offers, &ledger)?;
        let shared = Shared {
            offers: RwLock::new(Arc::new(offers)),
            ledger,
            wire,
            free: Mutex::default(),
            credits: Credits::default(),
            sells_exact: AtomicBool::new(false),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Replaces the offers. Requests in progress end by the old ones.
    ///
    /// # Errors
    ///
    /// [`SellerError`] if the new offers cannot be sold; the old ones stay.
    pub fn reload(&self, offers: Offers) -> Result<(), SellerError> {
        check(&offers, &self.shared.ledger)?;
        let mut current = self
            .shared
            .offers
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(offers);
        Ok(())
    }

    /// Returns the offers of now.
    pub fn offers(&self) -> Arc<Offers> {
        let offers = self.shared.offers.read();
        Arc::clone(&offers.unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the terms that are offered for each token; the host replaces them as they move.
    pub fn terms(&self) -> &TokenTerms {
        &self.shared.wire.terms
    }

    /// Returns the ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.shared.ledger
    }

    /// Makes the document `/.well-known/cheque.json`. `pay_url` counts where the terms name none.
    pub fn well_known(&self, pay_url: String) -> WellKnown {
        WellKnown::of(&self.offers(), &self.shared.wire, pay_url)
    }

    /// Adds the prices to the upstream's OpenAPI document. `None` for other documents.
    pub(crate) fn annotate(&self, openapi: &[u8]) -> Option<Vec<u8>> {
        annotate(openapi, &self.offers(), &self.shared.wire)
    }

    /// Checks a request, and finds its price.
    ///
    /// # Errors
    ///
    /// [`QuoteRefusal`] if the request is not sold.
    pub fn quote(&self, request: &Request<'_>) -> Result<Offer, QuoteRefusal> {
        let target = Target::parse(request.target)?;
        let (quote, work) = self.offers().quote(request.method, &target, request.body)?;
        Ok(self.offer((quote, work), request, &target))
    }

    /// Takes the payment of a quoted request. `client` is the network prefix by which free requests are counted, `room` tells
    /// the capacity for an account, and `now` is in seconds since 1970.
    ///
    /// A payment of another scheme than ours is answered with our offers; a host that also sells by `exact` looks for that
    /// first.
    pub async fn admit(
        &self,
        offer: &Offer,
        headers: &HeaderMap,
        client: &[u8],
        room: &RoomFor,
        now: u64,
    ) -> Entry {
        let Some(tariff) = offer.tariff() else {
            return Entry::Free;
        };
        let wire = &self.shared.wire;
        let sold = self.sold(tariff);
        let refuse = |reply: Reply| {
            let is_lasting = reply.status != StatusCode::PAYMENT_REQUIRED;
            Entry::Reply(
                match is_lasting || sold.prices().next().is_some() || sold.exact().next().is_some()
                {
                    true => reply,
                    false => wire.closed(now),
                },
            )
        };
        let Paying {
            payment,
            protocol,
            key,
        } = match wire.payment(headers, now) {
            Ok(Some(paying)) => paying,
            Ok(None) if self.is_free(tariff, client, now) => return Entry::Free,
            Ok(None) => return refuse(wire.required(&sold, &offer.url, now)),
            Err(error) => return refuse(wire.unreadable(&sold, &error, &offer.url, now)),
        };
        let ask = Ask {
            fingerprint: offer.fingerprint,
            prices: sold.first().collect(),
            key,
            now,
        };
        match self.shared.ledger.admit(&ask, &payment, room).await {
            Ok(Admitted::Forward(admission)) => {
                self.shared.credits.tell(admission.account());
                let (_, top) = self.price(tariff, admission.account()).unzip();
                Entry::Sale(Box::new(Sale {
                    top: top.unwrap_or(admission.reserved()),
                    admission,
                    tariff: tariff.clone(),
                    protocol,
                }))
            }
            Ok(Admitted::Again(again)) => Entry::Again {
                answer: again.answer,
                receipt: again.receipt,
                protocol,
            },
            // Perhaps in the token without terms. The client keeps the payment.
            Ok(Admitted::Refused(Refusal::NotPriced))
                if sold.prices().count() < tariff.prices().count() =>
            {
                Entry::Reply(wire.closed(now))
            }
            Ok(Admitted::Refused(refusal)) => {
                refuse(wire.refused(&sold, &refusal, &offer.url, now))
            }
            Err(fault) => Entry::Reply(wire.unavailable(&fault, now)),
        }
    }

    /// Takes back that a free request counted, because the host did not forward it.
    pub fn not_given(&self, offer: &Offer, client: &[u8]) {
        if let Some((route, _)) = offer.tariff().and_then(Tariff::free) {
            let counts = self.shared.free.lock();
            let mut counts = counts.unwrap_or_else(PoisonError::into_inner);
            counts.give_back(route, client);
        }
    }

    /// Credits proofs that buy no request: the body of `POST payUrl`, one proof in a line.
    pub async fn top_up(&self, body: &str, now: u64) -> Reply {
        let wire = &self.shared.wire;
        let lines = body.lines().map(str::trim).filter(|line| !line.is_empty());
        let proofs: Result<Vec<Proof>, _> = lines.map(str::parse).collect();
        let payment = match proofs {
            Ok(proofs) => Payment { proofs, max: None },
            Err(error) => return wire.unreadable_top_up(error),
        };
        match self.add(&payment, now).await {
            Ok(Ok(credited)) => wire.topped_up(credited.balance),
            Ok(Err(refusal)) => wire.refused_top_up(&refusal),
            Err(fault) => wire.unavailable(&fault, now),
        }
    }

    /// Prolongs the lease of a sale. `None`: it was released, and nothing is charged.
    ///
    /// # Errors
    ///
    /// Fails if the store fails.
    pub async fn renew(&self, sale: &Sale, now: u64) -> Result<Option<Sale>, LedgerFault> {
        let renewed = self.shared.ledger.renew(&sale.admission, now).await?;
        Ok(renewed.map(|admission| Sale {
            admission,
            ..sale.clone()
        }))
    }

    /// Reserves more for a stream. `Ok(Err(balance))`: the balance does not cover it. `Ok(Ok(None))`: the sale was released.
    ///
    /// # Errors
    ///
    /// Fails if the store fails.
    pub async fn extend(
        &self,
        sale: &Sale,
        more: Amount,
    ) -> Result<Result<Option<Sale>, Amount>, LedgerFault> {
        Ok(
            match self.shared.ledger.extend(&sale.admission, more).await? {
                Extended::Reserved(admission) => Ok(Some(Sale {
                    admission: *admission,
                    ..sale.clone()
                })),
                Extended::Insufficient { balance } => Err(balance),
                Extended::Lapsed => Ok(None),
            },
        )
    }

    /// Ends a sale: charges what the answer costs, or releases it. Keeps `answer` for a client that lost it. `None`: the lease
    /// had ended, and the sale was released.
    ///
    /// # Errors
    ///
    /// Fails if the store fails; call again then.
    pub async fn settle(
        &self,
        sale: &Sale,
        end: End,
        usage: &Usage,
        answer: Option<Vec<u8>>,
        now: u64,
    ) -> Result<Option<Receipt>, LedgerFault> {
        let cost = self.cost(sale, usage);
        let outcome = match end {
            End::Answered(status) => Outcome::Answered {
                status: status.as_u16(),
                cost,
            },
            End::Failed => Outcome::Failed,
            End::TimedOut => Outcome::TimedOut,
            End::Broken => Outcome::Broken { cost },
            End::NotForwarded => Outcome::NotForwarded,
        };
        let terms = sale.tariff.terms();
        let settled = self
            .shared
            .ledger
            .settle(&sale.admission, (outcome, terms), answer, now);
        settled.await
    }

    /// Sets the headers of a receipt.
    pub fn receipt(
        &self,
        headers: &mut HeaderMap,
        receipt: &Receipt,
        protocol: &Protocol,
        status: StatusCode,
        now: u64,
    ) {
        self.shared
            .wire
            .receipt(headers, receipt, protocol, status, now);
    }

    pub(crate) fn wire(&self) -> &Wire {
        &self.shared.wire
    }

    /// The prices at which a request is sold now: in the tokens with terms.
    fn sold(&self, tariff: &Tariff) -> Tariff {
        let has_terms = |token: &Token| self.terms().of(&token.name).is_some();
        tariff.at_present(has_terms, self.shared.sells_exact.load(Relaxed))
    }

    fn is_free(&self, tariff: &Tariff, client: &[u8], now: u64) -> bool {
        let Some((route, tier)) = tariff.free() else {
            return false;
        };
        let mut counts = self
            .shared
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        counts.take(route, client, tier, now)
    }
}

fn check(offers: &Offers, ledger: &Ledger) -> Result<(), SellerError> {
    match offers.currencies() == ledger.currencies() {
        true => Ok(()),
        false => Err(SellerError::Currencies),
    }
}
