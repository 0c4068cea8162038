//! The beacon: drand's rounds, their times, and the seeds that they prove (SPEC section 6).
//!
//! ```text
//! round     = (drawTime - genesis) / period + 1
//! message   = sha256(round as 8 bytes, big-endian), hashed to G1 by RFC 9380
//! valid    <=> e(signature, -G2) * e(H(message), publicKey) = 1
//! seed      = sha256(compressed signature), drand's `randomness`
//! ```
//!
//! In the prime-order subgroup the equation has one solution, so that nobody can choose among several seeds. Two
//! backends do the arithmetic: blst (feature `blst`, the default) and bls12_381 (pure Rust). Both accept the same
//! signatures.

pub(crate) mod local;
mod parameters;
pub(crate) mod point;
#[cfg(any(test, not(feature = "blst")))]
mod pure;
pub(crate) mod round;
mod scheme;
#[cfg(feature = "blst")]
mod with_blst;

#[cfg(not(feature = "blst"))]
use crate::protocol::beacon::pure as backend;
#[cfg(feature = "blst")]
use crate::protocol::beacon::with_blst as backend;

use crate::protocol::{
    beacon::{
        point::{G1, G2, PointError, check_encoding},
        round::{BeaconRound, SeedProof},
        scheme::message,
    },
    draw::Seed,
};
use alloy_primitives::{B256, FixedBytes, b256, hex};
use sha2::{Digest, Sha256};
use std::fmt;

/// The hash by which relays name the chain of drand's quicknet.
pub const QUICKNET_CHAIN_HASH: B256 =
    b256!("52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971");

const QUICKNET_KEY: [u8; G2] = hex!(
    "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d106451"
    "0d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a"
);
const QUICKNET_GENESIS: u64 = 1_692_803_367;
const QUICKNET_PERIOD: u64 = 3;

/// A public randomness beacon: its key and the times of its rounds.
///
/// The key is a point of the prime-order subgroup and not the identity. Nothing here tells who holds its shares.
#[derive(Clone)]
pub struct Beacon {
    public_key: FixedBytes<G2>,
    /// The same key, read.
    key: backend::Key,
    genesis: u64,
    period: u64,
}

/// The reason why a beacon cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidBeacon {
    /// The public key is not a point that can verify.
    #[error("the beacon's public key is no key: {0}")]
    PublicKey(PointError),
    /// Rounds would have no distance.
    #[error("the beacon's period is 0; it is at least 1 second")]
    ZeroPeriod,
    /// The secret key of a local beacon is zero or not below the group order.
    #[error("the secret key is not in the range of the group")]
    SecretKeyOutOfRange,
}

/// The reason why a time has no round, or a round no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// The time precedes the first round.
    #[error("time {time} is before the beacon's first round at {genesis}")]
    BeforeGenesis {
        /// The given time, in seconds since 1970.
        time: u64,
        /// The time of round 1.
        genesis: u64,
    },
    /// The time lies between two rounds.
    #[error(
        "time {time} is off the beacon's schedule; the rounds around it are at {before} and {after}"
    )]
    OffSchedule {
        /// The given time, in seconds since 1970.
        time: u64,
        /// The time of the last round before it.
        before: u64,
        /// The time of the next round, or the largest time if that does not fit 64 bits.
        after: u64,
    },
    /// Rounds are counted from 1.
    #[error("there is no round 0; the first round is 1")]
    RoundZero,
    /// The time of the round does not fit 64 bits.
    #[error("the time of round {0} does not fit 64 bits")]
    TooFar(u64),
}

/// The reason why bytes are not the signature of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRound {
    /// There is no such round.
    #[error("{0}")]
    Schedule(#[from] ScheduleError),
    /// The bytes are not a point that can be a signature.
    #[error("the signature of round {round} is no signature: {reason}")]
    Signature {
        /// The round.
        round: u64,
        /// The first condition that fails.
        reason: PointError,
    },
    /// The signature belongs to another round, to another key, or to nobody.
    #[error("the signature is not the beacon's over round {round}")]
    WrongSignature {
        /// The round.
        round: u64,
    },
}

impl Beacon {
    /// Makes a beacon of a compressed public key (96 bytes), the time of round 1 in seconds since 1970, and the seconds
    /// between rounds.
    ///
    /// # Errors
    ///
    /// [`InvalidBeacon`] names the first condition that fails.
    pub fn new(public_key: &[u8], genesis: u64, period: u64) -> Result<Self, InvalidBeacon> {
        if period == 0 {
            return Err(InvalidBeacon::ZeroPeriod);
        }
        let bytes = check_encoding::<G2>(public_key).map_err(InvalidBeacon::PublicKey)?;
        let key = backend::key(&bytes).map_err(InvalidBeacon::PublicKey)?;
        Ok(Self {
            public_key: bytes.into(),
            key,
            genesis,
            period,
        })
    }

