//! The times of a deposit: the payer's cutoff, and the draw times that leave time to pay.

use crate::{
    payer::{
        Payer,
        cutoff::{TIME_TO_PAYEE, min_cutoff},
        error::PayerError,
        request::Draw,
        state::is_past_cutoff,
    },
    protocol::{chain_profile::ChainProfile, deposit_builder::draw_time_from},
};
use cheque_bindings::Deposit;

/// The schedule of draws that a payer has to keep. Times are seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    /// Shortest time between the opening of a deposit and its draw, by the bank.
    pub(super) min_lead: u64,
    /// The payer's cutoff.
    pub(super) cutoff: u64,
    /// Age from which a block counts as confirmed.
    pub(super) confirm: u64,
    /// Expected time until an opening is in a block.
    pub(super) inclusion: u64,
    /// Divisor of draw times.
    pub(super) grid: u64,
    /// Time of the beacon's first round, in seconds since 1970.
    pub(super) genesis: u64,
    /// Time between two rounds of the beacon.
    pub(super) period: u64,
}

impl Schedule {
    /// Fewest seconds from now to a draw that leaves time to pay. The bank requires its lead, counted from the block
    /// that includes `open`. The payer needs a second between confirmation and cutoff.
    pub(super) fn min_draw_in(&self) -> Option<u64> {
        let to_pay = self.confirm.checked_add(self.cutoff)?.checked_add(1)?;
        self.inclusion.checked_add(self.min_lead.max(to_pay))
    }

    /// Chooses the draw time of a deposit planned at `now`, and checks that it leaves time to pay. Does not check that a
    /// time named by the caller is on the beacon's schedule.
    pub(super) fn draw_time(&self, now: u64, draw: Draw) -> Result<u64, PayerError> {
        let earliest = self.min_draw_in().and_then(|least| now.checked_add(least));
        let earliest = earliest.ok_or(PayerError::TimeOutOfRange)?;
        let draw_time = match draw {
            Draw::At(time) => time,
            Draw::In(seconds) => now
                .checked_add(seconds)
                .and_then(|time| self.next(time, self.grid))
                .ok_or(PayerError::TimeOutOfRange)?,
        };
        if draw_time < earliest {
            // The next round, not the next time of the grid: any round may be named.
            let earliest = self.next(earliest, self.period);
            return Err(PayerError::DrawTooSoon {
                draw_time,
                earliest: earliest.ok_or(PayerError::TimeOutOfRange)?,
            });
        }
        Ok(draw_time)
    }

    fn next(&self, earliest: u64, grid: u64) -> Option<u64> {
        draw_time_from(earliest, grid, self.genesis, self.period)
    }
}

/// Expected seconds until a transaction is in a block. A quarter of the time to confirm, and three polls.
pub(super) fn inclusion(profile: &ChainProfile) -> u64 {
    let polls = profile.poll.saturating_mul(3);
    let seconds = polls.as_secs() + u64::from(polls.subsec_nanos() > 0);
    (profile.confirm / 4).saturating_add(seconds)
}

impl Payer {
    /// Replaces the time between the last cheque and the draw: by default 45 s, or the shortest one if that is longer. For
    /// payees that ask for more time than the usual 30 s.
    ///
    /// # Errors
    ///
    /// [`PayerError::CutoffTooShort`] on a chain whose profile checks the clocks, if the cutoff is shorter than the bound on
    /// the difference of clocks, the time between two rounds of the beacon, and 25 s: a payee that knows the draw could ask
    /// a slow payer for exactly the total that wins.
    pub fn with_cutoff(mut self, seconds: u64) -> Result<Self, PayerError> {
        let bounds = self.reader.profile().freshness;
        let min = min_cutoff(bounds.as_ref(), self.reader.beacon().period());
        if seconds < min {
            let cutoff = seconds;
            return Err(PayerError::CutoffTooShort { cutoff, min });
        }
        self.cutoff = seconds;
        Ok(self)
    }

    /// Seconds between the last cheque and the draw.
    pub const fn cutoff(&self) -> u64 {
        self.cutoff
    }

    /// First time at which no cheque is written from a deposit any longer, in seconds since 1970.
    pub const fn end_time(&self, deposit: &Deposit) -> u64 {
        deposit.drawTime.saturating_sub(self.cutoff)
    }

    /// True if neither this payer's cutoff nor the payee's has come at `now`.
    pub(super) fn is_in_time(&self, terms: &Deposit, payee_cutoff: u64, now: u64) -> bool {
        let of_payee = match payee_cutoff {
            0 => 0,
            seconds => seconds.saturating_add(TIME_TO_PAYEE),
        };
        !is_past_cutoff(terms, self.cutoff.max(of_payee), now)
    }

