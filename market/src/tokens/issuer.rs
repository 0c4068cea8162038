//! The limit of tokens that may exist.

use crate::value::expirer::ExpirationRate;
use ruint::aliases::U256;
use std::num::NonZeroU64;

/// Fractional bits of a ratio and of a time in nanoseconds.
const RATIO_BITS: usize = 32;
const ONE: NonZeroU64 = NonZeroU64::new(1 << RATIO_BITS).unwrap();

/// Unit of the capacity factor: a second times 10^6 of capacity.
const NS_AND_CAPACITY: u64 = 1_000_000_000 * 1_000_000;

/// The free share of the spendable capacity, in units of 2^-32: 0 where tokens compete, 1 where all can be spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FreeRatio(u64);

impl FreeRatio {
    /// No free capacity.
    pub const NONE: Self = Self(0);
    /// Only free capacity.
    pub const ALL: Self = Self(ONE.get());

    /// Returns the ratio for `free` of `max` capacity, of which clients without tokens get `free_clients`: 0 up to
    /// `free_clients`, 1 above a quarter of `max`, and linear between, rounded down.
    pub fn of_capacity(free: u64, free_clients: u64, max: u64) -> Self {
        if free <= free_clients {
            return Self::NONE;
        }
        let [free, free_clients, max] = [free, free_clients, max].map(u128::from);
        if 4 * free > max {
            return Self::ALL;
        }
        let ratio = ((4 * (free - free_clients)) << RATIO_BITS) / (max - 4 * free_clients);
        Self(ratio as u64)
    }

    /// Returns the number of units of 2^-32, at most 2^32.
    pub const fn units(self) -> u64 {
        self.0
    }

    /// Returns the rate at which tokens expire: none while no capacity is free, `full` while all is.
    pub fn expiration_rate(self, full: ExpirationRate) -> ExpirationRate {
        full.scaled(self.0, ONE)
    }
}

/// An operator's terms for issuing tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IssuerTerms {
    /// Minimum time, in nanoseconds, in which all capacity would spend all tokens of the limit.
    pub min_limit_ns: u64,
    /// Maximum of the same time.
    pub max_limit_ns: u64,
    /// Tokens spent per second by 10^6 of capacity.
    pub capacity_factor: NonZeroU64,
    /// Capacity of the provider.
    pub max_capacity: NonZeroU64,
}

/// Adjusts the token limit so that some capacity is free half of the time:
///
/// ```text
/// token limit = limit time · capacity factor · capacity / 10^15
/// limit time grows by elapsed · (2 · free ratio - 1), within its bounds
/// ```
///
/// The limit does not grow above twice the existing tokens: an unused limit would only lower the price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenIssuer {
    terms: IssuerTerms,
    /// Nanoseconds with 32 fractional bits, so that frequent updates lose nothing.
    limit_time: u128,
    free: FreeRatio,
    updated_ns: u64,
}

impl TokenIssuer {
    /// Restores an issuer from its stored limit time, in nanoseconds; a new issuer starts with the minimum. A time
    /// out of bounds is moved to the nearest bound. No capacity is free before the first [`TokenIssuer::set_free`].
    /// To change terms, load again from [`TokenIssuer::limit_ns`].
    ///
    /// # Errors
    ///
    /// [`TokenIssuerError`] if the bounds are in the wrong order.
    pub fn load(
        stored_limit_ns: Option<u64>,
        terms: IssuerTerms,
        now_ns: u64,
    ) -> Result<Self, TokenIssuerError> {
        let IssuerTerms {
            min_limit_ns: min,
            max_limit_ns: max,
            ..
        } = terms;
        if min > max {
            return Err(TokenIssuerError::Bounds { min, max });
        }
        let limit = stored_limit_ns.unwrap_or(min).clamp(min, max);
        Ok(Self {
            terms,
            limit_time: fixed(limit),
            free: FreeRatio::NONE,
            updated_ns: now_ns,
        })
    }

    /// Returns the limit time to store, in nanoseconds, rounded down, as of the last change.
    pub fn limit_ns(&self) -> u64 {
        (self.limit_time >> RATIO_BITS) as u64
    }

