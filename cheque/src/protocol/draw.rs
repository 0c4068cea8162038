//! The draw: from the seed of a block to the payee who wins.
//!
//! ```text
//! roll = floor((keccak256(seed ‖ depositId) >> 128) * amount / 2^128)
//! full = floor(spent * amount / allowance)
//! full >= minPayout:  payout = full,      range = allowance
//! else:               payout = minPayout, range = floor(spent * amount / minPayout)
//! a cheque wins  <=>  start <= roll < start + range
//! ```

use crate::protocol::{amount::Amount, hash::keccak, terms::DepositId};
use alloy_primitives::{B256, U256};
use alloy_rlp::Header;
use cheque_bindings::Deposit;

/// How many blocks back the EVM knows block hashes (EIP-2935).
pub const HISTORY_WINDOW: u64 = 8191;

/// Chains without randomness put constants or counters into `mixHash`; all of them are at most this, 2^64.
const NO_RANDOMNESS: U256 = U256::from_limbs([0, 1, 0, 0]);

/// The randomness of a draw block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seed(pub B256);

/// Why bytes do not prove the seed of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// Not exactly one canonical RLP header.
    #[error("not a canonical RLP block header")]
    Malformed,
    /// The header of another block.
    #[error("the header hashes to {found}, the block's hash is {expected}")]
    WrongHash {
        /// The header's hash.
        found: B256,
        /// The block's hash.
        expected: B256,
    },
    /// A proof-of-work block, whose `mixHash` is no randomness.
    #[error("the block's difficulty is not zero")]
    HasDifficulty,
    /// A chain without randomness.
    #[error("the block's mixHash {0} is at most 2^64, which is no randomness")]
    NoRandomness(B256),
}

/// The seed of a block, proven by its RLP header: its `mixHash` (PREVRANDAO, EIP-4399).
///
/// Accepts exactly what the contract accepts: one canonical header that hashes to `block_hash`, with difficulty 0 and
/// a `mixHash` above 2^64, whatever its extra data and however many fields later forks append.
pub fn seed_from_header(header: &[u8], block_hash: B256) -> Result<Seed, HeaderError> {
    let seed = mix_hash(header)?;
    let found = keccak([header]);
    if found != block_hash {
        return Err(HeaderError::WrongHash {
            found,
            expected: block_hash,
        });
    }
    Ok(seed)
}

fn mix_hash(header: &[u8]) -> Result<Seed, HeaderError> {
    let mut rest = header;
    let list = Header::decode(&mut rest).map_err(|_| HeaderError::Malformed)?;
    // A header has more than 55 bytes, so what follows the prefix is its whole content.
    if !list.list || list.payload_length != rest.len() {
        return Err(HeaderError::Malformed);
    }
    // parentHash, ommersHash, beneficiary, stateRoot, transactionsRoot, receiptsRoot, logsBloom
    for length in [32, 32, 20, 32, 32, 32, 256] {
        if string(&mut rest)?.len() != length {
            return Err(HeaderError::Malformed);
        }
    }
    if !string(&mut rest)?.is_empty() {
        return Err(HeaderError::HasDifficulty);
    }
    for _ in ["number", "gasLimit", "gasUsed", "timestamp"] {
        let integer = string(&mut rest)?;
        if integer.len() > 32 || integer.first() == Some(&0) {
            return Err(HeaderError::Malformed);
        }
    }
    let _extra_data = string(&mut rest)?;
    let mix = string(&mut rest)?;
    if mix.len() != 32 {
        return Err(HeaderError::Malformed);
    }
    // nonce, baseFeePerGas, ...
    while !rest.is_empty() {
        string(&mut rest)?;
    }
    let mix = B256::from_slice(mix);
    if U256::from_be_bytes(mix.0) <= NO_RANDOMNESS {
        return Err(HeaderError::NoRandomness(mix));
    }
    Ok(Seed(mix))
}

fn string<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], HeaderError> {
    Header::decode_bytes(rest, false).map_err(|_| HeaderError::Malformed)
}

/// The point in `[0, amount)` that the seed selects: each with the same chance, up to 2^-128. Rounds down.
pub fn roll(seed: Seed, deposit: DepositId, amount: Amount) -> Amount {
    let hash = keccak([seed.0.as_slice(), deposit.0.as_slice()]);
    let high = U256::from_be_bytes(hash.0) >> 128;
    // Both factors are below 2^128, and the quotient is below `amount`.
    let point: U256 = (high * amount.to_u256()) >> 128;
    Amount::new(point.to())
}

/// The payout of a winning cheque and the width of its winning range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payout {
    /// What a win pays, in token units. At most the deposit's amount.
    pub amount: Amount,
    /// The width of the winning range; the chance is `range / amount`. At most the allowance.
    pub range: Amount,
}

/// Computes the payout of a cheque over `spent` of `allowance`, or `None` where nothing or more than the allowance was spent, the
/// allowance exceeds the deposit, or its smallest payout does.
///
/// Chance times payout is `spent`, up to rounding of less than one unit of each, in the payer's favour. More spent never
/// means a smaller payout or range.
pub fn payout(spent: Amount, allowance: Amount, deposit: &Deposit) -> Option<Payout> {
    let amount = Amount::new(deposit.amount);
    let min_payout = Amount::new(deposit.minPayout);
    if spent.is_zero() || spent > allowance || allowance > amount || min_payout > amount {
        return None;
    }
    let full = spent.mul_div_floor(amount, allowance)?;
    Some(if full >= min_payout {
        Payout {
            amount: full,
            range: allowance,
        }
    } else {
        Payout {
            amount: min_payout,
            range: spent.mul_div_floor(amount, min_payout)?,
        }
    })
}

impl Payout {
    /// Whether `roll` lies in the range that begins at `start`: start <= roll < start + range.
    pub fn wins(&self, start: Amount, roll: Amount) -> bool {
        roll.checked_sub(start)
            .is_some_and(|offset| offset < self.range)
    }

    /// What the cheque is worth on average after paying `cost` (token units) to redeem a win:
    /// floor(range / amount * max(0, payout - cost)).
    pub fn expected_value(&self, amount: Amount, cost: Amount) -> Amount {
        let net = self.amount.saturating_sub(cost);
        // range <= amount, so this is at most `net`; an amount of zero has no prizes.
        self.range.mul_div_floor(net, amount).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
