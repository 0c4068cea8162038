//! A beacon whose key is known, for tests and the demo. The owner of its secret key knows every draw in advance.

use super::{Beacon, InvalidBeacon, InvalidRound, backend};
use crate::protocol::beacon::{round::BeaconRound, scheme::message};
use std::fmt;

/// A beacon with its secret key, for tests and the demo. Never use it for money: its owner computes every future seed.
#[derive(Clone)]
pub struct LocalBeacon {
    secret: backend::Secret,
    beacon: Beacon,
}

impl LocalBeacon {
    /// Makes the beacon of a secret number (big-endian). Round 1 is at `genesis`, in seconds since 1970, and a round
    /// follows every `period` seconds.
    ///
    /// # Errors
    ///
    /// [`InvalidBeacon`] if the number is zero or not below the order of the group, or if the period is zero.
    pub fn new(secret: &[u8; 32], genesis: u64, period: u64) -> Result<Self, InvalidBeacon> {
        let secret = backend::secret(secret).ok_or(InvalidBeacon::SecretKeyOutOfRange)?;
        let beacon = Beacon::new(&backend::public_key(&secret), genesis, period)?;
        Ok(Self { secret, beacon })
    }

    /// Returns what verifies its rounds.
    pub const fn beacon(&self) -> &Beacon {
        &self.beacon
    }

    /// Signs a round, whatever the time. The result is the compressed signature.
    pub fn sign(&self, round: u64) -> [u8; 48] {
        backend::sign(&self.secret, &message(round))
    }

    /// Signs a round and verifies it.
    ///
    /// # Errors
    ///
    /// [`InvalidRound`] for round zero, and for a round whose time does not fit 64 bits.
    pub fn round(&self, round: u64) -> Result<BeaconRound, InvalidRound> {
        self.beacon.verify(round, &self.sign(round))
    }
}

impl fmt::Debug for LocalBeacon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalBeacon(of {:?})", self.beacon)
    }
}
