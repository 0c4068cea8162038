//! Streams that are paid while they run: what a part costs, and how more money comes.

use super::{Offer, Request, Sale, Seller, credits::Watch, request::fingerprint};
use crate::{
    ledger::{
        AccountKey, Ask, Channel, Credited, Currency, Fingerprint, LedgerFault, Payment, PaymentId,
        Receipt, Refusal, Sums,
    },
    offers::{Quote, Target, Tariff, Usage, Work},
    wire::{MppReceipt, Paying, Reply, stream_receipt},
};
use alloy_primitives::B256;
use cheque::Amount;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header::AUTHORIZATION};

impl Seller {
    /// Finds the metered offer to which a request adds money: one by `HEAD` to the path of a metered route. `None` for all
    /// other requests.
    pub fn top_up_offer(&self, request: &Request<'_>) -> Option<Offer> {
        if request.method != Method::HEAD {
            return None;
        }
        let target = Target::parse(request.target).ok()?;
        let tariff = self.offers().metered(&target)?;
        Some(self.offer((Quote::Sold(tariff), Work::NONE), request, &target))
    }

    /// True if the route of a request sells WebSockets.
    pub fn opens_sockets(&self, request: &Request<'_>) -> bool {
        let target = Target::parse(request.target);
        target.is_ok_and(|target| self.offers().opens_sockets(request.method, &target))
    }

    /// Takes a payment that adds money to a metered offer and forwards nothing. `None`: the request has no payment.
    pub async fn top_up_by(&self, offer: &Offer, headers: &HeaderMap, now: u64) -> Option<Reply> {
        let (tariff, wire) = (offer.tariff()?, self.wire());
        let Paying {
            payment, protocol, ..
        } = match wire.payment(headers, now) {
            Ok(paying) => paying?,
            Err(error) => return Some(wire.unreadable(tariff, &error, &offer.url, now)),
        };
        Some(match self.add(&payment, now).await {
            Ok(Ok(credited)) => {
                let mut reply = wire.topped_up(credited.balance);
                if let Some(receipt) = receipt(&payment, &credited) {
                    wire.own_receipt(&mut reply.headers, &receipt, &protocol, now);
                }
                reply
            }
            Ok(Err(refusal)) => wire.refused(tariff, &refusal, &offer.url, now),
            Err(fault) => wire.unavailable(&fault, now),
        })
    }

    /// True if a request shows no payment at all.
    pub(crate) fn is_unpaid(&self, headers: &HeaderMap, now: u64) -> bool {
        matches!(self.wire().payment(headers, now), Ok(None))
    }

    /// Returns the receipt of a payment whose sale has begun. Nothing is charged yet.
    pub(crate) fn first_receipt(&self, sale: &Sale, now: u64) -> MppReceipt {
        let receipt = Receipt {
            account: *sale.account(),
            payment: *sale.payment(),
            charged: Amount::ZERO,
            balance: sale.admission.balance(),
            released: false,
        };
        stream_receipt(&receipt, sale.protocol(), now)
    }

    /// Takes a credential of MPP that adds money, as it comes in a message of a WebSocket. The error is a status and its reason.
    pub(crate) async fn top_up_within(
        &self,
        sale: &Sale,
        authorization: &str,
        now: u64,
    ) -> Result<Option<MppReceipt>, (StatusCode, String)> {
        let wire = self.wire();
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_str(authorization);
        let value = value.map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
        headers.insert(AUTHORIZATION, value);
        let Paying {
            payment, protocol, ..
        } = match wire.payment(&headers, now) {
            Ok(Some(paying)) => paying,
            Ok(None) => {
                let detail = "the message has no credential of the scheme Payment";
                return Err((StatusCode::BAD_REQUEST, detail.to_owned()));
            }
            Err(error) => {
                let reply = wire.unreadable(&sale.tariff, &error, "", now);
                return Err((reply.status, error.to_string()));
            }
        };
        match self.add(&payment, now).await {
            Ok(Ok(credited)) => Ok(receipt(&payment, &credited)
                .map(|receipt| stream_receipt(&receipt, &protocol, now))),
            Ok(Err(refusal)) => {
                let status = wire.refused_top_up(&refusal).status;
                Err((status, refusal.to_string()))
            }
            Err(fault) => {
                let status = wire.unavailable(&fault, now).status;
                let detail = "payments cannot be judged now; send the same payment again";
                Err((status, detail.to_owned()))
            }
        }
    }

    /// Computes the cost of an answer of a sale. `None`: no price in the account's currency.
    pub fn cost(&self, sale: &Sale, usage: &Usage) -> Option<Amount> {
        let (currency, _) = self.price(&sale.tariff, sale.account())?;
        sale.tariff.cost(currency, usage)
    }

    /// Finds the currency in which an account buys a request, and the most that the request costs in it.
    pub(super) fn price(
        &self,
        tariff: &Tariff,
        account: &AccountKey,
    ) -> Option<(Currency, Amount)> {
        let currencies = self.shared.ledger.currencies();
        let mut prices = tariff.prices();
        let own = |currency| currencies.canonical(currency) == account.currency;
        let (token, most) = prices.find(|(token, _)| own(token.currency))?;
        Some((token.currency, most))
    }

    /// Credits a payment that belongs to no request, and wakes the streams of its account.
    pub(super) async fn add(
        &self,
        payment: &Payment,
        now: u64,
    ) -> Result<Result<Credited, Refusal>, LedgerFault> {
        let ask = Ask {
            fingerprint: Fingerprint(B256::ZERO),
            prices: Vec::new(),
            key: None,
            now,
        };
        let added = self.shared.ledger.add(&ask, payment).await?;
        if let Ok(credited) = &added {
            self.shared.credits.tell(&credited.account);
        }
        Ok(added)
    }

    pub(super) fn offer(
        &self,
        (quote, work): (Quote, Work),
        request: &Request<'_>,
        target: &Target,
    ) -> Offer {
        Offer {
            quote,
            work,
            fingerprint: fingerprint(request, target),
            url: format!(
                "{}://{}{}",
                request.scheme,
                request.authority,
                target.as_str()
            ),
        }
    }

    /// Watches the account of a sale for credits.
    pub(crate) fn watch(&self, sale: &Sale) -> Watch {
        self.shared.credits.watch(*sale.account())
    }

    /// Reads the sums of a sale's account.
    pub(crate) async fn sums(&self, sale: &Sale) -> Result<Sums, LedgerFault> {
        self.shared.ledger.sums(*sale.account()).await
    }

    /// Reads the deposit of a sale.
    pub(crate) async fn channel(&self, sale: &Sale) -> Result<Option<Channel>, LedgerFault> {
        self.shared.ledger.channel(sale.payment().deposit()).await
    }
}

/// The receipt of a payment that only adds money. Proofs that are steps only have none: nothing names them.
fn receipt(payment: &Payment, credited: &Credited) -> Option<Receipt> {
    let payment = payment.proofs.iter().find_map(PaymentId::of)?;
    Some(Receipt {
        account: credited.account,
        payment,
        charged: Amount::ZERO,
        balance: credited.balance,
        released: false,
    })
}

impl Offer {
    /// Returns the offer of the same request as a WebSocket: its units are messages. `None` if the route sells no WebSockets.
    pub fn of_socket(self) -> Option<Self> {
        let quote = match self.quote {
            Quote::Free => Quote::Free,
            Quote::Sold(tariff) => Quote::Sold(Tariff::of_socket(tariff)?),
        };
        Some(Self { quote, ..self })
    }
}
