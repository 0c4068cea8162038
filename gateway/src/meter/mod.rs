//! Metering: the amount of an answer that is on its way, and its parts that can be paid one by one.
//!
//! Risk: a payer that pays W chunks ahead can lose W chunks, to a seller that stops. A seller delivers no byte and no message
//! before its price is reserved, and reads nothing ahead, so it can lose the one chunk that it has read and not delivered. An event
//! of `text/event-stream` begins only if its price is reserved up to [`MAX_EVENT`] bytes, or after its end has come: a client must
//! not read an event's text and leave before its last line is sold.

mod events;
#[cfg(test)]
mod tests;
mod usage;

use crate::{
    offers::{LOOK_AHEAD, Meter, Usage},
    wire::Reported,
};
use events::Events;
use std::time::Duration;
use tokio::time::Instant;
use usage::Tail;

/// The bytes of an event that are kept until its end has come, if the account does not cover so many.
pub(crate) const MAX_EVENT: usize = 16 << 10;

/// The smallest part of an answer without events that is worth a pause, in bytes.
const LEAST_PART: usize = 1 << 10;

/// The amount of an answer so far.
#[derive(Clone, Debug)]
pub(crate) struct Metering {
    bytes: u64,
    reported: Reported,
    units: Units,
    /// The scanner of `text/event-stream`.
    events: Option<Events>,
    /// The time that counts: all but the pauses of the payer.
    elapsed: Duration,
    /// The begin of the present run; `None` in a pause.
    since: Option<Instant>,
}

#[derive(Clone, Debug)]
enum Units {
    /// What the upstream has reported, or nothing.
    Reported,
    Counted(u64),
    Usage(Box<Tail>),
}

/// A part of an answer: so many bytes, with so many units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) bytes: usize,
    pub(crate) units: u64,
}

impl Metering {
    /// Meters an answer whose request was forwarded at `began`.
    pub(crate) fn new(
        meter: Meter,
        is_event_stream: bool,
        reported: Reported,
        began: Instant,
    ) -> Self {
        let units = match meter {
            // A number that the upstream reports is as good as a count of ours.
            _ if reported.units.is_some() => Units::Reported,
            Meter::Reported => Units::Reported,
            Meter::Events => Units::Counted(0),
            Meter::OpenaiUsage => Units::Usage(Box::default()),
        };
        Self {
            bytes: 0,
            reported,
            units,
            events: is_event_stream.then(Events::new),
            elapsed: Duration::ZERO,
            since: Some(began),
        }
    }

    /// Stops the time.
    pub(crate) fn pause(&mut self, now: Instant) {
        self.elapsed = self.elapsed_at(now);
        self.since = None;
    }

    /// Lets the time run again.
    pub(crate) const fn resume(&mut self, now: Instant) {
        self.since = Some(now);
    }

    /// Counts a message that is delivered.
    pub(crate) const fn count(&mut self, part: Part) {
        self.bytes = self.bytes.saturating_add(part.bytes as u64);
        if let Units::Counted(units) = &mut self.units {
            *units = units.saturating_add(part.units);
        }
    }

    /// Counts a part that is delivered.
    pub(crate) fn add(&mut self, bytes: &[u8], part: Part) {
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        if let Some(events) = &mut self.events {
            let mut rest = bytes;
            while let Some(end) = events.scan(rest) {
                rest = &rest[end.length..];
            }
        }
        match &mut self.units {
            Units::Reported => {}
            Units::Counted(units) => *units = units.saturating_add(part.units),
            Units::Usage(tail) => tail.push(bytes),
        }
    }

    /// Returns what the answer has used by `now`, together with a part that is not delivered yet.
    pub(crate) fn usage(&self, part: Part, now: Instant) -> Usage {
        let milliseconds = self.elapsed_at(now).as_millis();
        let is_event_stream = self.events.is_some();
        Usage {
            bytes: self.bytes.saturating_add(part.bytes as u64),
            milliseconds: u64::try_from(milliseconds).unwrap_or(u64::MAX),
            units: match &self.units {
                Units::Reported => self.reported.units,
                Units::Counted(units) => Some(units.saturating_add(part.units)),
                Units::Usage(tail) => tail.tokens(is_event_stream),
            },
            charge: self.reported.charge,
        }
    }

