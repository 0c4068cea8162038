//! What a request costs of the capacity, in cost units: whole numbers that the operator defines.

use crate::offers::jsonrpc::Calls;
use std::collections::BTreeMap;

/// The cost table of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CostTable {
    /// Of a request, or of a call without a cost of its own.
    pub(super) call: u64,
    pub(super) per_kib: u64,
    pub(super) per_ms: u64,
    /// The most that the variable part of a request, or of each call, costs.
    pub(super) max: u64,
    /// Of calls by their method of JSON-RPC.
    pub(super) rpc: BTreeMap<String, u64>,
}

/// A request costs one unit unless the file says otherwise.
impl Default for CostTable {
    fn default() -> Self {
        Self {
            call: 1,
            per_kib: 0,
            per_ms: 0,
            max: 0,
            rpc: BTreeMap::new(),
        }
    }
}

/// The cost of a request in units of the capacity: known before, up to a maximum. Plain data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    fixed: u64,
    per_kib: u64,
    per_ms: u64,
    max: u64,
}

impl Work {
    /// The cost of a request without a route.
    pub(crate) const ONE: Self = Self {
        fixed: 1,
        ..Self::NONE
    };

    /// The cost of what is not forwarded.
    pub(crate) const NONE: Self = Self {
        fixed: 0,
        per_kib: 0,
        per_ms: 0,
        max: 0,
    };
}

impl CostTable {
    /// Computes the cost of a request: the sum over its calls, if they are known. A sum out of range is 2^64 - 1, which is
    /// above all capacities.
    pub(super) fn work(&self, calls: Option<&Calls>) -> Work {
        let one = (self.call, self.max);
        let (fixed, max) = calls.map_or(one, |calls| {
            calls.methods().fold((0u64, 0u64), |(fixed, max), method| {
                let cost = self.rpc.get(method).copied().unwrap_or(self.call);
                (fixed.saturating_add(cost), max.saturating_add(self.max))
            })
        });
        Work {
            fixed,
            per_kib: self.per_kib,
            per_ms: self.per_ms,
            max,
        }
    }

    /// Returns the most that one call costs.
    pub(super) fn most(&self) -> u64 {
        let call = self.rpc.values().copied().fold(self.call, u64::max);
        call.saturating_add(self.max)
    }
}

impl Work {
    /// Returns the announced maximum.
    pub const fn most(&self) -> u64 {
        self.fixed.saturating_add(self.max)
    }

    /// Computes the real cost of an answer of so many bytes that took so long, at most the announced maximum. Each product
    /// is rounded up.
    pub fn used(&self, bytes: u64, milliseconds: u64) -> u64 {
        let size = (u128::from(self.per_kib) * u128::from(bytes)).div_ceil(1024);
        let time = u128::from(self.per_ms) * u128::from(milliseconds);
        let variable = u64::try_from(size + time).unwrap_or(u64::MAX);
        self.fixed.saturating_add(variable.min(self.max))
    }
}
