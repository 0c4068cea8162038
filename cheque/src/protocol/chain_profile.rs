//! The listed chains, and the properties in which they differ. Times are seconds: no chain has a block time here.

use crate::protocol::now::Freshness;
use alloy_primitives::{Address, address};
use std::time::Duration;

/// The properties of a chain that payers and payees rely on. Does not check them against the chain.
///
/// `docs/chains.md` in the repository has the source of every figure. Plain data, exhaustive by design. Fields may be
/// added, so derive a profile of your own from a similar chain's:
///
/// ```
/// use cheque::ChainProfile;
///
/// let patient = ChainProfile { confirm: 600, ..*ChainProfile::of(1)? };
/// # assert_eq!(patient.finality, 1_536);
/// # Ok::<(), cheque::UnlistedChain>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainProfile {
    /// The EIP-155 id.
    pub chain_id: u64,
    /// The usual name.
    pub name: &'static str,
    /// The age from which a block counts for payments and transactions, in seconds; 0 = the head counts.
    pub confirm: u64,
    /// The age from which a block is final, in seconds. A payee lists banks whose `minLead` is at least as long.
    pub finality: u64,
    /// The time between two questions for news to a node that announces none. A habit of the client.
    pub poll: Duration,
    /// The shortest time to redeem a win that a payee accepts, in seconds. Longer than the chain's operator can keep a
    /// transaction out.
    pub min_window: u64,
    /// The time to redeem a win that payers grant by default, in seconds.
    pub redeem_window: u64,
    /// The divisor of draw times that payers choose by default, in seconds, so that one recorded seed serves many
    /// deposits.
    pub draw_grid: u64,
    /// The bounds on the clocks. `None`: not checked.
    pub freshness: Option<Freshness>,
    /// The parts of a transaction's fee.
    pub fees: FeeModel,
    /// Well-known tokens.
    pub tokens: &'static [KnownToken],
}

/// The parts of a transaction's fee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FeeModel {
    /// Gas times price.
    Plain,
    /// Gas times price, and the data fee of the OP stack, which its `GasPriceOracle` tells.
    OpStack,
    /// Gas times price, where the gas of an estimate has the layer-1 part in it.
    Arbitrum,
}

/// A well-known token. Does not check that the chain has it. Plain data, exhaustive by design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownToken {
    /// The token's contract.
    pub address: Address,
    /// The usual symbol.
    pub symbol: &'static str,
    /// The number of decimals: one unit of the currency is 10^decimals units.
    pub decimals: u8,
    /// True if the token takes ERC-3009 authorizations.
    pub authorization: bool,
}

const HOUR: u64 = 3_600;

const L1: ChainProfile = ChainProfile {
    chain_id: 1,
    name: "mainnet",
    confirm: 144,
    finality: 1_536,
    poll: Duration::from_secs(4),
    min_window: 6 * HOUR,
    redeem_window: 24 * HOUR,
    draw_grid: 300,
    freshness: Some(Freshness::DEFAULT),
    fees: FeeModel::Plain,
    tokens: &[
        stablecoin("USDC", address!("A0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48")),
        stablecoin("EURC", address!("1aBaEA1f7C830bD89Acc67eC4af516284b1bC33c")),
        stablecoin(
            "PYUSD",
            address!("6c3ea9036406852006290770BEdFcAbA0e23A0e8"),
        ),
    ],
};

const OP_STACK: ChainProfile = ChainProfile {
    chain_id: 10,
    name: "op-mainnet",
    confirm: 10,
    finality: 2_400,
    poll: Duration::from_secs(1),
    min_window: 16 * HOUR,
    fees: FeeModel::OpStack,
    tokens: &[usdc(address!("0b2C639c533813f4Aa9D7837CAf62653d097Ff85"))],
    ..L1
};

const ARBITRUM: ChainProfile = ChainProfile {
    chain_id: 42_161,
    name: "arbitrum-one",
    min_window: 30 * HOUR,
    redeem_window: 48 * HOUR,
    fees: FeeModel::Arbitrum,
    tokens: &[
        usdc(address!("af88d065e77c8cC2239327C5EDb3A432268e5831")),
        stablecoin(
            "PYUSD",
            address!("46850aD61C2B7d64d08c9C754F45254596696984"),
        ),
    ],
    ..OP_STACK
};

