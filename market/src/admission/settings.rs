//! Settings, and reasons of refusals.

use std::num::NonZeroU64;

pub(super) const SECOND: u64 = 1_000_000_000;

/// A rate, and how far a client may be ahead of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    /// Cost units per second.
    pub rate: NonZeroU64,
    /// Maximum of units at once; a request of a larger cost is never served.
    pub burst: u64,
}

/// What a paid request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Most cost units that it uses.
    pub cost: u64,
    /// Bytes of memory that it holds while it waits.
    pub bytes: u64,
    /// Money that is reserved for it.
    pub price: u128,
}

/// Bounds of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueSettings {
    /// Maximum number of waiting requests.
    pub max_requests: usize,
    /// Maximum sum of their bytes.
    pub max_bytes: u64,
    /// Maximum number of waiting requests of one account.
    pub max_account_requests: usize,
    /// Maximum sum of their bytes.
    pub max_account_bytes: u64,
    /// Maximum time in the queue, in nanoseconds.
    pub max_wait_ns: u64,
}

/// Two thousand requests and 64 MiB, an eighth of that for one account, for two seconds.
impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            max_requests: 2_048,
            max_bytes: 64 << 20,
            max_account_requests: 256,
            max_account_bytes: 8 << 20,
            max_wait_ns: 2 * SECOND,
        }
    }
}

/// Terms of clients that do not pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreeSettings {
    /// Percent of the capacity that all of them have in any case: at least 1.
    pub min_percent: u8,
    /// Percent of the capacity that all of them have while no paid request waits: at most 10.
    pub max_percent: u8,
    /// Rate and burst of one network prefix.
    pub prefix: Tier,
    /// Maximum number of known prefixes, at most 65,536.
    pub max_prefixes: usize,
}

/// Settings of an [`Admission`](super::Admission).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdmissionSettings {
    /// Capacity, and the units that may be served at once after idle time.
    pub capacity: Tier,
    /// Bounds of the queue.
    pub queue: QueueSettings,
    /// Terms of clients that do not pay.
    pub free: FreeSettings,
}

/// Settings that contradict each other or their bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The share of free clients is out of its bounds.
    #[error("free clients have {min} % to {max} % of the capacity; use 1 to 10, the smaller first")]
    FreeShare {
        /// Lower bound in percent.
        min: u8,
        /// Upper bound in percent.
        max: u8,
    },
    /// A hundredth of the capacity is less than one cost unit per second.
    #[error("a capacity of {0} cost units per second cannot be divided; use 100 or more")]
    Capacity(u64),
    /// There are too many records of prefixes, or none.
    #[error("{0} records of network prefixes are out of bounds; use 1 to 65,536")]
    Prefixes(usize),
}

impl AdmissionSettings {
    /// Checks the bounds.
    ///
    /// # Errors
    ///
    /// [`SettingsError`].
    pub fn check(&self) -> Result<(), SettingsError> {
        let FreeSettings {
            min_percent: min,
            max_percent: max,
            max_prefixes,
            ..
        } = self.free;
        if min < 1 || min > max || max > 10 {
            return Err(SettingsError::FreeShare { min, max });
        }
        if self.capacity.rate.get() < 100 {
            return Err(SettingsError::Capacity(self.capacity.rate.get()));
        }
        match (1..=65_536).contains(&max_prefixes) {
            true => Ok(()),
            false => Err(SettingsError::Prefixes(max_prefixes)),
        }
    }

    /// Returns a share of the capacity for free clients, rounded down; a burst of one prefix fits in.
    pub(super) fn free_share(&self, percent: u8) -> Tier {
        let share = self.share(percent);
        Tier {
            burst: share.burst.max(self.free.prefix.burst),
            ..share
        }
    }

    /// Returns the capacity without what free clients have in any case.
    pub fn paid_share(&self) -> Tier {
        self.share(100 - self.free.min_percent)
    }

    fn share(&self, percent: u8) -> Tier {
        let part = |whole: u64| {
            let part = u128::from(whole) * u128::from(percent) / 100;
            u64::try_from(part).unwrap_or(u64::MAX)
        };
        Tier {
            rate: NonZeroU64::new(part(self.capacity.rate.get())).unwrap_or(NonZeroU64::MIN),
            burst: part(self.capacity.burst),
        }
    }
}

/// A reason for not serving a request. Nothing was taken from any bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The cost exceeds a burst, so that the request would wait for ever.
    #[error("the request costs {cost} units and at most {max} are served at once; ask for less")]
    TooLarge {
        /// Cost of the request.
        cost: u64,
        /// Largest cost.
        max: u64,
    },
    /// The account, or the network prefix, has used up its rate.
    #[error("the rate is used up; retry in {} s", seconds(*retry_ns))]
    Rate {
        /// Nanoseconds until the bucket has enough.
        retry_ns: u64,
    },
    /// The queue is full.
    #[error("too many requests are waiting; retry in {} s", seconds(*retry_ns))]
    QueueFull {
        /// Nanoseconds until the capacity may have served enough of them.
        retry_ns: u64,
    },
    /// The account has too many waiting requests.
    #[error("too many requests of the account are waiting; retry in {} s", seconds(*retry_ns))]
    AccountQueueFull {
        /// Nanoseconds until the capacity may have served enough of them.
        retry_ns: u64,
    },
    /// The request has waited for the maximum time.
    #[error("the provider is busy; retry in {} s", seconds(*retry_ns))]
    Waited {
        /// Nanoseconds until a try is worthwhile.
        retry_ns: u64,
    },
    /// Free clients have used up their share.
    #[error("the share of free clients is used up; retry in {} s, or pay", seconds(*retry_ns))]
    FreeShare {
        /// Nanoseconds until the share has enough.
        retry_ns: u64,
    },
}

impl Refusal {
    /// Returns whole seconds for `Retry-After`, rounded up and at least 1; `None` if no retry helps.
    pub const fn retry_seconds(&self) -> Option<u64> {
        match self {
            Self::TooLarge { .. } => None,
            Self::Rate { retry_ns }
            | Self::QueueFull { retry_ns }
            | Self::AccountQueueFull { retry_ns }
            | Self::Waited { retry_ns }
            | Self::FreeShare { retry_ns } => Some(seconds(*retry_ns)),
        }
    }
}

const fn seconds(ns: u64) -> u64 {
    match ns.div_ceil(SECOND) {
        0 => 1,
        seconds => seconds,
    }
}
