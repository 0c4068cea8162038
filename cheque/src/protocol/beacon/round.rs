//! A verified round of the beacon: its signature, its seed, and the proof for the bank.

use crate::protocol::draw::Seed;
use alloy_primitives::FixedBytes;
use std::fmt;

/// A round of a beacon with a verified signature. Only [`Beacon::verify`](crate::Beacon::verify) makes one.
///
/// Does not know its beacon: a caller with several beacons keeps their rounds apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BeaconRound {
    pub(super) round: u64,
    pub(super) time: u64,
    pub(super) signature: FixedBytes<48>,
    pub(super) proof: SeedProof,
    pub(super) seed: Seed,
}

impl BeaconRound {
    /// Returns the number of the round.
    pub const fn round(&self) -> u64 {
        self.round
    }

    /// Returns the time of the round, in seconds since 1970.
    pub const fn time(&self) -> u64 {
        self.time
    }

    /// Returns the compressed signature, as relays publish it.
    pub const fn signature(&self) -> &FixedBytes<48> {
        &self.signature
    }

    /// Returns the seed of draws at this round's time: sha256 of the compressed signature, which is drand's
    /// `randomness`.
    pub const fn seed(&self) -> Seed {
        self.seed
    }

    /// Returns the proof of the seed that the bank takes.
    pub const fn proof(&self) -> &SeedProof {
        &self.proof
    }
}

/// The proof of a seed in the form of the bank: the signature uncompressed, x then y, 48 bytes each. Belongs to a
/// verified round.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SeedProof(pub(super) [u8; 96]);

impl SeedProof {
    /// Returns x ‖ y.
    pub const fn as_bytes(&self) -> &[u8; 96] {
        &self.0
    }
}

impl fmt::Debug for SeedProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SeedProof({})", alloy_primitives::hex::encode(self.0))
    }
}
