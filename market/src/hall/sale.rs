//! The sale of tokens: bonding curve, issuer, drift of the base price, and earnings.

use super::error::HallError;
use crate::{
    store::interface::{Batch, Store},
    tokens::{BasePriceDrift, BondingCurve, Exchanged, FreeRatio, IssuerTerms, TokenIssuer},
    value::{ExpirationRate, Log2},
};
use std::num::NonZeroU64;

const VERSION: u8 = 1;
/// A version byte, five integers of 8 bytes, two of 16 bytes.
const LENGTH: usize = 1 + 5 * 8 + 2 * 16;
/// Time for which a rate of expiration is announced.
pub(super) const FIXED_NS: u64 = 600_000_000_000;

/// An operator's terms of the sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaleTerms {
    /// Terms of the token limit.
    pub issuer: IssuerTerms,
    /// Capacity that is left for clients without tokens before it counts as free.
    pub free_client_capacity: u64,
    /// Time in which the base price doubles if all tokens of the limit exist, in nanoseconds.
    pub doubling_ns: NonZeroU64,
    /// Base-2 logarithm of the base price of a new sale.
    pub first_base_price: Log2,
    /// Base-2 logarithm of the lowest base price.
    pub lowest_base_price: Log2,
    /// Rate of expiration while all capacity is free.
    pub expiration: ExpirationRate,
}

/// An announced rate of expiration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiration {
    /// The rate.
    pub rate: ExpirationRate,
    /// The moment until which it is fixed, in nanoseconds of the host's clock.
    pub until_ns: u64,
}

/// A sale of tokens. Its whole state is one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSale {
    terms: SaleTerms,
    curve: BondingCurve,
    issuer: TokenIssuer,
    drift: BasePriceDrift,
    earned: u128,
    gifted: u64,
    expiration: Expiration,
}

impl TokenSale {
    /// Restores the sale from its record, or starts a new one. The time since the record was written does not count.
    pub(super) fn load(
        stored: Option<&[u8]>,
        terms: SaleTerms,
        now_ns: u64,
    ) -> Result<Self, HallError> {
        let drift = BasePriceDrift::new(terms.doubling_ns, terms.lowest_base_price, now_ns);
        let Some(bytes) = stored else {
            let issuer = TokenIssuer::load(None, terms.issuer, now_ns)?;
            let first = terms.first_base_price.max(terms.lowest_base_price);
            return Ok(Self {
                curve: BondingCurve::new(issuer.token_limit(), first),
                issuer,
                drift,
                earned: 0,
                gifted: 0,
                expiration: Expiration {
                    rate: ExpirationRate::NEVER,
                    until_ns: now_ns,
                },
                terms,
            });
        };
        let length = bytes.len();
        let record = Record::from_bytes(bytes).ok_or(HallError::DamagedSale { length })?;
        let price = Log2::from_steps(record.log_base_price);
        Ok(Self {
            curve: BondingCurve::restore(record.amount, record.limit, price)?,
            issuer: TokenIssuer::load(Some(record.limit_ns), terms.issuer, now_ns)?,
            drift,
            earned: record.earned,
            gifted: 0,
            expiration: Expiration {
                rate: ExpirationRate::from_per_ns(record.expiration),
                until_ns: now_ns.saturating_add(record.fixed_ns),
            },
            terms,
        })
    }

    pub(super) fn read(
        store: &impl Store,
        key: &[u8],
        terms: SaleTerms,
        now_ns: u64,
    ) -> Result<Self, HallError> {
        let stored = store.get(key)?;
        Self::load(stored.as_deref(), terms, now_ns)
    }

    pub(super) fn put(&self, batch: &mut Batch, key: &[u8], now_ns: u64) {
        batch.put(key, self.record(now_ns).to_bytes());
    }

    /// Returns the curve, with the existing tokens, the limit, the base price and the locked currency.
    pub const fn curve(&self) -> &BondingCurve {
        &self.curve
    }

    /// Returns the currency of spent tokens, in units.
    pub const fn earned(&self) -> u128 {
        self.earned
    }

    /// Returns the tokens that the operator has given away, as of the last tick.
    pub const fn gifted(&self) -> u64 {
        self.gifted
    }

    /// Returns the announced expiration.
    pub const fn expiration(&self) -> Expiration {
        self.expiration
    }

    pub(super) const fn terms(&self) -> &SaleTerms {
        &self.terms
    }

    pub(super) fn exchange(&mut self, min: i64, max: i64, max_cost: i128) -> Option<Exchanged> {
        self.curve.exchange(min, max, max_cost)
    }

    /// Counts the time since the last tick, with `tokens` in all balances. Returns true if a rate of expiration was
    /// announced.
    pub(super) fn tick(&mut self, free: FreeRatio, tokens: u64, now_ns: u64) -> bool {
        self.issuer.set_free(free, tokens, now_ns);
        let price = self.drift.target(&self.curve, now_ns);
        let adjusted = self.curve.adjust(tokens, self.issuer.token_limit(), price);
        // Below the sum of all money that was ever paid.
        self.earned = self.earned.saturating_add(adjusted.earned);
        self.gifted = adjusted.gifted;
        let announces = self.expiration.until_ns <= now_ns;
        if announces {
            self.expiration = Expiration {
                rate: free.expiration_rate(self.terms.expiration),
                until_ns: now_ns.saturating_add(FIXED_NS),
            };
        }
        announces
    }

    fn record(&self, now_ns: u64) -> Record {
        Record {
            amount: self.curve.amount(),
            limit: self.curve.limit(),
            log_base_price: self.curve.log_base_price().steps(),
            limit_ns: self.issuer.limit_ns(),
            fixed_ns: self.expiration.until_ns.saturating_sub(now_ns),
            earned: self.earned,
            expiration: self.expiration.rate.per_ns(),
        }
    }
}

/// The stored numbers of a sale, in their order. Integers are big-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Record {
    amount: u64,
    limit: NonZeroU64,
    log_base_price: i64,
    limit_ns: u64,
    fixed_ns: u64,
    earned: u128,
    expiration: u128,
}

impl Record {
    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(LENGTH);
        bytes.push(VERSION);
        bytes.extend(self.amount.to_be_bytes());
        bytes.extend(self.limit.get().to_be_bytes());
        bytes.extend(self.log_base_price.to_be_bytes());
        bytes.extend(self.limit_ns.to_be_bytes());
        bytes.extend(self.fixed_ns.to_be_bytes());
        bytes.extend(self.earned.to_be_bytes());
        bytes.extend(self.expiration.to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&VERSION, rest) = bytes.split_first()? else {
            return None;
        };
        let (small, large) = rest.split_at_checked(5 * 8)?;
        let ([amount, limit, price, limit_ns, fixed_ns], []) = small.as_chunks() else {
            return None;
        };
        let ([earned, expiration], []) = large.as_chunks() else {
            return None;
        };
        Some(Self {
            amount: u64::from_be_bytes(*amount),
            limit: NonZeroU64::new(u64::from_be_bytes(*limit))?,
            log_base_price: i64::from_be_bytes(*price),
            limit_ns: u64::from_be_bytes(*limit_ns),
            fixed_ns: u64::from_be_bytes(*fixed_ns),
            earned: u128::from_be_bytes(*earned),
            expiration: u128::from_be_bytes(*expiration),
        })
    }
}
