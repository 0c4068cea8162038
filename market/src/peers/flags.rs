//! Sets of named flags.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Bit of the flag that is set exactly while the machine does not run.
pub(super) const OFFLINE: u64 = 1;

/// Names of a setup's flags, by bit. Two setups never share one list, so the list identifies the setup of a flag.
///
/// The list is behind a lock because flags are handed out while the setup still grows.
#[derive(Debug)]
pub(super) struct Names(Mutex<Vec<&'static str>>);

impl Names {
    pub(super) fn new(names: Vec<&'static str>) -> Self {
        Self(Mutex::new(names))
    }

    /// Pushing a name cannot panic half-way, so a poisoned lock guards a whole list.
    pub(super) fn list(&self) -> MutexGuard<'_, Vec<&'static str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A set of flags of one setup.
///
/// The empty set belongs to every setup. Predicates treat flags of another setup as absent; combining flags of two
/// setups is an error.
#[derive(Clone)]
pub struct Flags {
    bits: u64,
    /// `None` only in the empty set.
    names: Option<Arc<Names>>,
}

/// The flags belong to two different setups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the flags belong to two different setups; combine flags of one setup")]
pub struct ForeignFlags;

impl Flags {
    /// Returns the empty set.
    pub const fn none() -> Self {
        Self {
            bits: 0,
            names: None,
        }
    }

    /// Returns the flags in both sets.
    ///
    /// # Errors
    ///
    /// [`ForeignFlags`].
    pub fn and(&self, other: &Self) -> Result<Self, ForeignFlags> {
        self.combined(other, self.bits & other.bits)
    }

    /// Returns the flags in this set and not in the other.
    ///
    /// # Errors
    ///
    /// [`ForeignFlags`].
    pub fn and_not(&self, other: &Self) -> Result<Self, ForeignFlags> {
        self.combined(other, self.bits & !other.bits)
    }

    /// Returns the flags in either set.
    ///
    /// # Errors
    ///
    /// [`ForeignFlags`].
    pub fn or(&self, other: &Self) -> Result<Self, ForeignFlags> {
        self.combined(other, self.bits | other.bits)
    }

    /// Returns the flags in exactly one of the sets.
    ///
    /// # Errors
    ///
    /// [`ForeignFlags`].
    pub fn xor(&self, other: &Self) -> Result<Self, ForeignFlags> {
        self.combined(other, self.bits ^ other.bits)
    }

    /// Returns the flags in any of the sets.
    ///
    /// # Errors
    ///
    /// [`ForeignFlags`].
    pub fn merge<'a>(sets: impl IntoIterator<Item = &'a Self>) -> Result<Self, ForeignFlags> {
        sets.into_iter()
            .try_fold(Self::none(), |merged, flags| merged.or(flags))
    }

    /// True if every flag of `other` is in this set.
    pub fn has_all(&self, other: &Self) -> bool {
        other.bits == 0 || self.same_setup(other) && self.bits & other.bits == other.bits
    }

    /// True if no flag of `other` is in this set.
    pub fn has_none(&self, other: &Self) -> bool {
        !self.same_setup(other) || self.bits & other.bits == 0
    }

    /// True if the sets have the same flags, like `==`.
    pub fn equals(&self, other: &Self) -> bool {
        self.bits == other.bits && (self.bits == 0 || self.same_setup(other))
    }

    /// True if the set has no flags.
    pub const fn is_empty(&self) -> bool {
        self.bits == 0
    }

    pub(super) fn new(bits: u64, names: &Arc<Names>) -> Self {
        Self {
            bits,
            names: (bits != 0).then(|| Arc::clone(names)),
        }
    }

    /// Returns the bits if the flags belong to the setup with these names.
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

/// Formats the names: `[a, b]`.
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
