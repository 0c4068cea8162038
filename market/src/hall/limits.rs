//! Decreases of capacity, which take effect a second after their announcement.

use crate::pool::types::Limits;
use std::collections::VecDeque;

/// Delay of a decrease, in which the operator can choose the clients that yield.
const LATE_NS: u64 = 1_000_000_000;

/// Announced limits and limits in force. The latter rise at once and fall later.
#[derive(Debug)]
pub(super) struct AnnouncedLimits {
    limits: Limits,
    /// Capacities above the announced one with the ends of their validity, in descending order of capacity.
    lowered: VecDeque<(u64, u64)>,
}

impl AnnouncedLimits {
    pub(super) const fn new(limits: Limits) -> Self {
        Self {
            limits,
            lowered: VecDeque::new(),
        }
    }

    /// Returns the announced capacity.
    pub(super) const fn capacity(&self) -> u64 {
        self.limits.capacity
    }

    /// Announces limits. The number of slots takes effect at once.
    pub(super) fn announce(&mut self, limits: Limits, now_ns: u64) {
        let before = std::mem::replace(&mut self.limits, limits).capacity;
        self.lowered
            .retain(|(_, capacity)| *capacity > limits.capacity);
        if before > limits.capacity {
            let until = now_ns.saturating_add(LATE_NS);
            self.lowered.push_back((until, before));
        }
    }

    /// Returns the limits in force from `now_ns` on.
    pub(super) fn in_force(&mut self, now_ns: u64) -> Limits {
        let over = self
            .lowered
            .iter()
            .take_while(|(until, _)| *until <= now_ns);
        let over = over.count();
        self.lowered.drain(..over);
        let capacity = self.lowered.front().map_or(0, |(_, capacity)| *capacity);
        Limits {
            capacity: capacity.max(self.limits.capacity),
            ..self.limits
        }
    }

    /// Returns the moment of the next decrease.
    pub(super) fn next_event(&self) -> u64 {
        self.lowered.front().map_or(u64::MAX, |(until, _)| *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: u64 = LATE_NS / 2;

    /// Announces capacities at the given times, and returns the capacity in force after each half of a second.
    fn in_force(announced: &[(u64, u64)], halves: u64) -> Vec<u64> {
        let limits = |capacity| Limits { count: 1, capacity };
        let mut limit = AnnouncedLimits::new(limits(1_000));
        let mut seen = Vec::new();
        for half in 0..halves {
            let at_once = announced.iter().filter(|(at, _)| *at == half);
            at_once.for_each(|(_, capacity)| limit.announce(limits(*capacity), half * HALF));
            seen.push(limit.in_force(half * HALF).capacity);
        }
        seen
    }

    #[test]
    fn delays_decrease_by_a_second_and_no_increase() {
        assert_eq!(in_force(&[(0, 500)], 4), [1_000, 1_000, 500, 500]);
        assert_eq!(in_force(&[(1, 2_000)], 3), [1_000, 2_000, 2_000]);
    }

    #[test]
    fn delays_each_of_several_decreases_by_a_second() {
        let seen = in_force(&[(0, 500), (1, 400)], 5);
        assert_eq!(seen, [1_000, 1_000, 500, 400, 400]);
    }

    #[test]
    fn cancels_decrease_below_a_newer_limit() {
        let seen = in_force(&[(0, 500), (1, 700)], 4);
        assert_eq!(seen, [1_000, 1_000, 700, 700]);
        assert_eq!(in_force(&[(0, 500), (1, 1_000)], 4), [1_000; 4]);
        let seen = in_force(&[(0, 500), (1, 1_500), (2, 600)], 6);
        assert_eq!(seen, [1_000, 1_500, 1_500, 1_500, 600, 600]);
    }

    #[test]
    fn schedules_event_at_the_next_decrease() {
        let limits = |capacity| Limits { count: 1, capacity };
        let mut limit = AnnouncedLimits::new(limits(9));
        assert_eq!(limit.next_event(), u64::MAX);
        limit.announce(limits(5), 7);
        assert_eq!(limit.next_event(), LATE_NS + 7);
        assert_eq!(limit.in_force(LATE_NS + 6).capacity, 9);
        assert_eq!(limit.in_force(LATE_NS + 7).capacity, 5);
        assert_eq!(limit.next_event(), u64::MAX);
    }

    #[test]
    fn applies_number_of_slots_at_once() {
        let mut limit = AnnouncedLimits::new(Limits {
            count: 5,
            capacity: 9,
        });
        let fewer = Limits {
            count: 2,
            capacity: 8,
        };
        limit.announce(fewer, 0);
        let expected = Limits {
            count: 2,
            capacity: 9,
        };
        assert_eq!(limit.in_force(0), expected);
    }
}