    /// Returns what the answer has used at its end. An answer that broke off costs no tokens that nobody has counted.
    pub(crate) fn last(&self, is_whole: bool, now: Instant) -> Usage {
        let mut usage = self.usage(Part::default(), now);
        if !is_whole && matches!(self.units, Units::Usage(_)) {
            usage.units = usage.units.or(Some(0));
        }
        usage
    }

    /// Returns the usage for which the stream has to be paid before the part is delivered: time is paid ahead.
    pub(crate) fn due(&self, part: Part, now: Instant) -> Usage {
        let mut usage = self.usage(part, now);
        usage.milliseconds = usage.milliseconds.saturating_add(LOOK_AHEAD);
        usage
    }

    /// True if the gateway can put an event of its own here.
    pub(crate) fn is_between_events(&self) -> bool {
        self.events.is_some_and(|events| events.is_between())
    }

    pub(crate) const fn is_event_stream(&self) -> bool {
        self.events.is_some()
    }

    /// Returns the part of `bytes` that ends where the gateway could speak. `None` within an event.
    pub(crate) fn complete(&self, bytes: &[u8]) -> Option<Part> {
        self.ends(bytes).pop()
    }

    /// Returns all of `bytes` as a part.
    pub(crate) fn whole(&self, bytes: &[u8]) -> Part {
        let begun = bytes.len();
        self.ends(bytes).pop().map_or(
            Part {
                bytes: begun,
                units: 0,
            },
            |last| Part {
                bytes: begun,
                units: last.units,
            },
        )
    }

    /// Returns the smallest part of `bytes` that is worth a pause: an event, or some bytes.
    pub(crate) fn least(&self, bytes: &[u8]) -> Part {
        match self.ends(bytes).first() {
            Some(end) if self.events.is_some() => *end,
            _ if self.events.is_some() => self.whole(bytes),
            _ => self.whole(&bytes[..bytes.len().min(LEAST_PART)]),
        }
    }

    /// Finds the largest part of `bytes` that `is_paid` lets pass, ending where the gateway could speak. `None`: nothing can be
    /// delivered.
    pub(crate) fn largest(&self, bytes: &[u8], is_paid: impl Fn(Part) -> bool) -> Option<Part> {
        if self.events.is_some() {
            let ends = self.ends(bytes);
            let paid = ends.partition_point(|end| is_paid(*end));
            return ends[..paid].last().copied();
        }
        let (mut paid, mut above) = (0, bytes.len() + 1);
        while above - paid > 1 {
            let middle = paid + (above - paid) / 2;
            match is_paid(self.whole(&bytes[..middle])) {
                true => paid = middle,
                false => above = middle,
            }
        }
        (paid > 0).then(|| self.whole(&bytes[..paid]))
    }

    /// Returns the ends of the events in `bytes`, each as a part from the beginning. An answer without events is one unit.
    fn ends(&self, bytes: &[u8]) -> Vec<Part> {
        let Some(mut events) = self.events else {
            let is_first = self.bytes == 0 && !bytes.is_empty();
            return vec![Part {
                bytes: bytes.len(),
                units: u64::from(is_first),
            }];
        };
        let (mut ends, mut part) = (Vec::new(), Part::default());
        while let Some(end) = events.scan(&bytes[part.bytes..]) {
            part.bytes += end.length;
            part.units += u64::from(end.has_field);
            ends.push(part);
        }
        ends
    }

    fn elapsed_at(&self, now: Instant) -> Duration {
        let run = self.since.map(|since| now.saturating_duration_since(since));
        self.elapsed + run.unwrap_or_default()
    }
}
