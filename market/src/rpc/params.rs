//! Parameters of clients, with the names of the LES server.

use super::{
    error::OperatorError,
    names::{ALERT, PERIOD, Params},
    tags,
};
use crate::balance::{
    decimal::Price,
    price::{PriceFactors, ServicePrices},
    types::Notice,
};
use serde_json::Value;
use std::{collections::BTreeSet, num::NonZeroU64};

/// Checked parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ClientParams {
    /// Capacity to set: at least the minimum, or 0 to end an earlier setting.
    pub(super) capacity: Option<u64>,
    pub(super) user_tags: Option<BTreeSet<String>>,
    /// Notice to set; `Some(None)` ends the notice.
    pub(super) notice: Option<Option<Notice>>,
    prices: Vec<(Factor, Price)>,
}

/// One of the six factors. All are tokens per second (or per second of service) inside and outside, so nothing is
/// converted or rounded here; [`PriceFactors`] has the conversion to charges per nanosecond.
type Factor = fn(&mut ServicePrices) -> &mut Price;

impl ClientParams {
    /// Parses all parameters of clients.
    pub(super) fn parse(params: &Params, min_capacity: u64) -> Result<Self, OperatorError> {
        let mut parsed = Self::default();
        for (name, value) in params {
            let invalid = || OperatorError::Value(name.clone());
            if let Some(factor) = factor(name) {
                let value = price(value).ok_or_else(invalid)?;
                parsed.prices.push((factor, value));
                continue;
            }
            match name.as_str() {
                "capacity" => {
                    let capacity = value
                        .as_u64()
                        .filter(|capacity| *capacity >= min_capacity || *capacity == 0);
                    parsed.capacity = Some(capacity.ok_or_else(invalid)?);
                }
                "userTags" => {
                    let list = value.as_array().ok_or_else(invalid)?;
                    let tags = list.iter().map(|tag| {
                        let tag = tag.as_str().ok_or_else(invalid)?;
                        tags::check_user_tag(tag)?;
                        Ok(tag.to_owned())
                    });
                    parsed.user_tags = Some(tags.collect::<Result<_, OperatorError>>()?);
                }
                ALERT | PERIOD => {
                    let tokens = NonZeroU64::new(value.as_u64().ok_or_else(invalid)?);
                    let kind = match name == ALERT {
                        true => Notice::Above,
                        false => Notice::Every,
                    };
                    let before = parsed.notice.take().flatten();
                    if before.is_some() && tokens.is_some() {
                        return Err(OperatorError::TwoNotices);
                    }
                    parsed.notice = Some(before.or(tokens.map(kind)));
                }
                _ => return Err(OperatorError::ClientParameter(name.clone())),
            }
        }
        Ok(parsed)
    }

    /// Parses the prices of clients that connect later.
    pub(super) fn parse_defaults(params: &Params) -> Result<Self, OperatorError> {
        let mut parsed = Self::default();
        for (name, value) in params {
            let factor =
                factor(name).ok_or_else(|| OperatorError::DefaultParameter(name.clone()))?;
            let value = price(value).ok_or_else(|| OperatorError::Value(name.clone()))?;
            parsed.prices.push((factor, value));
        }
        Ok(parsed)
    }

    /// True if a price is set, which needs a connection.
    pub(super) const fn sets_prices(&self) -> bool {
        !self.prices.is_empty()
    }

    /// Returns `prices` with those of the parameters replaced.
    pub(super) fn applied_to(&self, mut prices: ServicePrices) -> ServicePrices {
        for (factor, value) in &self.prices {
            *factor(&mut prices) = *value;
        }
        prices
    }
}

/// Reads a price from the decimal digits of a JSON number.
fn price(value: &Value) -> Option<Price> {
    value.as_number()?.to_string().parse().ok()
}

fn factor(name: &str) -> Option<Factor> {
    Some(match name {
        "pricing/timeFactor" => |prices| &mut prices.positive.time,
        "pricing/capacityFactor" => |prices| &mut prices.positive.capacity,
        "pricing/requestCostFactor" => |prices| &mut prices.positive.request,
        "pricing/negative/timeFactor" => |prices| &mut prices.negative.time,
        "pricing/negative/capacityFactor" => |prices| &mut prices.negative.capacity,
        "pricing/negative/requestCostFactor" => |prices| &mut prices.negative.request,
        _ => return None,
    })
}

/// Returns the names and values of prices for the operator.
pub(super) fn shown(prices: ServicePrices) -> impl Iterator<Item = (String, Value)> {
    let factors = |prefix: &'static str, factors: PriceFactors| {
        [
            ("timeFactor", factors.time),
            ("capacityFactor", factors.capacity),
            ("requestCostFactor", factors.request),
        ]
        .map(|(name, price)| {
            let value = serde_json::from_str(&price.to_string());
            // The text of a price is a JSON number.
            (format!("{prefix}{name}"), value.unwrap_or(Value::Null))
        })
    };
    let positive = factors("pricing/", prices.positive);
    positive
        .into_iter()
        .chain(factors("pricing/negative/", prices.negative))
}
