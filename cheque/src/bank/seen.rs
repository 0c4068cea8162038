//! The record of the blocks that a follower of a chain has processed.

use crate::{
    protocol::terms::Bank,
    store::codec::{RecordError, decode, encode},
};
use alloy_primitives::B256;
use alloy_rlp::{RlpDecodable, RlpEncodable};

/// Number of newest blocks that are all kept, so that the depth of a usual reorganisation is exact.
const EXACT: u64 = 32;

/// A block that a follower has processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct SeenBlock {
    /// The number.
    pub number: u64,
    /// The time, in seconds since 1970.
    pub time: u64,
    /// The hash.
    pub hash: B256,
}

/// The blocks that a follower has processed: the newest and some before, ever fewer with distance. Kept in
/// [`Table::Marks`](crate::store::Table::Marks), so a copy of the store elsewhere starts without a record.
#[derive(Clone, Debug, Default, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct SeenRecord {
    /// The blocks, newest first, each with a lower number than the one before it.
    pub blocks: Vec<SeenBlock>,
    /// The newest block that counted as final. At most one.
    pub last_final: Vec<SeenBlock>,
}

/// Returns the store's key of the follower `name` of a bank's chain.
pub fn seen_key(bank: &Bank, name: &str) -> Vec<u8> {
    let mut key = b"seen ".to_vec();
    key.extend_from_slice(&crate::store::keys::bank_key(bank));
    key.extend_from_slice(name.as_bytes());
    key
}

impl SeenRecord {
    /// Adds `block`, and removes all blocks with the same number or higher.
    ///
    /// Keeps all of the newest 32 blocks, and two for each power of two of the distance before. So the record stays short,
    /// and a fork is found at twice its depth at most.
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
        let mut blocks = vec![block];
        for (index, old) in self.blocks.iter().enumerate() {
            let next = self.blocks.get(index + 1).map(class);
            let before = index.checked_sub(1).and_then(|i| self.blocks.get(i));
            let own = Some(class(old));
            if before.map(class) != own || next != own {
                blocks.push(*old);
            }
        }
        self.blocks = blocks;
    }

    /// Encodes the record for the store.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// Decodes a stored record.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the bytes are not a record of this version.
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
    fn bounds_record_and_distance_of_kept_blocks() {
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
    fn replaces_blocks_of_old_fork() {
        let mut record = seen(1..=10);
        record.push(block(8));
        let numbers: Vec<_> = record.blocks.iter().map(|block| block.number).collect();
        assert_eq!(numbers[..2], [8, 7]);
        assert_eq!(SeenRecord::from_bytes(&record.to_bytes()), Ok(record));
    }
}
