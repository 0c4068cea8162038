//! The balance of one client.

use super::{
    notice::Tally,
    price::{Charge, Prices, Rest, Usage},
    priority::Priority,
};
use crate::value::{ExpiredValue, Expirer, LogOffset};

pub(super) const SECOND: u64 = 1_000_000_000;

/// How the values of all clients expire.
#[derive(Clone, Debug)]
pub(super) struct Expiration {
    pub(super) positive: Expirer,
    pub(super) negative: Expirer,
}

/// Balances of a client, and what it is being charged. Costs are taken from the positive balance; what it does not
/// cover accrues to the negative one.
#[derive(Clone, Copy, Debug)]
pub(super) struct NodeBalance {
    pub(super) positive: ExpiredValue,
    pub(super) negative: ExpiredValue,
    positive_rest: Rest,
    negative_rest: Rest,
    /// Everything charged, by this connection and earlier ones.
    pub(super) tally: Tally,
    prices: Prices,
    capacity: u64,
    connected_ns: u64,
    settled_ns: u64,
    /// Cost of all requests of this connection.
    session_cost: u64,
    /// Whether the last look found tokens.
    has_tokens: bool,
    /// The priority below which somebody wants to know.
    watched: Option<Priority>,
}

/// A question of the form: what if?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// At this capacity.
    pub capacity: u64,
    /// With so many tokens more, or less.
    pub add: i64,
    /// After so many nanoseconds with twice this connection's mean of requests.
    pub future_ns: u64,
    /// And so many more without requests.
    pub bias_ns: u64,
}

/// What a look at the balance found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) gained_tokens: bool,
    pub(super) lost_tokens: bool,
    pub(super) below_watched: bool,
    pub(super) noticed: bool,
}

impl Expiration {
    fn offsets(&self, now_ns: u64) -> (LogOffset, LogOffset) {
        (
            self.positive.offset_at(now_ns),
            self.negative.offset_at(now_ns),
        )
    }
}

impl NodeBalance {
    pub(super) fn new(
        positive: ExpiredValue,
        negative: ExpiredValue,
        mut tally: Tally,
        prices: Prices,
        now_ns: u64,
    ) -> Self {
        tally.is_kept |= positive != ExpiredValue::ZERO;
        Self {
            positive,
            negative,
            positive_rest: Rest::default(),
            negative_rest: Rest::default(),
            tally,
            prices,
            capacity: 0,
            connected_ns: now_ns,
            settled_ns: now_ns,
            session_cost: 0,
            has_tokens: false,
            watched: None,
        }
    }

    /// Tokens and debt as of the last settlement, at their worth at `now_ns`.
    pub(super) fn values(&self, expiration: &Expiration, now_ns: u64) -> (u64, u64) {
        let (positive, negative) = expiration.offsets(now_ns);
        (self.positive.value(positive), self.negative.value(negative))
    }

    /// Charges the time since the last settlement. The values have been expiring in the meantime, so the charge counts
    /// as made in the middle of it.
    pub(super) fn settle(&mut self, expiration: &Expiration, now_ns: u64) {
        let Some(time_ns) = now_ns.checked_sub(self.settled_ns) else {
            return;
        };
        let usage = Usage {
            time_ns,
            capacity: self.capacity,
            cost: 0,
        };
        self.charge(
            usage,
            expiration,
            self.settled_ns.saturating_add(time_ns / 2),
        );
        self.settled_ns = now_ns;
    }

    /// Charges a request. Costs of a connection beyond 2^64 - 1 count as that.
    pub(super) fn serve(&mut self, cost: u64, expiration: &Expiration, now_ns: u64) {
        let usage = Usage {
            time_ns: 0,
            capacity: self.capacity,
            cost,
        };
        self.charge(usage, expiration, now_ns);
        self.session_cost = self.session_cost.saturating_add(cost);
    }

    /// Adds tokens or takes them away, down to none: the balance before and after. `None` if it would rise above
    /// [`ExpiredValue::LIMIT`]; then nothing has changed.
    pub(super) fn add(
        &mut self,
        amount: i64,
        expiration: &Expiration,
        now_ns: u64,
    ) -> Option<(u64, u64)> {
        let offset = expiration.positive.offset_at(now_ns);
        let old = self.positive.value(offset);
        if old.saturating_add_signed(amount) > ExpiredValue::LIMIT {
            return None;
        }
        self.positive.add(amount, offset);
        self.tally.is_kept |= amount > 0;
        Some((old, self.positive.value(offset)))
    }

    /// Replaces both balances. `None` if one is above [`ExpiredValue::LIMIT`].
    pub(super) fn set(
        &mut self,
        positive: u64,
        negative: u64,
        expiration: &Expiration,
        now_ns: u64,
    ) -> Option<()> {
        let (positive, negative) = (i64::try_from(positive).ok()?, i64::try_from(negative).ok()?);
        let offsets = expiration.offsets(now_ns);
        self.positive = ExpiredValue::ZERO;
        self.positive.add(positive, offsets.0);
        self.tally.is_kept |= positive > 0;
        self.negative = ExpiredValue::ZERO;
        self.negative.add(negative, offsets.1);
        Some(())
    }

    pub(super) const fn set_capacity(&mut self, capacity: u64) {
        self.capacity = capacity;
    }

    pub(super) const fn prices(&self) -> Prices {
        self.prices
    }

    pub(super) const fn connected_ns(&self) -> u64 {
        self.connected_ns
    }

    pub(super) const fn set_prices(&mut self, prices: Prices) {
        self.prices = prices;
    }

    pub(super) const fn watch(&mut self, below: Priority) {
        self.watched = Some(below);
    }

