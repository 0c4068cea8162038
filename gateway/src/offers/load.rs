//! Reading and checking a file of offers.

use crate::{
    ledger::{Currencies, Currency},
    offers::{
        error::{OffersError, OffersFault},
        file::{OffersFile, RouteEntry, TokenEntry, Unit, Units},
        free::FreeTier,
        glob::Glob,
        load_capacity,
        price::gross,
        terms::{exact, rate},
        types::{Home, Meter, Offers, Price, Rates, Route, Token},
    },
};
use cheque::Amount;
use http::Method;
use std::{collections::BTreeMap, num::NonZeroU64, sync::Arc};
use toml::Spanned;

const DAY: u64 = 86_400;

impl Offers {
    /// Reads a file of offers.
    ///
    /// # Errors
    ///
    /// [`OffersError`] names the first fault and its line.
    pub fn parse(text: &str, home: &Home) -> Result<Self, OffersError> {
        let file: OffersFile = toml::from_str(text).map_err(|error| {
            let span = error.span().unwrap_or_default();
            OffersError::at(text, span, OffersFault::Toml(error.message().to_owned()))
        })?;
        let loader = Loader {
            text,
            currencies: currencies(text, &file, home)?,
            tokens: tokens(text, &file, home)?,
            min_payout_costs: home.min_payout_costs,
        };
        if file.route.is_empty() {
            return Err(OffersError::at(text, 0..0, OffersFault::Empty("[[route]]")));
        }
        let mut routes: Vec<Arc<Route>> = Vec::new();
        for entry in &file.route {
            let route = loader.route(entry)?;
            let same =
                |other: &Arc<Route>| other.method == route.method && other.path == route.path;
            if let Some(at) = routes.iter().position(same) {
                let first = OffersError::at(text, file.route[at].span(), OffersFault::FreeOrPriced);
                return Err(loader.fault(entry, OffersFault::Unreachable(first.line)));
            }
            routes.push(Arc::new(route));
        }
        Ok(Self {
            capacity: {
                let known = (&loader.tokens, &loader.currencies);
                load_capacity::load(text, &file, &routes, known)?
            },
            tokens: loader.tokens.into_values().collect(),
            currencies: loader.currencies,
            routes,
            free_without_route: file.free_without_route,
            facilitator: file.exact.map(|exact| exact.facilitator),
        })
    }
}

struct Loader<'a> {
    text: &'a str,
    tokens: BTreeMap<String, Arc<Token>>,
    currencies: Currencies,
    min_payout_costs: u32,
}

/// The decimals of the native coin of every chain.
const COIN_DECIMALS: u8 = 18;

impl TokenEntry {
    fn currency(&self, home: &Home) -> Currency {
        Currency {
            chain_id: self.chain_id.unwrap_or(home.bank.chain_id()),
            token: self.address.unwrap_or_default(),
        }
    }

    fn decimals(&self, name: &str) -> Result<u8, OffersFault> {
        match (self.address, self.decimals) {
            (None, None | Some(COIN_DECIMALS)) => Ok(COIN_DECIMALS),
            (None, Some(_)) => Err(OffersFault::CoinDecimals(name.to_owned())),
            (Some(_), Some(decimals)) => Ok(decimals),
            (Some(_), None) => Err(OffersFault::NoDecimals(name.to_owned())),
        }
    }
}

fn tokens(
    text: &str,
    file: &OffersFile,
    home: &Home,
) -> Result<BTreeMap<String, Arc<Token>>, OffersError> {
    if file.tokens.is_empty() {
        return Err(OffersError::at(text, 0..0, OffersFault::Empty("[tokens]")));
    }
    let mut tokens: BTreeMap<String, Arc<Token>> = BTreeMap::new();
    for (name, entry) in &file.tokens {
        let fault = |fault| OffersError::at(text, entry.span(), fault);
        let token = entry.get_ref();
        let currency = token.currency(home);
        if let Some(other) = tokens.values().find(|other| other.currency == currency) {
            return Err(fault(OffersFault::SameToken(
                other.name.clone(),
                name.clone(),
            )));
        }
        let decimals = token.decimals(name).map_err(fault)?;
        let rate = rate(text, token, decimals)?;
        let exact = exact(text, file, token)?;
        let token = Token {
            name: name.clone(),
            currency,
            bank: token.bank.unwrap_or(home.bank.address()),
            decimals,
            rate,
            exact,
        };
        tokens.insert(name.clone(), Arc::new(token));
    }
    if file.exact.is_some() && tokens.values().all(|token| token.exact.is_none()) {
        return Err(OffersError::at(text, 0..0, OffersFault::NoExactToken));
    }
    Ok(tokens)
}

fn currencies(text: &str, file: &OffersFile, home: &Home) -> Result<Currencies, OffersError> {
    let mut currencies = Currencies::distinct();
    for (name, entry) in &file.tokens {
        let token = entry.get_ref();
        let Some(equal) = &token.equal_to else {
            continue;
        };
        let other = equal.get_ref();
        let fault = |fault| OffersError::at(text, equal.span(), fault);
        let Some(canonical) = file.tokens.get(other) else {
            return Err(fault(OffersFault::UnknownToken(other.clone())));
        };
        let canonical = canonical.get_ref();
        if canonical.equal_to.is_some() {
            return Err(fault(OffersFault::EqualChain(other.clone())));
        }
        let own = token.decimals(name).map_err(fault)?;
        let theirs = canonical.decimals(other).map_err(fault)?;
        if own != theirs {
            return Err(fault(OffersFault::Decimals(
                name.clone(),
                own,
                other.clone(),
                theirs,
            )));
        }
        currencies.merge(token.currency(home), canonical.currency(home));
    }
    Ok(currencies)
}

