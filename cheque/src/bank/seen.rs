//! Which blocks a follower of a chain has dealt with.

use crate::{
    protocol::terms::Bank,
    store::codec::{RecordError, decode, encode},
};
use alloy_primitives::B256;
use alloy_rlp::{RlpDecodable, RlpEncodable};

/// Of the newest blocks, all are kept: more than any chain's confirmations.
const EXACT: u64 = 32;

/// A block that a follower has dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct SeenBlock {
    /// Its number.
    pub number: u64,
    /// Its time, seconds since 1970.
    pub time: u64,
    /// Its hash.
    pub hash: B256,
}

/// What a follower has dealt with: the newest block and some before it, the fewer the further back. Kept in
/// [`Table::Marks`](crate::store::Table::Marks): a copy of the store elsewhere begins anew.
#[derive(Clone, Debug, Default, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct SeenRecord {
    /// The blocks, newest first, each with a lower number than the one before it.
    pub blocks: Vec<SeenBlock>,
}

/// The key of the follower `name` of a bank's chain.
pub fn seen_key(bank: &Bank, name: &str) -> Vec<u8> {
    let mut key = b"seen ".to_vec();
    key.extend_from_slice(&crate::store::keys::bank_key(bank));
    key.extend_from_slice(name.as_bytes());
    key
}

impl SeenRecord {
    /// Adds a newer block in place of all that are not below it. All of the newest 32 are kept, and before those two of
    /// each power of two of distances: the record stays short, and a fork is found at twice its depth at the most.
    pub fn push(&mut self, block: SeenBlock) {
        let class = |old: &SeenBlock| {
            let distance = block.number - old.number;
            let rough = distance.checked_ilog2().map_or(0, u64::from);
            if distance < EXACT {
                distance
            } else {
                EXACT + rough
            }
        };
        self.blocks.retain(|old| old.number < block.number);
        let mut kept = vec![block];
        for (index, old) in self.blocks.iter().enumerate() {
            let next = self.blocks.get(index + 1).map(class);
            let before = index.checked_sub(1).and_then(|i| self.blocks.get(i));
            let own = Some(class(old));
            if before.map(class) != own || next != own {
                kept.push(*old);
            }
        }
        self.blocks = kept;
    }

    /// The value to store.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a stored value.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        decode(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(number: u64) -> SeenBlock {
        SeenBlock {
            number,
            time: number * 12,
            hash: B256::left_padding_from(&number.to_be_bytes()),
        }
    }

    fn seen(numbers: impl IntoIterator<Item = u64>) -> SeenRecord {
        let mut record = SeenRecord::default();
        for number in numbers {
            record.push(block(number));
        }
        record
    }

    #[test]
    fn a_long_past_takes_little_room_and_every_depth_has_a_block_at_most_twice_as_deep() {
        for step in [1, 3, 7] {
            let head = 100_000;
            let record = seen((1..=head).step_by(step));
            assert!(record.blocks.len() < 64, "{}", record.blocks.len());
            assert!(record.blocks.is_sorted_by(|a, b| a.number > b.number));
            let newest = record.blocks[0].number;
            for depth in 1..newest / 2 {
                let first = record.blocks.iter().find(|b| b.number + depth <= newest);
                let found = newest - first.unwrap().number;
                assert!(depth >= EXACT || found < depth + step as u64, "{found}");
                assert!(found <= 2 * depth + step as u64, "{found} for {depth}");
            }
        }
    }

    #[test]
    fn blocks_of_a_new_fork_replace_those_of_the_old_one() {
        let mut record = seen(1..=10);
        record.push(block(8));
        let numbers: Vec<_> = record.blocks.iter().map(|block| block.number).collect();
        assert_eq!(numbers[..2], [8, 7]);
        assert_eq!(SeenRecord::from_bytes(&record.to_bytes()), Ok(record));
    }
}
