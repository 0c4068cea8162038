//! Balance of one client.

use super::{
    expiration::Expiration,
    price::{Charge, Remainder, ServicePrices, Usage},
    priority::Priority,
    tally::Tally,
    types::{Forecast, SECOND},
};
use crate::value::expiring::ExpiringValue;

/// Balances and charges of a client. Costs are taken from the positive balance; an uncovered rest accrues to the
/// negative balance.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientBalance {
    pub(super) positive: ExpiringValue,
    pub(super) negative: ExpiringValue,
    positive_remainder: Remainder,
    negative_remainder: Remainder,
    /// Everything charged, by this connection and earlier ones.
    pub(super) tally: Tally,
    prices: ServicePrices,
    capacity: u64,
    connected_ns: u64,
    charged_until_ns: u64,
    /// Cost of all requests of this connection.
    session_cost: u64,
    /// True if the last check found tokens.
    has_tokens: bool,
    /// Priority to watch: a fall below it becomes an event.
    watched: Option<Priority>,
}

/// Outcome of a check of the balance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct BalanceCheck {
    pub(super) gained_tokens: bool,
    pub(super) lost_tokens: bool,
    pub(super) below_watched: bool,
    pub(super) noticed: bool,
}

impl ClientBalance {
    pub(super) fn new(
        positive: ExpiringValue,
        negative: ExpiringValue,
        mut tally: Tally,
        prices: ServicePrices,
        now_ns: u64,
    ) -> Self {
        tally.is_kept |= positive != ExpiringValue::ZERO;
        Self {
            positive,
            negative,
            positive_remainder: Remainder::default(),
            negative_remainder: Remainder::default(),
            tally,
            prices,
            capacity: 0,
            connected_ns: now_ns,
            charged_until_ns: now_ns,
            session_cost: 0,
            has_tokens: false,
            watched: None,
        }
    }

    /// Returns tokens and debt as charged so far, valued at `now_ns`.
    pub(super) fn values(&self, expiration: &Expiration, now_ns: u64) -> (u64, u64) {
        let (positive, negative) = expiration.offsets(now_ns);
        (self.positive.value(positive), self.negative.value(negative))
    }

    /// Charges the time since the last charge for time, which is free without capacity. Values have expired
    /// meanwhile, so the charge counts as made in the middle of that time.
    pub(super) fn charge_time(&mut self, expiration: &Expiration, now_ns: u64) {
        let Some(time_ns) = now_ns.checked_sub(self.charged_until_ns) else {
            return;
        };
        if self.capacity == 0 {
            self.charged_until_ns = now_ns;
            return;
        }
        let usage = Usage {
            time_ns,
            capacity: self.capacity,
            cost: 0,
        };
        self.charge(
            usage,
            expiration,
            self.charged_until_ns.saturating_add(time_ns / 2),
        );
        self.charged_until_ns = now_ns;
    }

    /// Charges a request. The cost of all requests of a connection is capped at 2^64 - 1.
    pub(super) fn serve(&mut self, cost: u64, expiration: &Expiration, now_ns: u64) {
        let usage = Usage {
            time_ns: 0,
            capacity: self.capacity,
            cost,
        };
        self.charge(usage, expiration, now_ns);
        self.session_cost = self.session_cost.saturating_add(cost);
    }

    /// Adds tokens, or subtracts them down to 0. Returns the balance before and after. `None`, without a change, if
    /// the balance would exceed [`ExpiringValue::LIMIT`].
    pub(super) fn add(
        &mut self,
        amount: i64,
        expiration: &Expiration,
        now_ns: u64,
    ) -> Option<(u64, u64)> {
        let offset = expiration.positive.offset_at(now_ns);
        let old = self.positive.value(offset);
        if old.saturating_add_signed(amount) > ExpiringValue::LIMIT {
            return None;
        }
        self.positive.add(amount, offset);
        self.tally.is_kept |= amount > 0;
        Some((old, self.positive.value(offset)))
    }

