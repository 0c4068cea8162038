//! The form of a file of offers.

use crate::offers::{
    error::{OffersError, OffersFault},
    types::Meter,
};
use serde::{Deserialize, Deserializer, de};
use std::{collections::BTreeMap, fmt, num::NonZeroU64};
use toml::Spanned;

/// Units by the name of the token.
pub(super) type Units = BTreeMap<String, Spanned<Unit>>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OffersFile {
    #[serde(default)]
    pub(super) tokens: BTreeMap<String, Spanned<TokenEntry>>,
    #[serde(default)]
    pub(super) route: Vec<Spanned<RouteEntry>>,
    /// Sales by the scheme `exact` of x402, beside ours.
    pub(super) exact: Option<ExactEntry>,
    /// True if a request without a route is forwarded for nothing.
    #[serde(default)]
    pub(super) free_without_route: bool,
    /// Absent without a limit.
    pub(super) capacity: Option<Spanned<CapacityEntry>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CapacityEntry {
    /// Cost units per second.
    pub(super) total: u64,
    /// Units that may be served at once after idle time.
    pub(super) burst: Option<u64>,
    /// Of each account.
    pub(super) account: Option<RateEntry>,
    pub(super) free: Option<FreeEntry>,
    /// Of accounts that pay more.
    #[serde(default)]
    pub(super) tier: Vec<Spanned<TierEntry>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RateEntry {
    pub(super) rate: u64,
    pub(super) burst: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FreeEntry {
    pub(super) min_percent: Option<u8>,
    pub(super) max_percent: Option<u8>,
    /// Of each network prefix.
    pub(super) rate: Option<u64>,
    pub(super) burst: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TierEntry {
    /// What an account has paid in the last ten minutes.
    pub(super) paid: Units,
    pub(super) rate: u64,
    pub(super) burst: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CostEntry {
    /// Of a request, or of a call without a cost of its own.
    pub(super) call: Option<u64>,
    #[serde(default)]
    pub(super) per_kib: u64,
    #[serde(default)]
    pub(super) per_ms: u64,
    pub(super) max: Option<u64>,
    #[serde(default)]
    pub(super) rpc: BTreeMap<String, u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenEntry {
    /// The chain of the gateway's payee, unless another is named.
    pub(super) chain_id: Option<u64>,
    /// The bank whose deposits pay: the payee's, unless another is named.
    pub(super) bank: Option<cheque::Address>,
    /// Absent for the native coin.
    pub(super) address: Option<cheque::Address>,
    /// 18 for the native coin, and needed for another token.
    pub(super) decimals: Option<u8>,
    pub(super) equal_to: Option<Spanned<String>>,
    /// The rate against the native coin, as the flag `--tokens-per-coin` of a payee takes it.
    pub(super) tokens_per_coin: Option<Spanned<String>>,
    pub(super) rate_max_age: Option<Spanned<String>>,
    pub(super) rate_max_jump: Option<Spanned<u32>>,
    pub(super) eip712: Option<Spanned<DomainEntry>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExactEntry {
    pub(super) facilitator: String,
    pub(super) pay_to: cheque::Address,
}

/// The domain of a token's signatures by EIP-712.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DomainEntry {
    pub(super) name: String,
    pub(super) version: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteEntry {
    pub(super) method: Option<Spanned<String>>,
    pub(super) path: Spanned<String>,
    #[serde(default)]
    pub(super) free: bool,
    #[serde(default)]
    pub(super) price: Units,
    #[serde(default)]
    pub(super) per_kib: Units,
    #[serde(default)]
    pub(super) per_second: Units,
    #[serde(default)]
    pub(super) per_unit: Units,
    pub(super) unit: Option<String>,
    /// The number of units that `per_unit` buys; absent for one.
    pub(super) unit_size: Option<Spanned<NonZeroU64>>,
    pub(super) meter: Option<Spanned<Meter>>,
    /// True if one price, or none, buys a WebSocket. A metered route sells them in any case.
    #[serde(default)]
    pub(super) websocket: bool,
    #[serde(default)]
    pub(super) max: Units,
    /// Prices of calls, by their method of JSON-RPC.
    #[serde(default)]
    pub(super) rpc: BTreeMap<String, Spanned<Units>>,
    pub(super) first_free: Option<u32>,
    pub(super) free_per_day: Option<u32>,
    #[serde(default)]
    pub(super) charge_4xx: bool,
    #[serde(default)]
    pub(super) net: bool,
    pub(super) description: Option<String>,
    /// Cost in units of the capacity.
    pub(super) cost: Option<Spanned<CostEntry>>,
}

impl RouteEntry {
    /// Refuses a route that says how units are counted, and prices none.
    pub(super) fn count_nothing(&self, text: &str) -> Result<(), OffersError> {
        let meter = self.meter.as_ref().map(|meter| ("meter", meter.span()));
        let size = self.unit_size.as_ref();
        let size = size.map(|size| ("unit_size", size.span()));
        match meter.or(size) {
            Some((name, span)) => Err(OffersError::at(text, span, OffersFault::NoUnits(name))),
            None => Ok(()),
        }
    }
}

/// An amount in units of a token: an integer, or its digits as text, because TOML's integers end at 2^63 - 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unit(pub(super) u128);

impl<'de> Deserialize<'de> for Unit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UnitVisitor)
    }
}

struct UnitVisitor;

impl de::Visitor<'_> for UnitVisitor {
    type Value = Unit;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number of units of the token, from 0 to 2^128 - 1")
    }

    fn visit_i64<E: de::Error>(self, units: i64) -> Result<Unit, E> {
        let wrong = || E::invalid_value(de::Unexpected::Signed(units), &self);
        u128::try_from(units).map(Unit).map_err(|_| wrong())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Unit, E> {
        let wrong = || E::invalid_value(de::Unexpected::Str(text), &self);
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        text.parse().map(Unit).map_err(|_| wrong())
    }
}
