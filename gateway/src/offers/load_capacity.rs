//! Reading and checking the capacity of a file of offers.

use crate::{
    ledger::{Currencies, Currency},
    offers::{
        capacity::{CapacityTerms, YARD},
        error::{OffersError, OffersFault},
        file::{CapacityEntry, OffersFile, RouteEntry, TierEntry},
        types::{Route, Token},
        work::CostTable,
    },
};
use cheque::{Amount, U256};
use cheque_market::admission::{
    AdmissionSettings, FreeSettings, QueueSettings, SettingsError, Tier,
};
use std::{collections::BTreeMap, num::NonZeroU64, sync::Arc};

/// The longest wait in the queue.
const QUEUE_SECONDS: u64 = 2;
/// The most records of network prefixes.
const MAX_PREFIXES: usize = 65_536;

/// Reads the capacity of a file whose routes are checked.
pub(super) fn load(
    text: &str,
    file: &OffersFile,
    routes: &[Arc<Route>],
    (tokens, currencies): (&BTreeMap<String, Arc<Token>>, &Currencies),
) -> Result<Option<CapacityTerms>, OffersError> {
    let Some(entry) = &file.capacity else {
        return Ok(None);
    };
    let fault = |fault| OffersError::at(text, entry.span(), fault);
    let settings = settings(entry.get_ref(), routes)
        .ok_or_else(|| fault(OffersFault::TierRate))?
        .map_err(|reason| fault(OffersFault::Capacity(reason)))?;
    let yards = yards(routes, currencies).map_err(fault)?;
    // Without a limit of its own, an account may have all capacity, now and as long as a request can wait.
    let mut all = settings.paid_share();
    let longest = all.rate.get().saturating_mul(QUEUE_SECONDS);
    all.burst = all.burst.saturating_add(longest);
    let account = entry.get_ref().account.as_ref();
    let first = account.map_or(Some(all), |account| tier(account.rate, account.burst));
    let mut terms = CapacityTerms {
        tiers: vec![(0, first.ok_or_else(|| fault(OffersFault::TierRate))?)],
        settings,
        yards,
        currencies: currencies.clone(),
    };
    for tier in &entry.get_ref().tier {
        let added = terms.add_tier(tokens, tier.get_ref());
        added.map_err(|reason| OffersError::at(text, tier.span(), reason))?;
    }
    terms.check_costs(text, file, routes)?;
    Ok(Some(terms))
}

fn tier(rate: u64, burst: Option<u64>) -> Option<Tier> {
    Some(Tier {
        rate: NonZeroU64::new(rate)?,
        burst: burst.unwrap_or(rate),
    })
}

/// `None` for a rate of zero.
fn settings(
    entry: &CapacityEntry,
    routes: &[Arc<Route>],
) -> Option<Result<AdmissionSettings, SettingsError>> {
    let capacity = Tier {
        rate: NonZeroU64::new(entry.total)?,
        burst: entry.burst.unwrap_or(entry.total),
    };
    let hundredth = (entry.total / 100).max(1);
    let free = entry.free.as_ref();
    let free_costs = routes.iter().filter(|route| route.is_ever_free());
    let burst = free_costs.map(|route| route.cost.most()).max();
    let prefix = Tier {
        rate: NonZeroU64::new(free.and_then(|free| free.rate).unwrap_or(hundredth))?,
        burst: free
            .and_then(|free| free.burst)
            .unwrap_or(hundredth.max(burst.unwrap_or(0))),
    };
    let settings = AdmissionSettings {
        capacity,
        queue: QueueSettings::default(),
        free: FreeSettings {
            min_percent: free.and_then(|free| free.min_percent).unwrap_or(1),
            max_percent: free.and_then(|free| free.max_percent).unwrap_or(10),
            prefix,
            max_prefixes: MAX_PREFIXES,
        },
    };
    Some(settings.check().map(|()| settings))
}

