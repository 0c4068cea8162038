//! What a payee accepts, and what it knows about the chain.

use crate::protocol::{
    amount::Amount,
    chain_profile::ChainProfile,
    stream::MAX_STEPS,
    terms::{Bank, DepositId, Purse},
};
use alloy_primitives::{Address, U256};
use std::collections::BTreeMap;

/// What one payee accepts. All blocks and times are the chain's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The payee.
    pub payee: Address,
    /// The banks it accepts, each on its chain.
    pub banks: Vec<Bank>,
    /// The tokens it accepts (zero: the native coin), with a limit for each.
    pub tokens: BTreeMap<Address, TokenLimits>,
    /// No payment within this many blocks of the draw.
    pub cutoff: u64,
    /// No draw further ahead than this many blocks.
    pub max_horizon: u64,
    /// The shortest redemption window, in blocks. A window ends at the deposit's last block to redeem, or where the chain
    /// forgets the draw block's hash.
    pub min_window: u64,
    /// How far the view's head and the clock may be apart, in seconds. `None`: not checked.
    pub stale_after: Option<u64>,
    /// How long before a block's time its seed may be public, in seconds: see [`ChainProfile::early_seed`].
    pub early_seed: u64,
    /// Seconds between blocks, for `early_seed`.
    pub block_time: u64,
    /// The payout of a cheque must be at least this many times the cost to redeem it.
    pub min_payout_per_cost: u32,
    /// The most steps of one stream, at most [`MAX_STEPS`].
    pub max_steps: u32,
}

/// What a payee risks in one token. The proposer of the block before the draw block decides whether its own contribution
/// counts in the seed (EIP-4399): withholding that block draws again, for the price of the block. These limits say what
/// could be gained by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenLimits {
    /// The largest deposit, in token units.
    pub max_deposit: Amount,
    /// The largest sum of deposits of one signer with one draw block, in token units.
    pub max_exposure: Amount,
}

impl Policy {
    /// The default policy: one bank, the native coin up to 1 coin (10^18 units) per deposit and exposure, and the
    /// margins of the bank's chain.
    pub fn new(payee: Address, bank: Bank, profile: &ChainProfile) -> Self {
        let one_coin = Amount::new(1_000_000_000_000_000_000);
        let limits = TokenLimits {
            max_deposit: one_coin,
            max_exposure: one_coin,
        };
        Self {
            payee,
            banks: vec![bank],
            tokens: BTreeMap::from([(Address::ZERO, limits)]),
            cutoff: profile.cutoff,
            max_horizon: 7 * 24 * 3600 / profile.block_time,
            min_window: profile.min_window,
            stale_after: profile.stale_after,
            early_seed: profile.early_seed,
            block_time: profile.block_time,
            min_payout_per_cost: 10,
            max_steps: 1024.min(MAX_STEPS),
        }
    }
}

/// What a payee knows about the chain when a payment comes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The newest block.
    pub head: u64,
    /// Its time, seconds since 1970.
    pub head_time: u64,
    /// The clock on the wall, seconds since 1970.
    pub now: u64,
    /// The word of the deposit's purse, read at block head - confirmations + 1.
    pub purse: U256,
    /// What it costs to redeem a cheque of this deposit now, in its token's units: gas (see [`redeem_gas`]) times gas
    /// price times the token's rate. `None` for a token without a rate.
    pub redeem_cost: Option<Amount>,
    /// The sum of the amounts of all other deposits that the payee holds cheques of, with the same signer, token and
    /// draw block.
    pub exposure: Amount,
}

impl View {
    pub(super) fn is_open(&self, deposit: DepositId) -> bool {
        Purse::from_word(self.purse) == Purse::Open(deposit)
    }
}

/// The gas to redeem a cheque from a tree of `depth` levels with a stream of up to `steps` steps, the proof of the seed
/// included. Rounds up: the parts are measured on a node with an inline header, a payee that holds no balance yet, and a
/// relayer that sends it with the payee's consent.
pub const fn redeem_gas(depth: usize, steps: u32) -> u64 {
    const BASE: u64 = 93_000;
    const PER_LEVEL: u64 = 1_000;
    const PER_STEP: u64 = 68;
    BASE + PER_LEVEL * depth as u64 + PER_STEP * steps as u64
}
