//! Streams: many payments of equal size by revealing a hash chain (PayWord, Rivest and Shamir 1996).
//!
//! The payer draws a random x_0 and computes x_{i+1} = keccak256(x_i) up to x_n, the *anchor*, which it signs in a
//! cheque together with the size of a step. Showing x_{n-k} proves k steps; nobody can compute it from what was shown
//! before.

use crate::protocol::hash::keccak;
use alloy_primitives::B256;
use std::fmt;

/// The most steps of one stream that the contract follows.
pub const MAX_STEPS: u32 = 4096;

/// The payer's side of a stream: it can show any number of steps.
///
/// x_0 is fresh for every cheque: whoever knows it can show all steps.
#[derive(Clone, PartialEq, Eq)]
pub struct Stream {
    x0: B256,
    length: u32,
}

/// A stream must have 1 to [`MAX_STEPS`] steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stream has 1 to {MAX_STEPS} steps, not {0}")]
pub struct StreamLengthError(pub u32);

impl Stream {
    /// A stream of `length` steps. `x0` must come from a cryptographic random number generator and be used once.
    pub const fn new(x0: B256, length: u32) -> Result<Self, StreamLengthError> {
        if length == 0 || length > MAX_STEPS {
            return Err(StreamLengthError(length));
        }
        Ok(Self { x0, length })
    }

    /// The secret start of the chain.
    pub const fn x0(&self) -> B256 {
        self.x0
    }

    /// The number of steps.
    pub const fn length(&self) -> u32 {
        self.length
    }

    /// x_n, which the cheque commits to.
    pub fn anchor(&self) -> B256 {
        hash_chain(self.x0, self.length)
    }

    /// x_{n-k}, which proves k steps, or `None` beyond the stream's length. Costs n - k hashes.
    pub fn show(&self, k: u32) -> Option<B256> {
        Some(hash_chain(self.x0, self.length.checked_sub(k)?))
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stream({} steps)", self.length)
    }
}

/// `x` hashed `times` times.
///
/// To check k steps: `hash_chain(x, k) == anchor`. To check further ones: `hash_chain(x, k - shown) == last x shown`. The
/// caller bounds `times`.
pub fn hash_chain(x: B256, times: u32) -> B256 {
    (0..times).fold(x, |x, _| keccak([x.as_slice()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_leads_to_the_anchor_and_to_the_step_before() {
        let stream = Stream::new(B256::repeat_byte(7), 100).unwrap();
        assert_eq!(stream.show(0), Some(stream.anchor()));
        assert_eq!(stream.show(100), Some(stream.x0()));
        assert_eq!(stream.show(101), None);
        for k in 1..=100 {
            let x = stream.show(k).unwrap();
            assert_eq!(hash_chain(x, k), stream.anchor());
            assert_eq!(Some(hash_chain(x, 1)), stream.show(k - 1));
            assert_ne!(hash_chain(x, k + 1), stream.anchor());
        }
    }

    #[test]
    fn has_at_least_one_step_and_at_most_4096() {
        assert_eq!(Stream::new(B256::ZERO, 0), Err(StreamLengthError(0)));
        assert!(Stream::new(B256::ZERO, 4096).is_ok());
        assert_eq!(Stream::new(B256::ZERO, 4097), Err(StreamLengthError(4097)));
    }
}