/// Reads the cost of a route in units of the capacity.
pub(super) fn cost(text: &str, route: &RouteEntry) -> Result<CostTable, OffersError> {
    let Some(spanned) = &route.cost else {
        return Ok(CostTable::default());
    };
    let entry = spanned.get_ref();
    let is_variable = entry.per_kib > 0 || entry.per_ms > 0;
    if is_variable != entry.max.is_some() {
        return Err(OffersError::at(text, spanned.span(), OffersFault::CostMax));
    }
    Ok(CostTable {
        call: entry.call.unwrap_or(1),
        per_kib: entry.per_kib,
        per_ms: entry.per_ms,
        max: entry.max.unwrap_or(0),
        rpc: entry.rpc.clone(),
    })
}

impl CapacityTerms {
    fn add_tier(
        &mut self,
        tokens: &BTreeMap<String, Arc<Token>>,
        entry: &TierEntry,
    ) -> Result<(), OffersFault> {
        let [(name, units)] = &entry.paid.iter().collect::<Vec<_>>()[..] else {
            return Err(OffersFault::TierToken);
        };
        let token = tokens.get(*name);
        let token = token.ok_or_else(|| OffersFault::UnknownToken((*name).clone()))?;
        let currency = token.currency;
        let from = self.worth(currency, Amount::new(units.get_ref().0));
        if self.tiers.iter().any(|(before, _)| from <= *before) {
            return Err(OffersFault::TierOrder);
        }
        let tier = tier(entry.rate, entry.burst).ok_or(OffersFault::TierRate)?;
        self.tiers.push((from, tier));
        Ok(())
    }

    /// Checks that each route's most expensive call can be served at all.
    fn check_costs(
        &self,
        text: &str,
        file: &OffersFile,
        routes: &[Arc<Route>],
    ) -> Result<(), OffersError> {
        let (paid, free) = self.largest();
        for (route, entry) in routes.iter().zip(&file.route) {
            let mut max = u64::MAX;
            if !route.prices.is_empty() {
                max = paid;
            }
            if route.is_ever_free() {
                max = max.min(free);
            }
            let cost = route.cost.most();
            if cost > max {
                let fault = OffersFault::TooCostly { cost, max };
                return Err(OffersError::at(text, entry.span(), fault));
            }
        }
        Ok(())
    }
}

/// Returns the currencies that buy a route's answers, with the name of the token and the most that an answer can cost.
fn priced<'a>(route: &'a Route, currencies: &Currencies) -> Vec<(Currency, &'a String, U256)> {
    let most = route.prices.iter().map(|price| {
        let most = price.fixed.checked_add(price.rates.max);
        let most = most.unwrap_or(Amount::MAX).to_u256();
        (
            currencies.canonical(price.token.currency),
            &price.token.name,
            most,
        )
    });
    most.filter(|(.., most)| !most.is_zero()).collect()
}

/// Returns the amount of each sold currency that weighs as much as the yardstick price.
fn yards(
    routes: &[Arc<Route>],
    currencies: &Currencies,
) -> Result<BTreeMap<Currency, U256>, OffersFault> {
    let mut yards: BTreeMap<Currency, U256> = BTreeMap::new();
    let priced = |route| priced(route, currencies);
    // Each turn that changes something makes one more currency known.
    loop {
        let known = yards.len();
        for route in routes {
            let prices = priced(route);
            if yards.is_empty() {
                let first = prices
                    .iter()
                    .map(|(currency, _, most)| (*currency, *most << YARD));
                yards = first.collect();
                continue;
            }
            let base = prices
                .iter()
                .find_map(|(currency, _, most)| Some((*yards.get(currency)?, *most)));
            let Some((yard, base)) = base else {
                continue;
            };
            for (currency, name, most) in &prices {
                if !yards.contains_key(currency) {
                    let scaled = yard.checked_mul(*most);
                    let scaled = scaled.ok_or_else(|| OffersFault::NoRelation((*name).clone()))?;
                    yards.insert(*currency, (scaled / base).max(U256::from(1)));
                }
            }
        }
        if yards.len() == known {
            break;
        }
    }
    for route in routes {
        for (currency, name, _) in priced(route) {
            if !yards.contains_key(&currency) {
                return Err(OffersFault::NoRelation(name.clone()));
            }
        }
    }
    Ok(yards)
}