    /// Returns the token limit as of the last change, rounded down, from 1 to 2^64 - 1.
    pub fn token_limit(&self) -> NonZeroU64 {
        let tokens = U256::from(self.limit_time) * self.tokens_per_time()
            / (U256::from(NS_AND_CAPACITY) << RATIO_BITS);
        NonZeroU64::new(tokens.saturating_to()).unwrap_or(NonZeroU64::MIN)
    }

    /// Counts the time since the last change at the old ratio, and sets the ratio to `free`. `existing` is the number
    /// of existing tokens. A time before the last change counts as the time of the change.
    pub fn set_free(&mut self, free: FreeRatio, existing: u64, now_ns: u64) {
        let elapsed = u128::from(now_ns.saturating_sub(self.updated_ns));
        // 2 · ratio - 1 in units of 2^-32, as a growth or a loss.
        let (doubled, one) = (2 * u128::from(self.free.0), u128::from(ONE.get()));
        let growth = elapsed * doubled.saturating_sub(one);
        let loss = elapsed * one.saturating_sub(doubled);

        let ceiling = self
            .time_of(existing.saturating_mul(2))
            .max(self.limit_time);
        let grown = (self.limit_time + growth).min(ceiling).saturating_sub(loss);
        self.limit_time = grown.clamp(
            fixed(self.terms.min_limit_ns),
            fixed(self.terms.max_limit_ns),
        );
        self.free = free;
        self.updated_ns = self.updated_ns.max(now_ns);
    }

    /// Returns the limit time for a limit of `tokens`, with 32 fractional bits, rounded down.
    fn time_of(&self, tokens: u64) -> u128 {
        let scaled = (U256::from(tokens) * U256::from(NS_AND_CAPACITY)) << RATIO_BITS;
        (scaled / self.tokens_per_time()).saturating_to()
    }

    /// Returns the tokens for 10^15 ns of limit time.
    fn tokens_per_time(&self) -> U256 {
        U256::from(self.terms.capacity_factor.get()) * U256::from(self.terms.max_capacity.get())
    }
}

fn fixed(ns: u64) -> u128 {
    u128::from(ns) << RATIO_BITS
}