    /// Replaces both balances. `None` if one exceeds [`ExpiringValue::LIMIT`].
    pub(super) fn set(
        &mut self,
        positive: u64,
        negative: u64,
        expiration: &Expiration,
        now_ns: u64,
    ) -> Option<()> {
        let (positive, negative) = (i64::try_from(positive).ok()?, i64::try_from(negative).ok()?);
        let offsets = expiration.offsets(now_ns);
        self.positive = ExpiringValue::ZERO;
        self.positive.add(positive, offsets.0);
        self.tally.is_kept |= positive > 0;
        self.negative = ExpiringValue::ZERO;
        self.negative.add(negative, offsets.1);
        Some(())
    }

    pub(super) const fn set_capacity(&mut self, capacity: u64) {
        self.capacity = capacity;
    }

    pub(super) const fn capacity(&self) -> u64 {
        self.capacity
    }

    pub(super) const fn prices(&self) -> ServicePrices {
        self.prices
    }

    pub(super) const fn connected_ns(&self) -> u64 {
        self.connected_ns
    }

    pub(super) const fn set_prices(&mut self, prices: ServicePrices) {
        self.prices = prices;
    }

    pub(super) const fn watch(&mut self, below: Priority) {
        self.watched = Some(below);
    }

    /// Returns the priority at a capacity, as charged so far.
    pub(super) fn priority(&self, capacity: u64, expiration: &Expiration, now_ns: u64) -> Priority {
        let (tokens, debt) = self.values(expiration, now_ns);
        Priority::new(tokens, debt, capacity)
    }

    /// Returns the expected priority under `forecast`, at least one step below the priority without passing time: two
    /// clients that lose nothing in that time would otherwise displace each other forever.
    pub(super) fn forecast(
        mut self,
        forecast: Forecast,
        expiration: &Expiration,
        now_ns: u64,
    ) -> Priority {
        let offset = expiration.positive.offset_at(now_ns);
        self.positive.add(forecast.add, offset);
        let current = self.priority(forecast.capacity, expiration, now_ns);
        self.capacity = forecast.capacity;
        let cost = self.expected_cost(forecast.future_ns);
        let usage = |time_ns, cost| Usage {
            time_ns,
            capacity: forecast.capacity,
            cost,
        };
        let middle = |from: u64, time_ns: u64| from.saturating_add(time_ns / 2);
        let after = now_ns.saturating_add(forecast.future_ns);
        self.charge(
            usage(forecast.future_ns, cost),
            expiration,
            middle(now_ns, forecast.future_ns),
        );
        self.charge(
            usage(forecast.bias_ns, 0),
            expiration,
            middle(after, forecast.bias_ns),
        );
        // Expiration is common to all balances and changes no rank, so it is left out.
        let expected = self.priority(forecast.capacity, expiration, now_ns);
        expected.min(current.lowered())
    }

    /// Returns the nanoseconds of connection without requests after which the priority at a capacity falls below
    /// `priority`; `None` for never. Ignores expiration, which would shorten the time.
    pub(super) fn time_until_below(
        &self,
        priority: Priority,
        capacity: u64,
        expiration: &Expiration,
        now_ns: u64,
    ) -> Option<u64> {
        let (tokens, debt) = self.values(expiration, now_ns);
        let Some(max_cost) = priority.debt() else {
            let enough = u64::try_from(priority.tokens(capacity));
            let spare = enough.ok().and_then(|enough| tokens.checked_sub(enough));
            return match spare {
                None => Some(0),
                Some(spare) => self.time_for_tokens(spare.saturating_add(1)),
            };
        };
        let empty_ns = match tokens {
            0 => 0,
            tokens => self.time_for_tokens(tokens)?,
        };
        let more = (max_cost + 1).saturating_sub(debt.into());
        if more == 0 {
            return Some(empty_ns);
        }
        let more = u64::try_from(more).ok()?;
        let owing_ns = self.time_for_debt(more)?;
        empty_ns.checked_add(owing_ns)
    }

    /// Compares the balance with the outcome of the last check. A watched priority is reported once.
    pub(super) fn check(&mut self, expiration: &Expiration, now_ns: u64) -> BalanceCheck {
        let (tokens, debt) = self.values(expiration, now_ns);
        let (had, has) = (self.has_tokens, tokens > 0);
        self.has_tokens = has;
        let priority = Priority::new(tokens, debt, self.capacity);
        let below_watched = self
            .watched
            .take_if(|watched| priority < *watched)
            .is_some();
        BalanceCheck {
            gained_tokens: has && !had,
            lost_tokens: had && !has,
            below_watched,
            noticed: self.tally.take_notice(),
        }
    }

