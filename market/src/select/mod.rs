//! Random choice by weight.
//!
//! A [`WeightedRandomSelect`] holds items with weights and chooses an item with a chance of its weight over the
//! total. Adding, changing, removing and choosing take O(log n): weights are the leaves of a tree with one vector per
//! level, in which each parent has the sum of its eight children.
//!
//! A falling weight need not be announced. The structure remembers announced weights and queries the present weight
//! of a drawn item. If the present weight is smaller, the structure accepts the item with a chance of present over
//! remembered weight, and draws again otherwise. So every item has a chance of exactly its present weight over the
//! total of present weights, as long as no weight has grown unannounced.
//!
//! A [`StoredSelect`] also keeps the weights in a store.
//!
//! The behaviour matches the weighted random selection of the LES payment work in go-ethereum.

pub(crate) mod random;
pub(crate) mod stored;
pub(crate) mod tree;
pub(crate) mod weighted;

pub use stored::{LoadWeightsError, StoreWeightError, StoredSelect};
pub use weighted::{UpdateWeightError, WeightedRandomSelect};