const POLYGON: ChainProfile = ChainProfile {
    chain_id: 137,
    name: "polygon",
    finality: 600,
    fees: FeeModel::Plain,
    tokens: &[usdc(address!("3c499c542cEF5E3811e1192ce70d8cC03d5c3359"))],
    ..OP_STACK
};

const LOCAL: ChainProfile = ChainProfile {
    chain_id: 31_337,
    name: "local",
    confirm: 0,
    finality: 0,
    poll: Duration::from_millis(250),
    min_window: 8,
    draw_grid: 1,
    freshness: None,
    tokens: &[],
    ..L1
};

/// All listed chains.
pub const PROFILES: &[ChainProfile] = &[
    L1,
    ChainProfile {
        tokens: &[usdc(address!("1c7D4B196Cb0C7B01d743Fbc6116a902379C7238"))],
        ..chain(L1, 11_155_111, "sepolia")
    },
    ChainProfile {
        tokens: &[],
        ..chain(L1, 560_048, "hoodi")
    },
    OP_STACK,
    ChainProfile {
        tokens: &[usdc(address!("5fd84259d66Cd46123540766Be93DFE6D43130D7"))],
        ..chain(OP_STACK, 11_155_420, "op-sepolia")
    },
    ChainProfile {
        tokens: &[
            usdc(address!("833589fCD6eDb6E08f4c7C32D4f71b54bdA02913")),
            stablecoin("EURC", address!("60a3E35Cc302bFA44Cb288Bc5a4F316Fdb1adb42")),
        ],
        ..chain(OP_STACK, 8453, "base")
    },
    ChainProfile {
        tokens: &[usdc(address!("036CbD53842c5426634e7929541eC2318f3dCF7e"))],
        ..chain(OP_STACK, 84_532, "base-sepolia")
    },
    ARBITRUM,
    ChainProfile {
        tokens: &[usdc(address!("75faf114eafb1BDbe2F0316DF893fd58CE46AA4d"))],
        ..chain(ARBITRUM, 421_614, "arbitrum-sepolia")
    },
    POLYGON,
    LOCAL,
];

const fn chain(like: ChainProfile, chain_id: u64, name: &'static str) -> ChainProfile {
    ChainProfile {
        chain_id,
        name,
        ..like
    }
}

const fn usdc(address: Address) -> KnownToken {
    stablecoin("USDC", address)
}

/// A token of Circle or Paxos.
const fn stablecoin(symbol: &'static str, address: Address) -> KnownToken {
    KnownToken {
        address,
        symbol,
        decimals: 6,
        authorization: true,
    }
}

/// A chain without a profile in [`PROFILES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "chain {0} is not listed; see `cheque chain check` for what it can do, and name its times to confirm and to finality"
)]
pub struct UnlistedChain(pub u64);

impl ChainProfile {
    /// Returns the profile of a chain by its EIP-155 id.
    ///
    /// # Errors
    ///
    /// [`UnlistedChain`] if the chain has no profile.
    pub fn of(chain_id: u64) -> Result<&'static Self, UnlistedChain> {
        PROFILES
            .iter()
            .find(|profile| profile.chain_id == chain_id)
            .ok_or(UnlistedChain(chain_id))
    }

    /// Makes the profile of a chain that is not listed, with the caller's times in seconds and the most careful
    /// defaults of all others: a window of 30 hours, clocks checked, no known token, fees without a data part.
    pub const fn unlisted(chain_id: u64, confirm: u64, finality: u64) -> Self {
        Self {
            confirm,
            finality,
            fees: FeeModel::Plain,
            tokens: &[],
            ..chain(ARBITRUM, chain_id, "unlisted")
        }
    }

    /// Returns the well-known token at an address.
    pub fn token(&self, address: Address) -> Option<&'static KnownToken> {
        self.tokens.iter().find(|token| token.address == address)
    }
}

#[cfg(test)]
mod tests;
