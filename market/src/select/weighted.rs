//! Items with weights, in memory.

use super::{random, tree::SumTree};
use std::{collections::HashMap, hash::Hash, num::NonZeroU64};

/// A set of items with weights for a random choice; see the [module](super).
#[derive(Clone, Debug)]
pub struct WeightedRandomSelect<T> {
    /// Item of each leaf of `weights`.
    items: Vec<T>,
    positions: HashMap<T, usize>,
    /// Never zero.
    weights: SumTree,
}

impl<T> Default for WeightedRandomSelect<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            positions: HashMap::new(),
            weights: SumTree::default(),
        }
    }
}

impl<T: Copy + Eq + Hash> WeightedRandomSelect<T> {
    /// Returns an empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the weight of `item`; adds a new item, and removes the item if `weight` is 0. A growing weight must be
    /// announced by this call; for a falling weight the call is optional.
    ///
    /// # Errors
    ///
    /// [`UpdateWeightError`] if the sum of all weights would exceed 2^64 - 1. The item then keeps its old weight.
    pub fn update(&mut self, item: T, weight: u64) -> Result<(), UpdateWeightError> {
        self.check(&item, weight)?;
        match (self.positions.get(&item).copied(), weight) {
            (None, 0) => {}
            (Some(position), 0) => self.remove_at(position),
            (Some(position), weight) => self.weights.set(position, weight),
            (None, weight) => {
                self.positions.insert(item, self.items.len());
                self.items.push(item);
                self.weights.push(weight);
            }
        }
        Ok(())
    }

    /// Returns the remembered weight of `item`, or 0 if absent.
    pub fn weight(&self, item: &T) -> u64 {
        let position = self.positions.get(item);
        position.map_or(0, |position| self.weights.leaf(*position))
    }

    /// Checks that the weight fits together with all others.
    pub(super) fn check(&self, item: &T, weight: u64) -> Result<(), UpdateWeightError> {
        let others = self.weights.total() - self.weight(item);
        match others.checked_add(weight) {
            Some(_) => Ok(()),
            None => Err(UpdateWeightError::Total { weight, others }),
        }
    }

    /// Removes `item`; returns true if present.
    pub fn remove(&mut self, item: &T) -> bool {
        let position = self.positions.get(item).copied();
        if let Some(position) = position {
            self.remove_at(position);
        }
        position.is_some()
    }

    /// True if no item has a remembered weight. Present weights may have fallen to 0 unannounced.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Returns the number of items, including those whose weight has fallen to 0 unannounced.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Chooses an item with a chance of its weight over the sum of all weights. `None` if all weights are 0.
    ///
    /// `weight_of` returns the present weight of an item, which is then remembered; an item of weight 0 is removed.
    /// An item whose weight has grown is chosen by its earlier weight, and keeps the earlier weight if the sum of all
    /// would exceed 2^64 - 1. `random` returns 64 uniform and independent bits: the choice is as fair as they are. A
    /// source that repeats one word forever may keep this function from returning.
    pub fn choose(
        &mut self,
        weight_of: impl Fn(&T) -> u64,
        random: impl FnMut() -> u64,
    ) -> Option<T> {
        self.choose_and_report(weight_of, random, |_| ())
    }

    /// Calls `changed` with every item whose remembered weight changes.
    pub(super) fn choose_and_report(
        &mut self,
        weight_of: impl Fn(&T) -> u64,
        mut random: impl FnMut() -> u64,
        mut changed: impl FnMut(T),
    ) -> Option<T> {
        loop {
            let total = NonZeroU64::new(self.weights.total())?;
            let position = self.weights.find(random::below(total, &mut random));
            let item = self.items[position];
            let remembered = self.weights.leaf(position);
            let present = weight_of(&item);
            if present == remembered {
                return Some(item);
            }
            // On an error the item keeps the weight by which it was drawn.
            let updated = self.update(item, present).map(|()| changed(item));
            if updated.is_err() || random::chance(present, remembered, &mut random) {
                return Some(item);
            }
        }
    }

    /// Moves the last item to the freed position.
    fn remove_at(&mut self, position: usize) {
        let removed = self.items.swap_remove(position);
        self.positions.remove(&removed);
        let last = self.weights.pop();
        if let Some(moved) = self.items.get(position) {
            self.positions.insert(*moved, position);
            self.weights.set(position, last);
        }
    }
}

/// An error of setting a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateWeightError {
    /// The sum of all weights would exceed 64 bits.
    #[error(
        "the weight {weight} and {others} of all others exceed 2^64 - 1; scale all weights down"
    )]
    Total {
        /// Requested weight.
        weight: u64,
        /// Sum of the weights of all other items.
        others: u64,
    },
}

#[cfg(test)]
mod tests;