    /// The priority at a capacity, of what was settled.
    pub(super) fn priority(&self, capacity: u64, expiration: &Expiration, now_ns: u64) -> Priority {
        let (tokens, debt) = self.values(expiration, now_ns);
        Priority::new(tokens, debt, capacity)
    }

    /// The priority that is expected in the case of `estimate`, at least one step below what it would be without time
    /// passing: two clients who lose nothing in that time would otherwise displace each other for ever.
    pub(super) fn estimate(
        mut self,
        estimate: Estimate,
        expiration: &Expiration,
        now_ns: u64,
    ) -> Priority {
        let offset = expiration.positive.offset_at(now_ns);
        self.positive.add(estimate.add, offset);
        let current = self.priority(estimate.capacity, expiration, now_ns);
        self.capacity = estimate.capacity;
        let cost = self.expected_cost(estimate.future_ns);
        let usage = |time_ns, cost| Usage {
            time_ns,
            capacity: estimate.capacity,
            cost,
        };
        let middle = |from: u64, time_ns: u64| from.saturating_add(time_ns / 2);
        let after = now_ns.saturating_add(estimate.future_ns);
        self.charge(
            usage(estimate.future_ns, cost),
            expiration,
            middle(now_ns, estimate.future_ns),
        );
        self.charge(
            usage(estimate.bias_ns, 0),
            expiration,
            middle(after, estimate.bias_ns),
        );
        // The common expiration of all balances changes nobody's rank: it is left out here.
        let expected = self.priority(estimate.capacity, expiration, now_ns);
        expected.min(current.lowered())
    }

    /// In how many nanoseconds of connection without requests the priority will be below `priority`; `None`: never.
    /// Expiration, which would make it sooner, is left out.
    pub(super) fn time_until_below(
        &self,
        priority: Priority,
        expiration: &Expiration,
        now_ns: u64,
    ) -> Option<u64> {
        let (tokens, debt) = self.values(expiration, now_ns);
        let Some(bearable) = priority.debt() else {
            let enough = u64::try_from(priority.tokens(self.capacity));
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
        let more = (bearable + 1).saturating_sub(debt.into());
        if more == 0 {
            return Some(empty_ns);
        }
        let more = u64::try_from(more).ok()?;
        let price = &self.prices.negative;
        let owing_ns = price.time_for(more, self.negative_rest, self.capacity)?;
        empty_ns.checked_add(owing_ns)
    }

    /// Compares the balance with what the last look found. A priority is watched until it is lost once.
    pub(super) fn look(&mut self, expiration: &Expiration, now_ns: u64) -> Found {
        let (tokens, debt) = self.values(expiration, now_ns);
        let (had, has) = (self.has_tokens, tokens > 0);
        self.has_tokens = has;
        let priority = Priority::new(tokens, debt, self.capacity);
        let below_watched = self
            .watched
            .take_if(|watched| priority < *watched)
            .is_some();
        Found {
            gained_tokens: has && !had,
            lost_tokens: had && !has,
            below_watched,
            noticed: self.tally.take_notice(),
        }
    }

    /// When to look again. Not later than anything happens without requests, and well before that if it is far: so
    /// requests, which bring it nearer, do not each need a new moment.
    pub(super) fn next_look(&self, expiration: &Expiration, now_ns: u64) -> Option<u64> {
        let (tokens, _) = self.values(expiration, now_ns);
        let empty = match tokens {
            0 => None,
            tokens => self.time_for_tokens(tokens),
        };
        let below = self
            .watched
            .and_then(|watched| self.time_until_below(watched, expiration, now_ns));
        let notice = self.time_until_notice(tokens);
        let first = empty.into_iter().chain(below).chain(notice).min()?;
        now_ns.checked_add(early(first))
    }

    pub(super) const fn has_tokens(&self) -> bool {
        self.has_tokens
    }

    /// In how many nanoseconds of connection without requests a notice is due, with so many tokens left.
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
        let price = &self.prices.negative;
        let owing_ns = price.time_for(owed, self.negative_rest, self.capacity)?;
        taking_ns.checked_add(owing_ns)
    }

    fn time_for_tokens(&self, tokens: u64) -> Option<u64> {
        let price = &self.prices.positive;
        price.time_for(tokens, self.positive_rest, self.capacity)
    }

    /// Twice the mean of this connection, which says nothing in its first second.
    fn expected_cost(&self, future_ns: u64) -> u64 {
        let session_ns = self.settled_ns.saturating_sub(self.connected_ns);
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
        let (taken, covered) = charge.taken_from(self.positive_rest, tokens);
        // At most 2^63 - 1, as `tokens` is.
        self.positive
            .add(0i64.saturating_sub_unsigned(taken), offset);
        self.tally.add(taken);
        match covered {
            Ok(rest) => self.positive_rest = rest,
            Err(uncovered) => {
                self.positive_rest = Rest::default();
                self.owe(owed.share(uncovered), expiration, at_ns);
            }
        }
    }

    fn owe(&mut self, charge: Charge, expiration: &Expiration, at_ns: u64) {
        let (tokens, rest) = charge.tokens(self.negative_rest);
        self.negative_rest = rest;
        let offset = expiration.negative.offset_at(at_ns);
        self.negative.add(tokens, offset);
        self.tally.add(tokens.unsigned_abs());
    }
}

/// Seven eighths of the time beyond a second.
fn early(time_ns: u64) -> u64 {
    match time_ns.checked_sub(SECOND) {
        None => time_ns,
        Some(beyond) => SECOND + beyond - beyond.div_ceil(8),
    }
}
