//! Matching a request with an offer.

use crate::{
    ledger::{Currency, Price, Terms},
    offers::{
        free::FreeTier,
        jsonrpc::{BodyError, Calls},
        price::{PriceError, Usage},
        target::Target,
        types::{ExactTerms, Meter, Offers, Rates, Route, Token},
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
    /// The prices at which the request is sold by the scheme `exact`.
    exact: Vec<(Arc<Token>, Amount)>,
    method: Method,
    has_body: bool,
    meter: Meter,
}

/// The least that an answer uses. A stream begins once this much is paid, and timed ones are paid so far ahead.
const LEAST: Usage = Usage {
    bytes: 1,
    milliseconds: LOOK_AHEAD,
    units: Some(1),
    charge: None,
};

/// The time by which the payment of a stream is ahead of the stream, in milliseconds.
pub(crate) const LOOK_AHEAD: u64 = 1_000;

/// The piece of a stream that is reserved at a time, if the account covers it.
pub(crate) const PIECE: Usage = Usage {
    bytes: 64 << 10,
    milliseconds: 4 * LOOK_AHEAD,
    units: Some(16),
    charge: None,
};

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
        let Some((number, route)) = routes.find(|(_, route)| route.takes(method, target.path()))
        else {
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
        let tariff = Tariff::new(number, route, calls.as_ref(), (method, !body.is_empty()))?;
        Ok((Quote::Sold(tariff), work))
    }

    /// True if the route of a request sells WebSockets: one that is metered, or that says so. Otherwise one request's price would
    /// buy any number of calls.
    pub fn opens_sockets(&self, method: &Method, target: &Target) -> bool {
        let mut routes = self.routes.iter();
        let route = routes.find(|route| route.takes(method, target.path()));
        let is_metered = |route: &Route| {
            let mut prices = route.prices.iter();
            prices.any(|price| price.rates.is_variable())
        };
        route.is_some_and(|route| route.websocket || is_metered(route))
    }

    /// Finds the metered route to which a payment by `HEAD` adds money: the route of `HEAD` itself, or else the first metered
    /// one of the path.
    pub fn metered(&self, target: &Target) -> Option<Tariff> {
        let is_variable = |route: &Route| {
            let mut prices = route.prices.iter();
            prices.any(|price| price.rates.is_variable())
        };
        let mut routes = (0..).zip(&self.routes);
        let of_head = routes.find(|(_, route)| route.takes(&Method::HEAD, target.path()));
        let mut routes = (0..).zip(&self.routes);
        let of_path =
            || routes.find(|(_, route)| route.path.matches(target.path()) && is_variable(route));
        let (number, route) = of_head.or_else(of_path)?;
        let tariff = Tariff::new(number, route, None, (&Method::HEAD, false)).ok()?;
        tariff.is_variable().then_some(tariff)
    }
}

impl Route {
    pub(super) fn takes(&self, method: &Method, path: &str) -> bool {
        let same = self.method.as_ref().is_none_or(|own| own == method);
        same && self.path.matches(path)
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
    fn new(
        number: u64,
        route: &Arc<Route>,
        calls: Option<&Calls>,
        (method, has_body): (&Method, bool),
    ) -> Result<Self, PriceError> {
        let prices = (0..).zip(&route.prices).map(|(index, price)| {
            let fixed = match calls {
                Some(calls) => route.sum(calls, index)?,
                None => price.fixed,
            };
            // The sum of fixed price and maximum is the most that a request reserves, so it must be in range.
            fixed.checked_add(price.rates.max).ok_or(PriceError)?;
            Ok((price.token.clone(), fixed, price.rates))
        });
        Ok(Self {
            prices: prices.collect::<Result<_, PriceError>>()?,
            exact: Vec::new(),
            route: route.clone(),
            number,
            method: method.clone(),
            has_body,
            meter: route.meter,
        })
    }

    /// Returns the prices of a WebSocket: its units are messages. `None` if its units are those of another kind of answer.
    pub fn of_socket(mut self) -> Option<Self> {
        match self.meter {
            Meter::OpenaiUsage => return None,
            Meter::Reported | Meter::Events => self.meter = Meter::Events,
        }
        Some(self)
    }

    /// Returns the way in which units are counted.
    pub const fn meter(&self) -> Meter {
        self.meter
    }

    /// True if the gateway knows the cost of an answer while the answer is on its way, so that it is paid in pieces.
    pub fn is_live(&self) -> bool {
        let counted = self.meter == Meter::Events;
        let mut prices = self.prices.iter();
        self.is_variable() && prices.all(|(_, _, rates)| counted || rates.per_unit.is_zero())
    }

    /// Returns what is reserved before the request is forwarded: all that it can cost, or of a live price the first piece.
    pub fn first(&self) -> impl Iterator<Item = (Currency, Price)> {
        let is_live = self.is_live();
        self.prices.iter().map(move |(token, fixed, rates)| {
            // In range: the quote has checked the sum with the maximum.
            let sum = |variable| fixed.checked_add(variable).unwrap_or(Amount::MAX);
            let price = match is_live {
                true => Price {
                    least: sum(rates.cost(&LEAST)),
                    most: sum(rates.cost(&PIECE)),
                },
                false => sum(rates.max).into(),
            };
            (token.currency, price)
        })
    }

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

    /// Returns the prices in the tokens that are taken at present, and those by `exact` if `sells_exact`. A transfer needs no
    /// terms. A price that depends on the answer is not known before, so it has no transfer.
    pub(crate) fn at_present(&self, is_taken: impl Fn(&Token) -> bool, sells_exact: bool) -> Self {
        let mut rest = self.clone();
        if sells_exact && !self.is_variable() {
            let priced = self.prices.iter().filter(|(_, fixed, _)| !fixed.is_zero());
            let sold = priced.filter(|(token, ..)| token.exact.is_some());
            rest.exact = sold
                .map(|(token, fixed, _)| (token.clone(), *fixed))
                .collect();
        }
        rest.prices.retain(|(token, ..)| is_taken(token));
        rest
    }

    /// Returns the offers by the scheme `exact`.
    pub(crate) fn exact(&self) -> impl Iterator<Item = (&Token, &ExactTerms, Amount)> {
        self.exact.iter().filter_map(|(token, amount)| {
            let terms = token.exact.as_ref()?;
            Some((&**token, terms, *amount))
        })
    }

    /// Returns the method of the request.
    pub const fn method(&self) -> &Method {
        &self.method
    }

    /// True if the price depends on the calls of JSON-RPC in the body.
    pub fn is_of_calls(&self) -> bool {
        self.route.calls.is_some()
    }

    /// Returns the first method of JSON-RPC with a price of its own.
    pub(crate) fn example_call(&self) -> Option<&str> {
        let (method, _) = self.route.calls.as_ref()?.first_key_value()?;
        Some(method)
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
