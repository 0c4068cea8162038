//! A tree of sums.

/// Children of each parent.
const BRANCHES: usize = 8;

/// A row of numbers with sums that find a position by its distance from the start of the row. The caller ensures that
/// the sum of all numbers fits into 64 bits.
#[derive(Clone, Debug, Default)]
pub(super) struct SumTree {
    /// Level 0 holds the numbers. Entry i of a higher level is the sum of entries 8 · i to 8 · i + 7 of the level
    /// below. The last level has one entry. Without numbers there is no level.
    levels: Vec<Vec<u64>>,
}

impl SumTree {
    /// Returns the sum of all numbers.
    pub(super) fn total(&self) -> u64 {
        self.levels.last().map_or(0, |top| top[0])
    }

    /// Returns the number at `position`, which must exist.
    pub(super) fn leaf(&self, position: usize) -> u64 {
        self.levels[0][position]
    }

    /// Changes the number at `position`, which must exist.
    pub(super) fn set(&mut self, position: usize, value: u64) {
        let old = self.leaf(position);
        let mut index = position;
        for level in &mut self.levels {
            // In this order, because the sum of the two may exceed 64 bits.
            level[index] = level[index] - old + value;
            index /= BRANCHES;
        }
    }

    /// Adds a number at the end.
    pub(super) fn push(&mut self, value: u64) {
        let total = self.total();
        let mut index = self.levels.first().map_or(0, Vec::len);
        for level in &mut self.levels {
            match level.get_mut(index) {
                Some(sum) => *sum += value,
                None => level.push(value),
            }
            index /= BRANCHES;
        }
        if self.levels.last().is_none_or(|top| top.len() > 1) {
            self.levels.push(vec![total + value]);
        }
    }

    /// Removes the last number, which must exist, and returns it.
    pub(super) fn pop(&mut self) -> u64 {
        let last = self.levels[0].len() - 1;
        let value = self.leaf(last);
        self.set(last, 0);
        let mut length = last;
        for level in &mut self.levels {
            level.truncate(length);
            length = length.div_ceil(BRANCHES);
        }
        // One level with one entry is enough; no number needs no level.
        let needed = self
            .levels
            .iter()
            .take_while(|level| level.len() > 1)
            .count();
        self.levels.truncate(needed + usize::from(last > 0));
        value
    }

    /// Returns the position of the number that covers `distance`, which must be below the total: earlier numbers add
    /// up to at most `distance`, and together with the number at the position to more.
    pub(super) fn find(&self, mut distance: u64) -> usize {
        let mut index = 0;
        for level in self.levels.iter().rev().skip(1) {
            index *= BRANCHES;
            while distance >= level[index] {
                distance -= level[index];
                index += 1;
            }
        }
        index
    }
}
