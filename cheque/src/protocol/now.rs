//! The time that payers and payees act by: the latest of three clocks (SPEC section 12.2).

/// The bounds on the clocks that [`Now`] compares, in seconds. Plain data, exhaustive by design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// The largest lead of the newest block, and of the newest round, over the own clock.
    pub max_ahead: u64,
    /// The largest age of the newest block.
    pub max_head_age: u64,
    /// The largest age of the newest verified round of the beacon.
    pub max_round_age: u64,
}

impl Freshness {
    /// The bounds on public chains. A payee sells for at most `max_round_age` after the beacon has stopped.
    pub const DEFAULT: Self = Self {
        max_ahead: 10,
        max_head_age: 60,
        max_round_age: 60,
    };
}

/// Three clocks, in seconds since 1970. Does not check them: see [`Now::check`].
///
/// Plain data, exhaustive by design: a host that forgets a clock must not compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The machine's clock.
    pub clock: u64,
    /// The time of the newest block.
    pub head_time: u64,
    /// The time of the newest round of the beacon whose signature was verified; `None` before the first.
    pub round_time: Option<u64>,
}

/// The reason why the clocks tell no time to pay by. No payment is safe then, on either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClockError {
    /// The newest block or round is in the future of the machine's clock. A verified round cannot come early.
    #[error(
        "the newest block or round has time {seen}, more than {limit} s ahead of this machine's clock at {clock}; set \
         the clock, or ask another node"
    )]
    ClockBehind {
        /// The later of the newest block's and the newest round's time.
        seen: u64,
        /// The machine's clock.
        clock: u64,
        /// The largest difference, in seconds.
        limit: u64,
    },
    /// The node is behind, the chain makes no blocks, or the machine's clock is fast.
    #[error(
        "the newest block has time {head_time}, more than {limit} s before {now}; check node and clock, or wait for a \
         block"
    )]
    HeadStale {
        /// The time of the newest block.
        head_time: u64,
        /// The latest of the three clocks.
        now: u64,
        /// The largest age, in seconds.
        limit: u64,
    },
    /// The newest verified round is too old, or missing: the relays are down, or the beacon has stopped.
    #[error(
        "the newest verified round of the beacon {} and at {now} may be {limit} s old; check the relays, or wait",
        round_text(*.round_time)
    )]
    BeaconStale {
        /// The time of the newest verified round, if any.
        round_time: Option<u64>,
        /// The latest of the three clocks.
        now: u64,
        /// The largest age, in seconds.
        limit: u64,
    },
}

fn round_text(round_time: Option<u64>) -> String {
    round_time.map_or_else(
        || "is missing,".to_owned(),
        |time| format!("has time {time},"),
    )
}

impl ClockError {
    /// Returns the name of the rejection that follows (SPEC section 13.2).
    pub const fn code(&self) -> &'static str {
        match self {
            Self::ClockBehind { .. } | Self::HeadStale { .. } => "stale_view",
            Self::BeaconStale { .. } => "beacon_stale",
        }
    }
}

impl Now {
    /// Returns the latest of the three clocks. No payment may be written or taken by an earlier one: a slow clock would
    /// sell after the draw is public.
    pub fn latest(&self) -> u64 {
        self.clock.max(self.seen())
    }

    /// Checks the clocks against each other, and returns the latest.
    ///
    /// # Errors
    ///
    /// [`ClockError`] names the first bound that is broken: lead over the own clock, age of the head, age of the round.
    pub fn check(&self, bounds: &Freshness) -> Result<u64, ClockError> {
        let (seen, now) = (self.seen(), self.latest());
        if seen.saturating_sub(self.clock) > bounds.max_ahead {
            return Err(ClockError::ClockBehind {
                seen,
                clock: self.clock,
                limit: bounds.max_ahead,
            });
        }
        if now.saturating_sub(self.head_time) > bounds.max_head_age {
            return Err(ClockError::HeadStale {
                head_time: self.head_time,
                now,
                limit: bounds.max_head_age,
            });
        }
        match self.round_time {
            Some(round) if now.saturating_sub(round) <= bounds.max_round_age => Ok(now),
            round_time => Err(ClockError::BeaconStale {
                round_time,
                now,
                limit: bounds.max_round_age,
            }),
        }
    }

    /// Returns the later of head and round.
    fn seen(&self) -> u64 {
        self.head_time.max(self.round_time.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Freshness = Freshness::DEFAULT;
    const T: u64 = 1_800_000_000;

    const fn clocks(clock: u64, head_time: u64, round: u64) -> Now {
        Now {
            clock,
            head_time,
            round_time: Some(round),
        }
    }

    #[test]
    fn takes_the_latest_of_three_clocks() {
        for now in [
            clocks(T + 10, T, T + 1),
            clocks(T, T + 10, T + 1),
            clocks(T, T + 1, T + 10),
        ] {
            assert_eq!(now.latest(), T + 10);
            assert_eq!(now.check(&BOUNDS), Ok(T + 10));
        }
        let without = Now {
            round_time: None,
            ..clocks(T, T + 4, 0)
        };
        assert_eq!(without.latest(), T + 4);
    }

    #[test]
    fn refuses_a_clock_behind_head_or_round_to_the_second() {
        for off in [clocks(T, T + 11, T), clocks(T, T, T + 11)] {
            let behind = ClockError::ClockBehind {
                seen: T + 11,
                clock: T,
                limit: 10,
            };
            assert_eq!(off.check(&BOUNDS), Err(behind));
            assert_eq!(behind.code(), "stale_view");
        }
    }

    #[test]
    fn refuses_an_old_head_to_the_second() {
        assert_eq!(clocks(T, T - 60, T).check(&BOUNDS), Ok(T));
        let old = ClockError::HeadStale {
            head_time: T - 61,
            now: T,
            limit: 60,
        };
        assert_eq!(clocks(T, T - 61, T).check(&BOUNDS), Err(old));
        // The round is the latest clock, and makes the head older than the own clock does.
        let by_round = clocks(T - 5, T - 61, T).check(&BOUNDS);
        assert_eq!(by_round, Err(old));
        assert_eq!(old.code(), "stale_view");
    }

    #[test]
    fn refuses_an_old_or_missing_round_to_the_second() {
        assert_eq!(clocks(T, T, T - 60).check(&BOUNDS), Ok(T));
        let missing = Now {
            round_time: None,
            ..clocks(T, T, 0)
        };
        for (now, round_time) in [(clocks(T, T, T - 61), Some(T - 61)), (missing, None)] {
            let stale = ClockError::BeaconStale {
                round_time,
                now: T,
                limit: 60,
            };
            assert_eq!(now.check(&BOUNDS), Err(stale));
            assert_eq!(stale.code(), "beacon_stale");
        }
    }

    #[test]
    fn judges_the_ends_of_time_without_overflow() {
        let ends = [0, 1, T, u64::MAX - 1, u64::MAX];
        for clock in ends {
            for head in ends {
                for round in ends {
                    let now = clocks(clock, head, round);
                    let checked = now.check(&BOUNDS);
                    let close = now.latest() - clock.min(head).min(round) <= 10;
                    assert_eq!(checked.is_ok(), close, "{now:?}");
                }
            }
        }
    }
}
