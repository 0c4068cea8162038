//! Data types of balances.

use super::price::ServicePrices;
use crate::value::expirer::ExpirationRate;
use std::num::NonZeroU64;

/// Version of stored balances, offsets and totals.
pub(super) const VERSION: u8 = 1;
pub(super) const SECOND: u64 = 1_000_000_000;

/// Settings of a new tracker.
#[derive(Clone, Copy, Debug)]
pub struct BalanceSettings {
    /// Prices of clients that connect, until [`set_default_prices`](super::BalanceTracker::set_default_prices).
    pub prices: ServicePrices,
    /// Rate of expiration of positive balances.
    pub positive_rate: ExpirationRate,
    /// Rate of expiration of negative balances.
    pub negative_rate: ExpirationRate,
    /// Positive balances of at most this many tokens are not stored. A payment that leaves no more is lost, so this is
    /// for markets that give tokens away.
    pub positive_drop: u64,
    /// Negative balances of at most this many tokens are not stored.
    pub negative_drop: u64,
}

/// No prices and no expiration. Every positive balance is stored, because somebody may have paid for it; debts of up
/// to 1,000,000 tokens are not.
impl Default for BalanceSettings {
    fn default() -> Self {
        Self {
            prices: ServicePrices::default(),
            positive_rate: ExpirationRate::NEVER,
            negative_rate: ExpirationRate::NEVER,
            positive_drop: 0,
            negative_drop: 1_000_000,
        }
    }
}

/// An event of a connected client's balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum BalanceEvent<Id> {
    /// The client has tokens again.
    GainedTokens(Id),
    /// The client has spent its last token.
    LostTokens(Id),
    /// The priority has fallen below the [watched](super::BalanceTracker::watch) priority.
    FellBelow(Id),
    /// An operation changed its balances.
    Changed(Id),
    /// The charged total has reached its [notice](super::BalanceTracker::set_notices).
    Noticed(Id),
}

/// A client's balances in tokens at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balances {
    /// Tokens to spend.
    pub positive: u64,
    /// Tokens used beyond that by all clients of the address.
    pub negative: u64,
}

/// The positive balance before and after a change, in tokens. Afterwards a client that is not connected has the stored
/// balance: 0 for a balance too small to be [stored](BalanceSettings::positive_drop).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    /// Balance before.
    pub old: u64,
    /// Balance after.
    pub new: u64,
}

/// Assumptions of a forecast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forecast {
    /// Capacity of the client.
    pub capacity: u64,
    /// Tokens to add, or to subtract if negative.
    pub add: i64,
    /// Nanoseconds ahead with twice this connection's mean of requests.
    pub future_ns: u64,
    /// Further nanoseconds without requests.
    pub bias_ns: u64,
}

/// Condition of a notice about charges.
///
/// A killed process loses the last minutes of charges, and repeats notices of that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Notice {
    /// Once, as soon as the total exceeds this many tokens, possibly at once.
    Above(NonZeroU64),
    /// Each time that the total has grown by this many tokens since the notice was set. One charge of several times
    /// as many gives one notice.
    Every(NonZeroU64),
}

/// Total charged to a client: tokens taken from its balance, and tokens it owes beyond that. The total never falls,
/// expires or gets paid back, and is capped at 2^64 - 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charged {
    /// Whole tokens.
    pub total: u64,
    /// Condition of the notice, if set.
    pub notice: Option<Notice>,
}

/// One of a client's two balances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// Balance of an id.
    Positive,
    /// Balance of a network address.
    Negative,
}
