//! Stored record of a sender of cheques: one version byte, then one RLP list.

use crate::compose::{composer::Composer, record::LoadComposerError};
use alloy_primitives::{Address, B256};
use alloy_rlp::{Bytes, RlpDecodable, RlpEncodable};
use cheque::DepositId;

const VERSION: u8 = 1;

/// A composed deposit that is neither open nor failed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opening {
    /// Number of the composition.
    pub(super) round: u64,
    pub(super) deposit: DepositId,
    /// Cost of opening, in token units: the expected cost, and later the paid cost.
    pub(super) fee: u128,
}

/// State that is stored in one record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SenderRecord {
    pub(super) composer: Composer<Address>,
    pub(super) opening: Option<Opening>,
}

#[derive(RlpEncodable, RlpDecodable)]
struct Record {
    composer: Bytes,
    /// At most one opening.
    openings: Vec<OpeningRecord>,
}

#[derive(RlpEncodable, RlpDecodable)]
struct OpeningRecord {
    round: u64,
    deposit: B256,
    fee: u128,
}

impl SenderRecord {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let openings = self.opening.iter().map(|opening| OpeningRecord {
            round: opening.round,
            deposit: opening.deposit.0,
            fee: opening.fee,
        });
        let record = Record {
            composer: self.composer.to_bytes().into(),
            openings: openings.collect(),
        };
        let mut bytes = vec![VERSION];
        bytes.append(&mut alloy_rlp::encode(&record));
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, LoadComposerError> {
        let length = bytes.len();
        let damaged = LoadComposerError::Damaged { length };
        let (&found, rest) = bytes.split_first().ok_or(damaged)?;
        if found != VERSION {
            return Err(LoadComposerError::Version { found });
        }
        let record = alloy_rlp::decode_exact::<Record>(rest).map_err(|_| damaged)?;
        if record.openings.len() > 1 {
            return Err(damaged);
        }
        let opening = record.openings.into_iter().next().map(|opening| Opening {
            round: opening.round,
            deposit: DepositId(opening.deposit),
            fee: opening.fee,
        });
        Ok(Self {
            composer: Composer::from_bytes(&record.composer)?,
            opening,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restores_record_and_rejects_damaged_bytes() {
        let opening = Some(Opening {
            round: 3,
            deposit: DepositId(B256::repeat_byte(7)),
            fee: u128::MAX,
        });
        for opening in [None, opening] {
            let composer = Composer::new();
            let kept = SenderRecord { composer, opening };
            let bytes = kept.to_bytes();
            assert_eq!(SenderRecord::from_bytes(&bytes), Ok(kept));
            for length in 0..bytes.len() {
                let cut = SenderRecord::from_bytes(&bytes[..length]);
                assert_eq!(cut, Err(LoadComposerError::Damaged { length }));
            }
            let newer = [&[2], &bytes[1..]].concat();
            let found = SenderRecord::from_bytes(&newer);
            assert_eq!(found, Err(LoadComposerError::Version { found: 2 }));
        }
    }
}
