//! Data types of a composer.

use super::meter::Meter;
use std::collections::{BTreeMap, BTreeSet};

/// A composition whose deposit is not open yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan<Id> {
    pub(super) since_s: u64,
    pub(super) members: BTreeMap<Id, Member>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// Future credit at the time of the composition.
    pub(super) future: u128,
    /// Part of the credit that is carried over.
    pub(super) carried: u128,
    pub(super) amount: u128,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OpenDeposit<Id> {
    pub(super) id: [u8; 32],
    pub(super) end_s: u64,
    pub(super) meter: Meter,
    pub(super) allowances: BTreeMap<Id, Allowance>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allowance {
    pub(super) total: u128,
    pub(super) spent: u128,
    /// True if no more payments are possible from the allowance.
    pub(super) unusable: bool,
}

impl Allowance {
    pub(super) const fn remain(&self) -> u128 {
        if self.unusable {
            return 0;
        }
        self.total.saturating_sub(self.spent)
    }
}

/// A deposit to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composition<Id> {
    /// Number of the composition, for [`Composer::opened`](super::Composer::opened) or
    /// [`Composer::failed`](super::Composer::failed).
    pub round: u64,
    /// Allowances in token units, none of them 0. Their sum is exactly the requested size.
    pub allowances: BTreeMap<Id, u128>,
}

/// Changes that a new deposit brings for providers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes<Id> {
    /// Allowances of the new deposit, in token units.
    pub granted: BTreeMap<Id, u128>,
    /// Providers with an allowance in the deposit before and none in the new deposit.
    pub dropped: BTreeSet<Id>,
}

/// Reason for composing the next deposit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Due {
    /// There is no deposit yet.
    First,
    /// The whole fee of the newest deposit is charged.
    Charged,
    /// The newest deposit soon stops taking payments.
    NearEnd {
        /// Seconds until that.
        left_s: u64,
    },
}

/// Credit with a provider, in token units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credit {
    /// Rest of its allowances in older deposits.
    pub old_remain: u128,
    /// Its allowance in the newest deposit.
    pub new_total: u128,
    /// Rest of that allowance.
    pub new_remain: u128,
    /// Future credit, which counts for the next deposit.
    pub future: u128,
}