    pub(super) fn schedule(&self) -> Schedule {
        let profile = self.reader.profile();
        let beacon = self.reader.beacon();
        Schedule {
            min_lead: self.reader.min_lead(),
            cutoff: self.cutoff,
            confirm: profile.confirm,
            inclusion: inclusion(profile),
            grid: profile.draw_grid,
            genesis: beacon.genesis(),
            period: beacon.period(),
        }
    }

    /// Chooses the draw time of a deposit planned at `now`.
    pub(super) fn draw_time(&self, now: u64, draw: Draw) -> Result<u64, PayerError> {
        let draw_time = self.schedule().draw_time(now, draw)?;
        // Of a time off the schedule, the error names the rounds around it.
        self.reader.beacon().round_at(draw_time)?;
        Ok(draw_time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bank::fake_bank::FakeBank,
        protocol::{beacon::local::LocalBeacon, deposit_builder::PAYER_CUTOFF, now::Freshness},
        store::Memory,
        sys::unix_now,
    };
    use std::sync::Arc;

    /// Layer 1 and quicknet.
    const L1: Schedule = Schedule {
        min_lead: 2_400,
        cutoff: 45,
        confirm: 144,
        inclusion: 48,
        grid: 300,
        genesis: 1_692_803_367,
        period: 3,
    };

    /// A multiple of 300, and so a time of quicknet.
    const NOON: u64 = 1_800_000_000;

    /// The draw time that was refused, and the earliest that is not.
    fn refused(schedule: &Schedule, now: u64, draw: Draw) -> (u64, u64) {
        match schedule.draw_time(now, draw) {
            Err(PayerError::DrawTooSoon {
                draw_time,
                earliest,
            }) => (draw_time, earliest),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rounds_draw_time_up_to_the_grid() {
        let at = |now, seconds| L1.draw_time(now, Draw::In(seconds)).unwrap();
        assert_eq!(at(NOON, 3_600), NOON + 3_600);
        assert_eq!(at(NOON + 1, 3_600), NOON + 3_900);
    }

    #[test]
    fn leaves_the_banks_lead_after_inclusion() {
        let now = NOON - 2_448;
        assert_eq!(L1.draw_time(now, Draw::At(NOON)).unwrap(), NOON);
        let late = refused(&L1, now + 1, Draw::At(NOON));
        // The next round of the beacon, not the next of the grid.
        assert_eq!(late, (NOON, NOON + 3));
    }

    #[test]
    fn leaves_time_to_pay_where_the_bank_asks_for_less() {
        let local = Schedule {
            min_lead: 1,
            cutoff: 2,
            confirm: 0,
            inclusion: 1,
            grid: 1,
            genesis: 1,
            period: 1,
        };
        assert_eq!(local.min_draw_in(), Some(1 + 3));
        assert_eq!(local.draw_time(100, Draw::In(4)).unwrap(), 104);
        let soon = refused(&local, 100, Draw::In(3));
        assert_eq!(soon, (103, 104));
        let patient = Schedule {
            confirm: 600,
            ..local
        };
        assert_eq!(patient.min_draw_in(), Some(1 + 603));
    }

    #[test]
    fn refuses_times_beyond_64_bits() {
        for draw in [Draw::In(u64::MAX), Draw::In(u64::MAX - NOON)] {
            let error = L1.draw_time(NOON, draw).unwrap_err();
            assert!(matches!(error, PayerError::TimeOutOfRange), "{error}");
        }
        let endless = Schedule {
            min_lead: u64::MAX,
            ..L1
        };
        assert_eq!(endless.min_draw_in(), None);
    }

    #[tokio::test]
    async fn refuses_a_cutoff_that_a_slow_clock_outlives() {
        for (freshness, seconds, min) in [
            (Some(Freshness::DEFAULT), 30, Some(38)),
            (Some(Freshness::DEFAULT), 37, Some(38)),
            (Some(Freshness::DEFAULT), 38, None),
            (None, 0, None),
        ] {
            let profile = ChainProfile {
                freshness,
                ..*ChainProfile::of(1).unwrap()
            };
            let beacon = LocalBeacon::new(&[7; 32], 1_700_000_000, 3).unwrap();
            let node = FakeBank::new(beacon.beacon().parameters(), 400, unix_now());
            let payer = Payer::new(node.reader(profile).await, Arc::new(Memory::new()));
            assert_eq!(payer.cutoff(), PAYER_CUTOFF);
            match payer.with_cutoff(seconds) {
                Ok(payer) => assert_eq!((payer.cutoff(), None), (seconds, min)),
                Err(PayerError::CutoffTooShort { cutoff, min: least }) => {
                    assert_eq!((cutoff, Some(least)), (seconds, min));
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    #[test]
    fn expects_inclusion_by_chain() {
        let of = |chain| inclusion(ChainProfile::of(chain).unwrap());
        assert_eq!((of(1), of(8453), of(31_337)), (48, 5, 1));
    }
}