    /// Returns the moment of the next check: not later than any event without requests, and well before a distant
    /// event, so that requests, which bring events nearer, seldom need an earlier check.
    pub(super) fn next_check(&self, expiration: &Expiration, now_ns: u64) -> Option<u64> {
        let (tokens, _) = self.values(expiration, now_ns);
        let empty = match tokens {
            0 => None,
            tokens => self.time_for_tokens(tokens),
        };
        let below = self
            .watched
            .and_then(|watched| self.time_until_below(watched, self.capacity, expiration, now_ns));
        let notice = self.time_until_notice(tokens);
        let first = empty.into_iter().chain(below).chain(notice).min()?;
        now_ns.checked_add(early(first))
    }

    /// Returns the capacity if the last check found tokens, and 0 otherwise.
    pub(super) const fn priority_capacity(&self) -> u64 {
        match self.has_tokens {
            true => self.capacity,
            false => 0,
        }
    }

    pub(super) const fn has_tokens(&self) -> bool {
        self.has_tokens
    }

    /// Returns the nanoseconds of connection without requests until a notice is due, with `tokens` left.
    fn time_until_notice(&self, tokens: u64) -> Option<u64> {
        let missing = self.tally.missing()?;
        let taken = missing.min(tokens);
        let taking_ns = match taken {
            0 => 0,
            taken => self.time_for_tokens(taken)?,
        };
        let owed = missing - taken;
        if owed == 0 {
            return Some(taking_ns);
        }
        let owing_ns = self.time_for_debt(owed)?;
        taking_ns.checked_add(owing_ns)
    }

    /// Returns the nanoseconds of connection in which `tokens` are taken; `None` for never, as without capacity.
    fn time_for_tokens(&self, tokens: u64) -> Option<u64> {
        let price = Some(&self.prices.positive).filter(|_| self.capacity > 0)?;
        price.time_for(tokens, self.positive_remainder, self.capacity)
    }

    /// Returns the nanoseconds of connection in which the debt grows by `tokens`.
    fn time_for_debt(&self, tokens: u64) -> Option<u64> {
        let price = Some(&self.prices.negative).filter(|_| self.capacity > 0)?;
        price.time_for(tokens, self.negative_remainder, self.capacity)
    }

    /// Returns twice the mean cost of this connection's requests; 0 in its first second, which says nothing.
    fn expected_cost(&self, future_ns: u64) -> u64 {
        let session_ns = self.charged_until_ns.saturating_sub(self.connected_ns);
        if session_ns <= SECOND {
            return 0;
        }
        let twice = u128::from(self.session_cost) * 2;
        let cost = twice.saturating_mul(future_ns.into()) / u128::from(session_ns);
        u64::try_from(cost).unwrap_or(u64::MAX)
    }

    fn charge(&mut self, usage: Usage, expiration: &Expiration, at_ns: u64) {
        let offset = expiration.positive.offset_at(at_ns);
        let tokens = self.positive.value(offset);
        let owed = self.prices.negative.charge(usage);
        if tokens == 0 {
            return self.owe(owed, expiration, at_ns);
        }
        let charge = self.prices.positive.charge(usage);
        let (taken, covered) = charge.taken_from(self.positive_remainder, tokens);
        // At most 2^63 - 1, like `tokens`.
        self.positive
            .add(0i64.saturating_sub_unsigned(taken), offset);
        self.tally.add(taken);
        match covered {
            Ok(rest) => self.positive_remainder = rest,
            Err(uncovered) => {
                self.positive_remainder = Remainder::default();
                self.owe(owed.share(uncovered), expiration, at_ns);
            }
        }
    }

    fn owe(&mut self, charge: Charge, expiration: &Expiration, at_ns: u64) {
        let (tokens, rest) = charge.tokens(self.negative_remainder);
        self.negative_remainder = rest;
        let offset = expiration.negative.offset_at(at_ns);
        self.negative.add(tokens, offset);
        self.tally.add(tokens.unsigned_abs());
    }
}

/// Returns one second and seven eighths of the time beyond.
pub(super) fn early(time_ns: u64) -> u64 {
    match time_ns.checked_sub(SECOND) {
        None => time_ns,
        Some(beyond) => SECOND + beyond - beyond.div_ceil(8),
    }
}
