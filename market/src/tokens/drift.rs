//! A base price that follows demand.

use super::bonding::BondingCurve;
use crate::value::{expirer::ExpirationRate, log::Log2};
use ruint::aliases::U256;
use std::num::NonZeroU64;

/// Bits of a position below one step of a logarithm.
const EXTRA_BITS: usize = 64;

/// Moves the target of the base price with demand, as in the LES payment work in go-ethereum:
///
/// ```text
/// log2(base price) grows by elapsed / doubling time · (2 · amount / limit - 1)
/// ```
///
/// The base price rises while more than half of the tokens of the limit exist, and falls while fewer do, down to a
/// floor: without one, a market that slept for a month would sell its capacity for nothing for as long again. Targets
/// are rounded to the nearest step, and the rest is carried over, so that frequent calls lose nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasePriceDrift {
    /// Octaves per nanosecond at full demand.
    rate: ExpirationRate,
    floor: Log2,
    /// Part of a step that is not applied yet, in units of 2^-64: less than half a step.
    rest: i128,
    updated_ns: u64,
}

impl BasePriceDrift {
    /// Returns a drift that doubles the base price in `doubling_ns` nanoseconds if all tokens exist, and halves it if
    /// none do. `floor` is the logarithm of the lowest base price.
    pub fn new(doubling_ns: NonZeroU64, floor: Log2, now_ns: u64) -> Self {
        Self {
            rate: ExpirationRate::from_half_life(doubling_ns),
            floor,
            rest: 0,
            updated_ns: now_ns,
        }
    }

    /// Returns the logarithm of the base price that `curve` should have at `now_ns`: the present one, moved for the
    /// time since the last call, and not below the floor. Pass it to [`BondingCurve::adjust`] as the target. A part of the target that an
    /// adjustment misses is not carried over. A time before the last call counts as the time of that call.
    pub fn target(&mut self, curve: &BondingCurve, now_ns: u64) -> Log2 {
        let elapsed = now_ns.saturating_sub(self.updated_ns);
        self.updated_ns = self.updated_ns.max(now_ns);
        let (doubled, limit) = (
            2 * u128::from(curve.amount()),
            u128::from(curve.limit().get()),
        );
        let full = U256::from(self.rate.per_ns()) * U256::from(elapsed);
        let size = full * U256::from(doubled.abs_diff(limit)) / U256::from(limit);
        // 2^126 is 2^62 steps and leaves room for the rest.
        let size = size.saturating_to::<u128>().min(1 << 126) as i128;
        let moved = self.rest + if doubled >= limit { size } else { -size };
        let steps = (moved + (1 << (EXTRA_BITS - 1))) >> EXTRA_BITS;
        self.rest = moved - (steps << EXTRA_BITS);
        let present = curve.log_base_price().steps();
        Log2::from_steps(present.saturating_add(steps as i64)).max(self.floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000_000_000;
    const LOWEST: Log2 = Log2::from_steps(i64::MIN);

    fn drift() -> BasePriceDrift {
        BasePriceDrift::new(NonZeroU64::new(HOUR).unwrap(), LOWEST, 0)
    }

    fn curve(amount: u64, log_base_price: Log2) -> BondingCurve {
        BondingCurve::restore(amount, NonZeroU64::new(1 << 20).unwrap(), log_base_price).unwrap()
    }

    fn target_after(hours: u64, amount: u64) -> Log2 {
        drift().target(&curve(amount, Log2::from_octaves(5)), hours * HOUR)
    }

    #[test]
    fn raises_price_above_half_of_limit_and_lowers_it_below() {
        assert_eq!(target_after(1, 0), Log2::from_octaves(4));
        assert_eq!(target_after(2, 1 << 18), Log2::from_octaves(4));
        assert_eq!(target_after(99, 1 << 19), Log2::from_octaves(5));
        assert_eq!(target_after(6, 3 << 18), Log2::from_octaves(8));
    }

    /// The older system let the price fall for as long as nobody bought: after ten days without a sale it took ten
    /// days of full demand to get back.
    #[test]
    fn stops_at_the_floor_and_rises_from_it_at_once() {
        let floor = Log2::from_octaves(3);
        let mut drift = BasePriceDrift::new(NonZeroU64::new(HOUR).unwrap(), floor, 0);
        let unsold = curve(0, Log2::from_octaves(5));
        assert_eq!(drift.target(&unsold, HOUR), Log2::from_octaves(4));
        assert_eq!(drift.target(&unsold, 240 * HOUR), floor);
        let demand = curve(3 << 18, floor);
        assert_eq!(drift.target(&demand, 242 * HOUR), Log2::from_octaves(4));
        // An operator raised the floor: the target is the new one.
        assert_eq!(drift.target(&curve(0, Log2::ZERO), 243 * HOUR), floor);
    }

    #[test]
    fn loses_nothing_by_frequent_calls() {
        for amount in [0, 1 << 18, 3 << 18] {
            let mut drift = drift();
            let mut log = Log2::from_octaves(5);
            for now in 1..=10_000 {
                log = drift.target(&curve(amount, log), now * (HOUR / 10_000));
            }
            let once = target_after(1, amount);
            assert!(log.steps().abs_diff(once.steps()) <= 1, "{log:?} {once:?}");
        }
    }

    #[test]
    fn ignores_a_clock_that_goes_back() {
        let mut drift = drift();
        let curve = curve(0, Log2::ZERO);
        drift.target(&curve, 5 * HOUR);
        assert_eq!(drift.target(&curve, HOUR), Log2::ZERO);
        assert_eq!(drift.target(&curve, 6 * HOUR), Log2::from_octaves(-1));
    }

    #[test]
    fn stops_at_the_largest_logarithms() {
        let mut drift = BasePriceDrift::new(NonZeroU64::MIN, LOWEST, 0);
        let low = drift.target(&curve(0, Log2::from_steps(i64::MIN)), u64::MAX);
        assert_eq!(low, Log2::from_steps(i64::MIN));
        let mut drift = BasePriceDrift::new(NonZeroU64::MIN, LOWEST, 0);
        let fall = drift.target(&curve(0, Log2::ZERO), u64::MAX);
        assert_eq!(fall, Log2::from_steps(-(1 << 62)));
    }
}