    /// Returns drand's quicknet, the public beacon of the League of Entropy: a round every 3 s.
    pub fn quicknet() -> Self {
        Self::new(&QUICKNET_KEY, QUICKNET_GENESIS, QUICKNET_PERIOD)
            .expect("the constants are a beacon")
    }

    /// Returns the compressed public key.
    pub const fn public_key(&self) -> &FixedBytes<96> {
        &self.public_key
    }

    /// Returns the time of round 1, in seconds since 1970.
    pub const fn genesis(&self) -> u64 {
        self.genesis
    }

    /// Returns the seconds between rounds, at least 1.
    pub const fn period(&self) -> u64 {
        self.period
    }

    /// Computes the round whose time is exactly `time`.
    ///
    /// # Errors
    ///
    /// [`ScheduleError`] before the first round and between two rounds.
    pub fn round_at(&self, time: u64) -> Result<u64, ScheduleError> {
        let genesis = self.genesis;
        let before_genesis = ScheduleError::BeforeGenesis { time, genesis };
        let since = time.checked_sub(genesis).ok_or(before_genesis)?;
        let rest = since % self.period;
        if rest != 0 {
            let before = time - rest;
            return Err(ScheduleError::OffSchedule {
                time,
                before,
                after: before.saturating_add(self.period),
            });
        }
        let rounds = since / self.period;
        rounds.checked_add(1).ok_or(ScheduleError::TooFar(u64::MAX))
    }

    /// Computes the time of a round, in seconds since 1970.
    ///
    /// # Errors
    ///
    /// [`ScheduleError`] for round zero, and for a time that does not fit 64 bits.
    pub fn time_of(&self, round: u64) -> Result<u64, ScheduleError> {
        let before = round.checked_sub(1).ok_or(ScheduleError::RoundZero)?;
        let since = before.checked_mul(self.period);
        since
            .and_then(|since| self.genesis.checked_add(since))
            .ok_or(ScheduleError::TooFar(round))
    }

    /// Computes the newest round due at `time`. `None` before the first round. Does not know whether the round was made.
    pub fn newest_at(&self, time: u64) -> Option<u64> {
        let since = time.checked_sub(self.genesis)?;
        (since / self.period).checked_add(1)
    }

    /// Verifies the compressed signature (48 bytes) of a round, and derives the seed.
    ///
    /// # Errors
    ///
    /// [`InvalidRound`] names the first condition that fails.
    pub fn verify(&self, round: u64, signature: &[u8]) -> Result<BeaconRound, InvalidRound> {
        let time = self.time_of(round)?;
        let invalid = |reason| InvalidRound::Signature { round, reason };
        let bytes = check_encoding::<G1>(signature).map_err(invalid)?;
        let point = backend::point(&bytes).map_err(invalid)?;
        if !backend::verify(&self.key, &message(round), &point) {
            return Err(InvalidRound::WrongSignature { round });
        }
        Ok(BeaconRound {
            round,
            time,
            signature: bytes.into(),
            proof: SeedProof(backend::uncompressed(&point)),
            seed: Seed(B256::from(<[u8; 32]>::from(Sha256::digest(bytes)))),
        })
    }

    /// Returns the hash by which relays name the beacon's chain: quicknet's own, else that of a local beacon, sha256 of
    /// period (4 bytes), genesis (8 bytes) and public key.
    ///
    /// A public beacon other than quicknet has another hash, since drand hashes the group's seed, too.
    pub fn chain_hash(&self) -> B256 {
        let quicknet = (QUICKNET_KEY, QUICKNET_GENESIS, QUICKNET_PERIOD);
        if (self.public_key.0, self.genesis, self.period) == quicknet {
            return QUICKNET_CHAIN_HASH;
        }
        let mut hasher = Sha256::new();
        // drand has 32 bits for the period. Longer ones are cut: the hash is a name, and nothing relies on it.
        hasher.update(&self.period.to_be_bytes()[4..]);
        hasher.update(self.genesis.to_be_bytes());
        hasher.update(self.public_key);
        B256::from(<[u8; 32]>::from(hasher.finalize()))
    }
}

impl PartialEq for Beacon {
    fn eq(&self, other: &Self) -> bool {
        let terms = |beacon: &Self| (beacon.public_key, beacon.genesis, beacon.period);
        terms(self) == terms(other)
    }
}

impl Eq for Beacon {}

impl fmt::Debug for Beacon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Beacon")
            .field("public_key", &self.public_key)
            .field("genesis", &self.genesis)
            .field("period", &self.period)
            .finish()
    }
}

#[cfg(test)]
mod schedule;
#[cfg(test)]
mod tests;
