//! Random choice by weight.
//!
//! A [`WeightedRandomSelect`] holds items with weights and chooses one with a chance of its weight over the total. Adding,
//! changing, removing and choosing take O(log n): weights are the leaves of a tree in which every node knows the sum of
//! its eight children, each level in one vector.
//!
//! Weights that fall need not be announced. The structure remembers the weight it was told, and asks for the present
//! one of an item that it draws: where that is smaller, the item is accepted with a chance of present over remembered
//! weight, and else drawn for again. So every item is chosen with a chance of exactly its present weight over the total of
//! present weights, as long as no weight has grown unannounced.
//!
//! A [`StoredSelect`] keeps the weights in a store as well.
//!
//! The behaviour is that of the weighted random selection of the LES payment work in go-ethereum.

mod random;
mod stored;
mod tree;

pub use stored::{LoadWeightsError, StoreWeightError, StoredSelect};

use std::{collections::HashMap, hash::Hash, num::NonZeroU64};
use tree::SumTree;

/// A set of items with weights, of which one can be chosen at random. See the [module](self).
#[derive(Clone, Debug)]
pub struct WeightedRandomSelect<T> {
    /// The item of each leaf of `weights`.
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
    /// Nothing to choose from.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the weight of `item`, which is added if it is new and removed if `weight` is 0. A weight that grows must be
    /// announced by this call; for one that falls it is optional.
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

    /// The weight of `item` as far as is known; 0 if it is not there.
    pub fn weight(&self, item: &T) -> u64 {
        let position = self.positions.get(item);
        position.map_or(0, |position| self.weights.leaf(*position))
    }

    /// Whether the weight fits with those of the others.
    fn check(&self, item: &T, weight: u64) -> Result<(), UpdateWeightError> {
        let others = self.weights.total() - self.weight(item);
        match others.checked_add(weight) {
            Some(_) => Ok(()),
            None => Err(UpdateWeightError::Total { weight, others }),
        }
    }

    /// Removes `item`, and says whether it was there.
    pub fn remove(&mut self, item: &T) -> bool {
        let position = self.positions.get(item).copied();
        if let Some(position) = position {
            self.remove_at(position);
        }
        position.is_some()
    }

    /// Whether there is nothing to choose from, as far as is known: weights may have fallen to 0 unnoticed.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The number of items, those included whose weights have fallen to 0 unnoticed.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Chooses an item with a chance of its weight over the sum of all. `None` if all weights are 0.
    ///
    /// `weight_of` tells the present weight of an item. What it says is remembered, and an item without weight removed. An
    /// item whose weight has grown is chosen by the weight it had; one that would take the sum of all above 2^64 - 1 keeps
    /// its old weight. `random` returns 64 bits, uniform and independent: it decides how fair the choice is, and one that
    /// repeats the same word for ever may keep this from returning.
    pub fn choose(
        &mut self,
        weight_of: impl Fn(&T) -> u64,
        random: impl FnMut() -> u64,
    ) -> Option<T> {
        self.choose_and_tell(weight_of, random, |_| ())
    }

    /// Tells `changed` of every item whose weight is remembered anew.
    fn choose_and_tell(
        &mut self,
        weight_of: impl Fn(&T) -> u64,
        mut random: impl FnMut() -> u64,
        mut changed: impl FnMut(T),
    ) -> Option<T> {
        loop {
            let total = NonZeroU64::new(self.weights.total())?;
            let position = self.weights.find(random::below(total, &mut random));
            let item = self.items[position];
            let known = self.weights.leaf(position);
            let present = weight_of(&item);
            if present == known {
                return Some(item);
            }
            // An error leaves the old weight, by which the item was drawn.
            let updated = self.update(item, present).map(|()| changed(item));
            if updated.is_err() || random::chance(present, known, &mut random) {
                return Some(item);
            }
        }
    }

    /// The last item moves to the place that becomes free.
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

/// Why a weight was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateWeightError {
    /// Choosing needs the sum of all weights in 64 bits.
    #[error(
        "a weight of {weight} and {others} of the others exceed 2^64 - 1: scale all weights down"
    )]
    Total {
        /// The weight asked for.
        weight: u64,
        /// The sum of the weights of all other items.
        others: u64,
    },
}

#[cfg(test)]
mod tests;
