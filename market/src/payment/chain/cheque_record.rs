//! What a sender of cheques keeps: one version byte, then one RLP list.

use crate::compose::{Composer, LoadComposerError};
use alloy_primitives::{Address, B256};
use alloy_rlp::{Bytes, RlpDecodable, RlpEncodable};
use cheque::DepositId;

const VERSION: u8 = 1;

/// A deposit that was composed, and is not known to be open or lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opening {
    /// Of the composition.
    pub(super) round: u64,
    pub(super) deposit: DepositId,
    /// What opening it costs, in token units: expected, and what was paid once that is known.
    pub(super) fee: u128,
}

/// What is stored, in one record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) composer: Composer<Address>,
    pub(super) opening: Option<Opening>,
}

#[derive(RlpEncodable, RlpDecodable)]
struct Record {
    composer: Bytes,
    /// None or one.
    openings: Vec<OpeningRecord>,
}

#[derive(RlpEncodable, RlpDecodable)]
struct OpeningRecord {
    round: u64,
    deposit: B256,
    fee: u128,
}

impl Kept {
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
    fn what_is_kept_survives_the_round_trip_and_damage_is_refused() {
        let opening = Some(Opening {
            round: 3,
            deposit: DepositId(B256::repeat_byte(7)),
            fee: u128::MAX,
        });
        for opening in [None, opening] {
            let composer = Composer::new();
            let kept = Kept { composer, opening };
            let bytes = kept.to_bytes();
            assert_eq!(Kept::from_bytes(&bytes), Ok(kept));
            for length in 0..bytes.len() {
                let cut = Kept::from_bytes(&bytes[..length]);
                assert_eq!(cut, Err(LoadComposerError::Damaged { length }));
            }
            let newer = [&[2], &bytes[1..]].concat();
            let found = Kept::from_bytes(&newer);
            assert_eq!(found, Err(LoadComposerError::Version { found: 2 }));
        }
    }
}
