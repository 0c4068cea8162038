//! Sets of named flags.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The bit of the flag that is set exactly while the machine does not run.
pub(super) const OFFLINE: u64 = 1;

/// The names of a set-up's flags, by bit. Two set-ups never share one, which tells their flags apart.
///
/// Behind a lock, because flags are handed out while the set-up is still growing.
#[derive(Debug)]
pub(super) struct Names(Mutex<Vec<&'static str>>);

impl Names {
    pub(super) fn new(names: Vec<&'static str>) -> Self {
        Self(Mutex::new(names))
    }

    /// Pushing a name cannot panic half way, so a poisoned lock guards a whole list.
    pub(super) fn list(&self) -> MutexGuard<'_, Vec<&'static str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A set of flags of one set-up.
///
/// The empty set belongs to every set-up. Predicates take flags of another set-up as flags that are never there;
/// combining such flags is an error.
#[derive(Clone)]
pub struct Flags {
    bits: u64,
    /// `None` only in the empty set.
    names: Option<Arc<Names>>,
}

/// Flags of two set-ups cannot be in one set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these flags belong to two different set-ups: combine flags that come from one")]
pub struct ForeignFlags;

impl Flags {
    /// No flags.
    pub const fn none() -> Self {
        Self {
            bits: 0,
            names: None,
        }
    }

    /// The flags that are in both sets.
    pub fn and(&self, other: &Self) -> Result<Self, ForeignFlags> {
        self.combined(other, self.bits & other.bits)
    }

    /// The flags that are in this set and not in the other.
    pub fn and_not(&self, other: &Self) -> Result<Self, ForeignFlags> {
        self.combined(other, self.bits & !other.bits)
    }

    /// The flags that are in either set.
    pub fn or(&self, other: &Self) -> Result<Self, ForeignFlags> {
        self.combined(other, self.bits | other.bits)
    }

    /// The flags that are in one set only.
    pub fn xor(&self, other: &Self) -> Result<Self, ForeignFlags> {
        self.combined(other, self.bits ^ other.bits)
    }

    /// The flags that are in any of the sets.
    pub fn merge<'a>(sets: impl IntoIterator<Item = &'a Self>) -> Result<Self, ForeignFlags> {
        sets.into_iter()
            .try_fold(Self::none(), |merged, flags| merged.or(flags))
    }

    /// Whether every flag of `other` is in this set.
    pub fn has_all(&self, other: &Self) -> bool {
        other.bits == 0 || self.same_setup(other) && self.bits & other.bits == other.bits
    }

    /// Whether no flag of `other` is in this set.
    pub fn has_none(&self, other: &Self) -> bool {
        !self.same_setup(other) || self.bits & other.bits == 0
    }

    /// Whether the sets have the same flags; `==` says the same.
    pub fn equals(&self, other: &Self) -> bool {
        self.bits == other.bits && (self.bits == 0 || self.same_setup(other))
    }

    /// Whether there is no flag in the set.
    pub const fn is_empty(&self) -> bool {
        self.bits == 0
    }

    pub(super) fn new(bits: u64, names: &Arc<Names>) -> Self {
        Self {
            bits,
            names: (bits != 0).then(|| Arc::clone(names)),
        }
    }

    /// The bits, if the flags are of the set-up with these names.
    pub(super) fn bits_in(&self, names: &Arc<Names>) -> Option<u64> {
        let own = self
            .names
            .as_ref()
            .is_none_or(|found| Arc::ptr_eq(found, names));
        own.then_some(self.bits)
    }

    fn same_setup(&self, other: &Self) -> bool {
        match (&self.names, &other.names) {
            (Some(one), Some(two)) => Arc::ptr_eq(one, two),
            _ => true,
        }
    }

    fn combined(&self, other: &Self, bits: u64) -> Result<Self, ForeignFlags> {
        if !self.same_setup(other) {
            return Err(ForeignFlags);
        }
        let names = self.names.as_ref().or(other.names.as_ref());
        Ok(names.map_or_else(Self::none, |names| Self::new(bits, names)))
    }
}

impl PartialEq for Flags {
    fn eq(&self, other: &Self) -> bool {
        self.equals(other)
    }
}

impl Eq for Flags {}

/// Shows the names: `[a, b]`.
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set: Vec<&str> = self.names.as_ref().map_or_else(Vec::new, |names| {
            let named = names.list();
            let set = named.iter().enumerate();
            set.filter(|(bit, _)| self.bits >> bit & 1 == 1)
                .map(|(_, name)| *name)
                .collect()
        });
        write!(f, "[{}]", set.join(", "))
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flags{self}")
    }
}