impl Loader<'_> {
    fn fault<T>(&self, at: &Spanned<T>, fault: OffersFault) -> OffersError {
        OffersError::at(self.text, at.span(), fault)
    }

    fn route(&self, entry: &Spanned<RouteEntry>) -> Result<Route, OffersError> {
        let route = entry.get_ref();
        let fault = |fault| self.fault(entry, fault);
        let path = Glob::parse(route.path.get_ref())
            .map_err(|reason| self.fault(&route.path, OffersFault::Path(reason)))?;
        let method = route.method.as_ref().map(|method| {
            let known = Method::from_bytes(method.get_ref().as_bytes()).ok();
            let known =
                known.filter(|known| known.as_str().bytes().all(|byte| byte.is_ascii_uppercase()));
            known.ok_or_else(|| self.fault(method, OffersFault::Method(method.get_ref().clone())))
        });
        if route.free != route.price.is_empty() {
            return Err(fault(OffersFault::FreeOrPriced));
        }
        if route.per_unit.is_empty() == route.unit.is_some() {
            return Err(fault(OffersFault::Unit));
        }
        if route.per_unit.is_empty() {
            route.count_nothing(self.text)?;
        }
        let free = match (route.first_free, route.free_per_day) {
            (Some(_), Some(_)) => return Err(fault(OffersFault::TwoFree)),
            (Some(requests), None) => Some(FreeTier {
                requests,
                window: None,
            }),
            (None, Some(requests)) => Some(FreeTier {
                requests,
                window: Some(DAY),
            }),
            (None, None) => None,
        };
        self.check_tokens(route)?;
        Ok(Route {
            method: method.transpose()?,
            path,
            prices: self.prices(entry)?,
            unit: route.unit.clone(),
            meter: route
                .meter
                .as_ref()
                .map_or(Meter::Reported, |meter| *meter.get_ref()),
            calls: self.calls(route)?,
            free,
            charge_4xx: route.charge_4xx,
            websocket: route.websocket,
            description: route.description.clone(),
            cost: load_capacity::cost(self.text, route)?,
        })
    }

    /// Checks that all prices of a route are in tokens in which the route has a fixed price.
    fn check_tokens(&self, route: &RouteEntry) -> Result<(), OffersError> {
        let tables = [
            &route.price,
            &route.per_kib,
            &route.per_second,
            &route.per_unit,
            &route.max,
        ];
        let calls = route.rpc.values().map(Spanned::get_ref);
        for table in tables.into_iter().chain(calls) {
            for (name, units) in table {
                if !self.tokens.contains_key(name) {
                    return Err(self.fault(units, OffersFault::UnknownToken(name.clone())));
                }
                if !route.price.contains_key(name) {
                    return Err(self.fault(units, OffersFault::NoPrice(name.clone())));
                }
            }
        }
        Ok(())
    }

    fn prices(&self, entry: &Spanned<RouteEntry>) -> Result<Vec<Price>, OffersError> {
        let route = entry.get_ref();
        let mut prices: Vec<Price> = Vec::new();
        for (name, units) in &route.price {
            let token = &self.tokens[name];
            let canonical = |token: &Token| self.currencies.canonical(token.currency);
            if prices
                .iter()
                .any(|other| canonical(&other.token) == canonical(token))
            {
                return Err(self.fault(units, OffersFault::EqualPrices(token.currency)));
            }
            let of = |table: &Units| match table.get(name) {
                Some(units) => self.amount(route, units),
                None => Ok(Amount::ZERO),
            };
            let rates = Rates {
                per_kib: of(&route.per_kib)?,
                per_second: of(&route.per_second)?,
                per_unit: of(&route.per_unit)?,
                unit_size: route
                    .unit_size
                    .as_ref()
                    .map_or(NonZeroU64::MIN, |size| *size.get_ref()),
                max: of(&route.max)?,
            };
            match (rates.is_variable(), route.max.get(name)) {
                (true, None) => return Err(self.fault(entry, OffersFault::NoMax(name.clone()))),
                (false, Some(max)) => {
                    return Err(self.fault(max, OffersFault::NoVariable(name.clone())));
                }
                _ => {}
            }
            let fixed = self.amount(route, units)?;
            if fixed.checked_add(rates.max).is_none() {
                return Err(self.fault(units, OffersFault::TooHigh));
            }
            prices.push(Price {
                token: token.clone(),
                fixed,
                rates,
            });
        }
        Ok(prices)
    }

    /// The prices of calls, in the order of the route's prices.
    fn calls(
        &self,
        route: &RouteEntry,
    ) -> Result<Option<BTreeMap<String, Vec<Amount>>>, OffersError> {
        let mut calls = BTreeMap::new();
        for (method, entry) in &route.rpc {
            let mut prices = Vec::new();
            for name in route.price.keys() {
                let Some(units) = entry.get_ref().get(name) else {
                    let fault = OffersFault::NoCallPrice(method.clone(), name.clone());
                    return Err(self.fault(entry, fault));
                };
                prices.push(self.amount(route, units)?);
            }
            calls.insert(method.clone(), prices);
        }
        Ok((!calls.is_empty()).then_some(calls))
    }

    /// An amount of the file, raised where the route's prices are net.
    fn amount(&self, route: &RouteEntry, units: &Spanned<Unit>) -> Result<Amount, OffersError> {
        let amount = Amount::new(units.get_ref().0);
        match route.net {
            true => gross(amount, self.min_payout_costs)
                .ok_or_else(|| self.fault(units, OffersFault::TooHigh)),
            false => Ok(amount),
        }
    }
}
