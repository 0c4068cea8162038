//! The rates of tokens against the native coin, kept current: fixed, from a file, or from a feed on the chain.
//!
//! A rate that cannot be read, is too old, or has jumped stops its token with a reason, and nothing else.

mod feed;
mod reading;
mod source;
#[cfg(test)]
mod tests;

pub use reading::{RateBounds, RateFault};
pub use source::{RateSource, RateSourceError};

use crate::{
    bank::cost::{NativeRate, NativeRates},
    sys::unix_now,
};
use alloy::providers::DynProvider;
use alloy_primitives::Address;
use futures_util::future::{BoxFuture, FutureExt, join_all};
use reading::{Reading, accept};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::timeout;

/// The time after which files and feeds are read again, in seconds.
const REFRESH: u64 = 30;

/// The time to read a file or a feed. Payments wait for the first reading.
const READ: Duration = Duration::from_secs(5);

/// The rates of tokens against the native coin. Cheap to clone; clones share the rates.
///
/// A payee and a payer read files and feeds again as they look at the chain, at most every 30 s.
#[derive(Clone, Debug, Default)]
pub struct TokenRates {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    entries: Mutex<BTreeMap<Address, Entry>>,
    /// The second from which files and feeds are read again.
    due: AtomicU64,
    /// Locked while files and feeds are read.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug)]
struct Entry {
    source: RateSource,
    decimals: u8,
    bounds: RateBounds,
    /// The last reading that was accepted.
    last: Option<Reading>,
    /// The fault of the newest reading.
    fault: Option<RateFault>,
}

impl TokenRates {
    /// Makes rates of the native coin alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// Follows the rate of a token with this number of decimals. Reads no file and no feed yet. The same source as before keeps
    /// its readings.
    ///
    /// # Errors
    ///
    /// [`RateSourceError`] if the token cannot have this fixed rate.
    pub fn follow(
        &self,
        token: Address,
        decimals: u8,
        source: RateSource,
        bounds: RateBounds,
    ) -> Result<(), RateSourceError> {
        let last = match &source {
            RateSource::Fixed(text) => Some(Reading {
                rate: source::rate_of(text, decimals)?,
                at: None,
            }),
            RateSource::File(_) | RateSource::Feed(_) => None,
        };
        let entry = Entry {
            source,
            decimals,
            bounds,
            last,
            fault: None,
        };
        let mut entries = self.entries();
        let known = entries.get(&token);
        let is_same = known.is_some_and(|known| {
            (&known.source, known.decimals, known.bounds) == (&entry.source, decimals, bounds)
        });
        if !is_same {
            entries.insert(token, entry);
            self.shared.due.store(0, Relaxed);
        }
        Ok(())
    }

    /// Returns the rate of a token.
    ///
    /// # Errors
    ///
    /// [`RateFault`] if the token has no usable rate now.
    pub fn of(&self, token: Address) -> Result<NativeRate, RateFault> {
        self.of_at(token, unix_now())
    }

    /// Returns the last rate of a token that was accepted, however old. For money that is there already: a win is redeemed by
    /// an old rate rather than by none.
    pub(crate) fn last(&self, token: Address) -> Option<NativeRate> {
        if token.is_zero() {
            return Some(NativeRate::NATIVE);
        }
        let last = self.entries().get(&token)?.last?;
        Some(last.rate)
    }

    /// Returns the tokens whose rate cannot be used now, each with the reason.
    pub fn faults(&self) -> BTreeMap<Address, RateFault> {
        let now = unix_now();
        let entries = self.entries();
        let faults = entries.iter().filter_map(|(token, entry)| {
            let fault = entry.at(now).err()?;
            Some((*token, fault))
        });
        faults.collect()
    }

    /// Reads files and feeds again if the last time is 30 s ago. `provider` is a node of the tokens' chain.
    pub async fn refresh(&self, provider: &DynProvider) {
        let _reading = self.shared.reading.lock().await;
        let now = unix_now();
        if now < self.shared.due.load(Relaxed) {
            return;
        }
        // Before the entries are read: a source that is added meanwhile is due at once.
        let due = now.saturating_add(REFRESH);
        self.shared.due.store(due, Relaxed);
        let entries = self.entries().clone();
        let reading = entries.into_iter().map(async |(token, entry)| {
            let slow = |_| Err(RateFault::Unread("no answer in 5 s".to_owned()));
            let read = timeout(READ, entry.read(provider)?).await;
            Some((token, entry, read.unwrap_or_else(slow)))
        });
        // All at once: a slow source delays no other one.
        let read = join_all(reading).await;
        for (token, asked, read) in read.into_iter().flatten() {
            if let Some(entry) = self.entries().get_mut(&token) {
                entry.take_of(&asked, read, unix_now());
            }
        }
    }

    fn of_at(&self, token: Address, now: u64) -> Result<NativeRate, RateFault> {
        if token.is_zero() {
            return Ok(NativeRate::NATIVE);
        }
        let entries = self.entries();
        entries.get(&token).ok_or(RateFault::Unset)?.at(now)
    }

    /// No code panics under the lock.
    fn entries(&self) -> MutexGuard<'_, BTreeMap<Address, Entry>> {
        let entries = self.shared.entries.lock();
        entries.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Reads a file or a feed. `None` for a fixed rate.
    fn read<'a>(
        &'a self,
        provider: &'a DynProvider,
    ) -> Option<BoxFuture<'a, Result<Reading, RateFault>>> {
        match &self.source {
            RateSource::Fixed(_) => None,
            RateSource::File(path) => Some(source::read(path, self.decimals).boxed()),
            RateSource::Feed(feed) => Some(feed::read(provider, *feed, self.decimals).boxed()),
        }
    }

    /// Takes a reading of the source that was asked, unless the source has been replaced meanwhile.
    fn take_of(&mut self, asked: &Self, read: Result<Reading, RateFault>, now: u64) {
        let of = |entry: &Self| (entry.source.clone(), entry.decimals, entry.bounds);
        if of(self) == of(asked) {
            self.take(read, now);
        }
    }

    /// Takes a new reading if it is plausible.
    fn take(&mut self, read: Result<Reading, RateFault>, now: u64) {
        let accepted = read.and_then(|new| accept(self.last, new, self.bounds, now));
        self.fault = match accepted {
            Ok(reading) => {
                self.last = Some(reading);
                None
            }
            Err(fault) => Some(fault),
        };
    }

    fn at(&self, now: u64) -> Result<NativeRate, RateFault> {
        // A reading that contradicts the last one leaves it open which of them is wrong.
        if let Some(fault) = self.fault.as_ref().filter(|fault| fault.is_doubt()) {
            return Err(fault.clone());
        }
        let fault = || self.fault.clone();
        let unread = || RateFault::Unread("it was not read yet".to_owned());
        let last = self.last.ok_or_else(|| fault().unwrap_or_else(unread))?;
        match last.age(now) {
            Some(age) if age > self.bounds.max_age => {
                let max_age = self.bounds.max_age;
                Err(fault().unwrap_or(RateFault::Old { age, max_age }))
            }
            _ => Ok(last.rate),
        }
    }
}

/// Fixed rates.
impl From<NativeRates> for TokenRates {
    fn from(rates: NativeRates) -> Self {
        let entries = rates.iter().map(|(token, rate)| {
            let entry = Entry {
                source: RateSource::Fixed(String::new()),
                decimals: 0,
                bounds: RateBounds::default(),
                last: Some(Reading { rate, at: None }),
                fault: None,
            };
            (token, entry)
        });
        let new = Self::default();
        new.entries().extend(entries);
        new
    }
}
