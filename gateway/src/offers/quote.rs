//! Matching a request with an offer.

use crate::{
    ledger::{Currency, Terms},
    offers::{
        free::FreeTier,
        jsonrpc::{BodyError, Calls},
        price::{PriceError, Usage},
        target::Target,
        types::{Offers, Rates, Route, Token},
        work::{CostTable, Work},
    },
};
use cheque::Amount;
use http::Method;
use std::sync::Arc;

/// The price of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Quote {
    /// The request costs nothing.
    Free,
    /// The request is sold.
    Sold(Tariff),
}

/// The prices of a request in all currencies that buy it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tariff {
    pub(super) route: Arc<Route>,
    pub(super) number: u64,
    pub(super) prices: Vec<(Arc<Token>, Amount, Rates)>,
    has_body: bool,
}

/// The reason why a request has no price. It is answered with 400, or 404 for [`QuoteError::NoRoute`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuoteError {
    /// No route takes the request.
    #[error("nothing is sold under this method and path")]
    NoRoute,
    /// The body decides about the price, and cannot be read.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The sum of the calls' prices is out of range.
    #[error(transparent)]
    Price(#[from] PriceError),
}

impl Offers {
    /// Finds the price of a request, and its cost in units of the capacity: those of the first route in the file that takes
    /// its method and path. `body` is the whole body.
    ///
    /// A batch of JSON-RPC costs the sum of its calls.
    ///
    /// # Errors
    ///
    /// [`QuoteError`] if the request is not sold.
    pub fn quote(
        &self,
        method: &Method,
        target: &Target,
        body: &[u8],
    ) -> Result<(Quote, Work), QuoteError> {
        let mut routes = (0..).zip(&self.routes);
        let Some((number, route)) = routes.find(|(_, route)| route.takes(method, target)) else {
            return match self.free_without_route {
                true => Ok((Quote::Free, CostTable::default().work(None))),
                false => Err(QuoteError::NoRoute),
            };
        };
        let reads_calls = route.calls.is_some() || !route.cost.rpc.is_empty();
        let calls = reads_calls.then(|| Calls::parse(body)).transpose()?;
        let work = route.cost.work(calls.as_ref());
        if route.prices.is_empty() {
            return Ok((Quote::Free, work));
        }
        // Without prices of calls, a batch costs as much as one call.
        let calls = calls.filter(|_| route.calls.is_some());
        let prices = (0..).zip(&route.prices).map(|(index, price)| {
            let fixed = match &calls {
                Some(calls) => route.sum(calls, index)?,
                None => price.fixed,
            };
            // The sum of fixed price and maximum is what a request reserves, so it must be in range.
            fixed.checked_add(price.rates.max).ok_or(PriceError)?;
            Ok((price.token.clone(), fixed, price.rates))
        });
        let tariff = Tariff {
            route: route.clone(),
            number,
            prices: prices.collect::<Result<_, PriceError>>()?,
            has_body: !body.is_empty(),
        };
        Ok((Quote::Sold(tariff), work))
    }
}

impl Route {
    fn takes(&self, method: &Method, target: &Target) -> bool {
        let same = self.method.as_ref().is_none_or(|own| own == method);
        same && self.path.matches(target.path())
    }

    /// Sums up the prices of calls in one of the route's tokens.
    fn sum(&self, calls: &Calls, index: usize) -> Result<Amount, PriceError> {
        let default = self.prices[index].fixed;
        let own = |method: &str| self.calls.as_ref()?.get(method)?.get(index).copied();
        calls.methods().try_fold(Amount::ZERO, |sum, method| {
            let price = own(method).unwrap_or(default);
            sum.checked_add(price).ok_or(PriceError)
        })
    }
}

impl Tariff {
    /// Returns the tokens that buy the request, each with the most that the request can cost, in units of the token.
    pub fn prices(&self) -> impl Iterator<Item = (&Token, Amount)> {
        self.prices.iter().map(|(token, fixed, rates)| {
            // In range: the quote has checked it.
            let most = fixed.checked_add(rates.max).unwrap_or(Amount::MAX);
            (&**token, most)
        })
    }

    /// Computes the cost of an answer in a currency, in units of its token: the fixed price and the variable part, or what
    /// the upstream says, and never more than the reserved price. `None` for a currency that does not buy the request.
    pub fn cost(&self, currency: Currency, usage: &Usage) -> Option<Amount> {
        let mut prices = self.prices.iter();
        let (_, fixed, rates) = prices.find(|(token, ..)| token.currency == currency)?;
        let most = fixed.checked_add(rates.max)?;
        match usage.charge {
            Some(charge) => Some(charge.min(most)),
            None => fixed.checked_add(rates.cost(usage)),
        }
    }

    /// True if the cost depends on the answer.
    pub fn is_variable(&self) -> bool {
        self.prices.iter().any(|(_, _, rates)| rates.is_variable())
    }

    /// Returns the name of the unit that the upstream reports.
    pub fn unit(&self) -> Option<&str> {
        self.route.unit.as_deref()
    }

    /// Returns the operator's description of the route.
    pub fn description(&self) -> Option<&str> {
        self.route.description.as_deref()
    }

    /// Returns the rules for the end of the request.
    pub fn terms(&self) -> Terms {
        Terms {
            charge_4xx: self.route.charge_4xx,
            has_body: self.has_body,
        }
    }

    /// Returns the free requests of each client, and the number of the route for [`FreeCounts::take`](super::FreeCounts::take).
    pub fn free(&self) -> Option<(u64, FreeTier)> {
        self.route.free.map(|tier| (self.number, tier))
    }
}
