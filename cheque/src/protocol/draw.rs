//! The draw: from the seed of a block to the winning payee (SPEC sections 6 and 8).
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

/// The number of blocks for which the EVM remembers a block hash (EIP-2935).
pub const HISTORY_WINDOW: u64 = 8191;

/// The bound 2^64: chains without randomness put constants or counters up to it into `mixHash`.
const NO_RANDOMNESS: U256 = U256::from_limbs([0, 1, 0, 0]);

/// The randomness of a draw block. Does not know its block: the caller must get it from [`seed_from_header`] or the
/// bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seed(pub B256);

/// The reason why bytes do not prove the seed of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The bytes are not a single canonical RLP header.
    #[error("not a canonical RLP block header")]
    Malformed,
    /// The header belongs to another block.
    #[error("the header hashes to {found}, the block's hash is {expected}")]
    WrongHash {
        /// The header's hash.
        found: B256,
        /// The block's hash.
        expected: B256,
    },
    /// The `mixHash` of a proof-of-work block is not random.
    #[error("the block's difficulty is not zero")]
    HasDifficulty,
    /// The chain has no randomness.
    #[error("the block's mixHash {0} is at most 2^64, so not random")]
    NoRandomness(B256),
}

/// Reads the seed of a block from its RLP header: the `mixHash` (PREVRANDAO, EIP-4399; SPEC section 6).
///
/// Accepts the same headers as the contract: canonical, with hash `block_hash`, difficulty 0 and a `mixHash` above
/// 2^64, any extra data, and any number of fields that later forks append. Does not check that `block_hash` is the draw
/// block's.
///
/// # Errors
///
/// [`HeaderError`] names the first condition that fails.
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
    // A header has more than 55 bytes, so its whole content follows the prefix.
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

/// Computes the point in `[0, amount)` that the seed selects, rounded down. The chances of any two points differ by at
/// most 2^-128.
///
/// Formula: floor((keccak256(seed ‖ depositId) >> 128) * amount / 2^128), SPEC section 6.
pub fn roll(seed: Seed, deposit: DepositId, amount: Amount) -> Amount {
    let hash = keccak([seed.0.as_slice(), deposit.0.as_slice()]);
    let high = U256::from_be_bytes(hash.0) >> 128;
    // Both factors are below 2^128, and the quotient is below `amount`.
    let point: U256 = (high * amount.to_u256()) >> 128;
    Amount::new(point.to())
}

/// The payout of a winning cheque and the width of its winning range. Plain data, exhaustive by design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payout {
    /// The amount that a win pays, in token units. At most the deposit's amount.
    pub amount: Amount,
    /// The width of the winning range, in token units; the chance is range / deposit's amount. At most the allowance.
    pub range: Amount,
}

/// Computes the payout of a cheque over `spent` of `allowance`, in token units (SPEC section 8).
///
/// `None` if `spent` is zero or above the allowance, or if the allowance or the smallest payout exceeds the deposit's
/// amount. Does not check that the deposit grants the allowance: see
/// [`AllowanceProof::start`](crate::AllowanceProof::start).
///
/// Chance times payout is `spent`. Payout and range round down by less than one unit each, in the payer's favour.
/// Neither falls as `spent` grows.
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
    /// True if `roll` lies in the range from `start`: start <= roll < start + range.
    pub fn wins(&self, start: Amount, roll: Amount) -> bool {
        roll.checked_sub(start)
            .is_some_and(|offset| offset < self.range)
    }

    /// Computes the expected value of a cheque net of `cost`, the cost to redeem a win: floor(range / amount * max(0,
    /// payout - cost)), SPEC section 13.3. All in token units; `amount` is the deposit's.
    pub fn expected_value(&self, amount: Amount, cost: Amount) -> Amount {
        let net = self.amount.saturating_sub(cost);
        // range <= amount, so the value is at most `net`. A deposit of zero pays nothing.
        self.range.mul_div_floor(net, amount).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
