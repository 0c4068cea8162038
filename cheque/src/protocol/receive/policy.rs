//! The payee's policy, and its view of the chain (SPEC section 13.1).

use crate::protocol::{
    amount::Amount,
    chain_profile::ChainProfile,
    stream::MAX_STEPS,
    terms::{Bank, DepositId, Purse},
};
use alloy_primitives::{Address, U256};
use std::collections::BTreeMap;

/// The limits of a payee on the payments that it accepts. Does not check its values: a cutoff of zero is allowed and
/// unsafe.
///
/// Start from [`Policy::new`], and set fields.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// The payee.
    pub payee: Address,
    /// The accepted banks, each with its chain.
    pub banks: Vec<Bank>,
    /// The accepted tokens (zero: the native coin), each with its limits.
    pub tokens: BTreeMap<Address, TokenLimits>,
    /// The number of blocks before the draw in which no payment is accepted.
    pub cutoff: u64,
    /// The largest number of blocks from the head to the draw.
    pub max_horizon: u64,
    /// The shortest redemption window, in blocks. A window ends at the deposit's last block to redeem, and at the
    /// latest when the chain forgets the draw block's hash.
    pub min_window: u64,
    /// The largest difference between the head's time and the clock, in seconds. `None`: not checked.
    pub stale_after: Option<u64>,
    /// The time by which a seed may be public before its block, in seconds: see [`ChainProfile::early_seed`].
    pub early_seed: u64,
    /// Seconds between blocks, for `early_seed`.
    pub block_time: u64,
    /// The smallest payout of a cheque, as a multiple of the cost to redeem it.
    pub min_payout_per_cost: u32,
    /// The largest number of steps of a stream, at most [`MAX_STEPS`].
    pub max_steps: u32,
}

/// The risk that a payee takes in a token. The proposer of the block before the draw block decides whether its own
/// contribution counts in the seed (EIP-4399): withholding its block draws again, for the price of the block. The
/// limits bound its gain.
///
/// Plain data, exhaustive by design: a further limit must not have a silent default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenLimits {
    /// The largest deposit, in token units.
    pub max_deposit: Amount,
    /// The largest sum of deposits with the same signer and draw block, in token units.
    pub max_exposure: Amount,
}

impl Policy {
    /// Makes the default policy: a single bank, the native coin up to 1 coin (10^18 units) per deposit and exposure, a
    /// horizon of 7 days, payouts from 10 costs on, streams of 1024 steps, and the margins of the bank's chain.
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

/// The payee's view of the chain at a payment.
///
/// Not checked against the chain: a wrong view lets worthless payments pass. Plain data, exhaustive by design: a host
/// that forgets a field must not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The number of the newest block.
    pub head: u64,
    /// The time of the newest block, seconds since 1970.
    pub head_time: u64,
    /// The time of the clock, seconds since 1970.
    pub now: u64,
    /// The word of the deposit's purse, read at block head - confirmations + 1.
    pub purse: U256,
    /// The cost to redeem a cheque of this deposit now, in token units: gas (see [`redeem_gas`]) times gas price, plus
    /// a rollup's data fee, times the token's rate, rounded up. `None` for a token without a rate.
    pub redeem_cost: Option<Amount>,
    /// The sum of all other deposits with the same signer, token and draw block of which the payee holds cheques, in
    /// token units.
    pub exposure: Amount,
}

impl View {
    pub(super) fn is_open(&self, deposit: DepositId) -> bool {
        Purse::from_word(self.purse) == Purse::Open(deposit)
    }
}

/// Computes the gas to redeem a cheque from a tree of `depth` levels with a stream of up to `steps` steps, rounded up.
///
/// The parts are measured on a node in the most expensive case: an inline header, a payee without a balance, and a
/// relayer with the payee's consent. Does not include a rollup's data fee.
pub const fn redeem_gas(depth: usize, steps: u32) -> u64 {
    const BASE: u64 = 93_000;
    const PER_LEVEL: u64 = 1_000;
    const PER_STEP: u64 = 68;
    BASE + PER_LEVEL * depth as u64 + PER_STEP * steps as u64
}