/// An error of the issuer's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenIssuerError {
    /// The bounds of the limit time are in the wrong order.
    #[error("the minimum limit time of {min} ns exceeds the maximum of {max} ns; swap them")]
    Bounds {
        /// Minimum, in nanoseconds.
        min: u64,
        /// Maximum, in nanoseconds.
        max: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn nonzero(number: u64) -> NonZeroU64 {
        NonZeroU64::new(number).unwrap()
    }

    /// Returns an issuer of 1,000 tokens per second of limit time, from 10 to 1,000 seconds.
    fn issuer(stored: Option<u64>) -> TokenIssuer {
        let terms = IssuerTerms {
            min_limit_ns: 10 * SECOND,
            max_limit_ns: 1_000 * SECOND,
            capacity_factor: nonzero(500),
            max_capacity: nonzero(2_000_000),
        };
        TokenIssuer::load(stored, terms, 0).unwrap()
    }

    #[test]
    fn interpolates_free_ratio_between_its_two_ends() {
        let ratio = |free| FreeRatio::of_capacity(free, 100, 1_000);
        assert_eq!([ratio(0), ratio(100)], [FreeRatio::NONE; 2]);
        assert_eq!(ratio(101).units(), (1 << 32) / 150);
        assert_eq!(ratio(175).units(), 1 << 31);
        assert_eq!([ratio(250), ratio(251), ratio(1_000)], [FreeRatio::ALL; 3]);
    }

    #[test]
    fn jumps_where_free_clients_get_a_quarter_or_more() {
        for free_clients in [250, 300] {
            let ratio = |free| FreeRatio::of_capacity(free, free_clients, 1_000);
            assert_eq!(ratio(free_clients), FreeRatio::NONE);
            assert_eq!(ratio(free_clients + 1), FreeRatio::ALL);
        }
        assert_eq!(
            FreeRatio::of_capacity(u64::MAX, 0, u64::MAX),
            FreeRatio::ALL
        );
        assert_eq!(FreeRatio::of_capacity(1, 0, u64::MAX), FreeRatio::NONE);
        assert_eq!(FreeRatio::of_capacity(0, 0, 0), FreeRatio::NONE);
    }

    #[test]
    fn expires_tokens_in_proportion_to_free_capacity() {
        let full = ExpirationRate::from_half_life(nonzero(1 << 20));
        assert_eq!(FreeRatio::NONE.expiration_rate(full), ExpirationRate::NEVER);
        assert_eq!(FreeRatio::ALL.expiration_rate(full), full);
        let half = FreeRatio::of_capacity(1, 0, 8).expiration_rate(full);
        assert_eq!(half, ExpirationRate::from_half_life(nonzero(1 << 21)));
    }

    #[test]
    fn raises_limit_while_all_is_free_and_lowers_it_otherwise() {
        let mut issuer = issuer(Some(20 * SECOND));
        assert_eq!(issuer.token_limit(), nonzero(20_000));
        issuer.set_free(FreeRatio::ALL, 1_000_000, 0);
        issuer.set_free(FreeRatio::NONE, 1_000_000, 30 * SECOND);
        assert_eq!(
            (issuer.limit_ns(), issuer.token_limit()),
            (50 * SECOND, nonzero(50_000))
        );
        issuer.set_free(FreeRatio::of_capacity(1, 0, 8), 1_000_000, 65 * SECOND);
        assert_eq!(issuer.limit_ns(), 15 * SECOND);
        // At one half the limit stays.
        issuer.set_free(FreeRatio::NONE, 1_000_000, 500 * SECOND);
        assert_eq!(issuer.limit_ns(), 15 * SECOND);
    }

    #[test]
    fn keeps_limit_within_its_bounds() {
        let mut issuer = issuer(None);
        assert_eq!(issuer.limit_ns(), 10 * SECOND);
        issuer.set_free(FreeRatio::ALL, u64::MAX, 100 * SECOND);
        assert_eq!(issuer.limit_ns(), 10 * SECOND);
        issuer.set_free(FreeRatio::NONE, u64::MAX, u64::MAX);
        assert_eq!(issuer.limit_ns(), 1_000 * SECOND);
        assert_eq!(self::issuer(Some(SECOND)).limit_ns(), 10 * SECOND);
        assert_eq!(self::issuer(Some(u64::MAX)).limit_ns(), 1_000 * SECOND);
    }

    #[test]
    fn never_raises_limit_above_twice_the_existing_tokens() {
        let mut issuer = issuer(Some(40 * SECOND));
        issuer.set_free(FreeRatio::ALL, 30_000, 0);
        issuer.set_free(FreeRatio::ALL, 30_000, 100 * SECOND);
        assert_eq!(issuer.token_limit(), nonzero(60_000));
        // For the same reason the limit does not fall.
        issuer.set_free(FreeRatio::ALL, 10_000, 200 * SECOND);
        assert_eq!(issuer.token_limit(), nonzero(60_000));
    }

    #[test]
    fn loses_nothing_by_updates_every_nanosecond() {
        let (mut often, mut once) = (issuer(Some(500 * SECOND)), issuer(Some(500 * SECOND)));
        let ratio = FreeRatio::of_capacity(1, 0, 12);
        often.set_free(ratio, u64::MAX, 0);
        once.set_free(ratio, u64::MAX, 0);
        (1..=10_000).for_each(|now| often.set_free(ratio, u64::MAX, now));
        once.set_free(ratio, u64::MAX, 10_000);
        assert_eq!(often, once);
    }

    #[test]
    fn ignores_a_clock_that_goes_back() {
        let mut issuer = issuer(Some(500 * SECOND));
        issuer.set_free(FreeRatio::ALL, u64::MAX, 100);
        let before = issuer.clone();
        issuer.set_free(FreeRatio::ALL, u64::MAX, 50);
        assert_eq!(issuer, before);
    }

    #[test]
    fn rejects_bounds_in_the_wrong_order() {
        let terms = IssuerTerms {
            min_limit_ns: 2,
            max_limit_ns: 1,
            ..issuer(None).terms
        };
        let refused = TokenIssuerError::Bounds { min: 2, max: 1 };
        assert_eq!(TokenIssuer::load(None, terms, 0), Err(refused));
    }
}
