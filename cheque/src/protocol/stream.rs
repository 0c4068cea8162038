//! Streams: many payments of equal size by revealing a hash chain (PayWord, Rivest and Shamir 1996; SPEC section 7).
//!
//! The payer draws a random x_0 and computes x_{i+1} = keccak256(x_i) up to x_n, the *anchor*. It signs the anchor in a
//! cheque, together with the amount of a step. Showing x_{n-k} proves k steps; nobody can compute x_{n-k} from the
//! values shown before.

use crate::protocol::hash::keccak;
use alloy_primitives::B256;
use std::fmt;

/// The contract's bound on the steps of a stream.
pub const MAX_STEPS: u32 = 4096;

/// The payer's side of a stream, able to show any number of steps.
///
/// Does not check that x_0 is fresh: a holder of x_0 can show all steps, so no two cheques may share it.
#[derive(Clone, PartialEq, Eq)]
pub struct Stream {
    x0: B256,
    length: u32,
}

/// A number of steps outside 1 to [`MAX_STEPS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stream has 1 to {MAX_STEPS} steps, not {0}")]
pub struct StreamLengthError(pub u32);

impl Stream {
    /// Makes a stream of `length` steps. `x0` must come from a cryptographic random number generator and be used once.
    ///
    /// # Errors
    ///
    /// [`StreamLengthError`] if `length` is zero or above [`MAX_STEPS`].
    pub const fn new(x0: B256, length: u32) -> Result<Self, StreamLengthError> {
        if length == 0 || length > MAX_STEPS {
            return Err(StreamLengthError(length));
        }
        Ok(Self { x0, length })
    }

    /// Returns the secret start of the chain.
    pub const fn x0(&self) -> B256 {
        self.x0
    }

    /// Returns the number of steps.
    pub const fn length(&self) -> u32 {
        self.length
    }

    /// Computes x_n, the value that the cheque commits to. Costs n hashes.
    pub fn anchor(&self) -> B256 {
        hash_chain(self.x0, self.length)
    }

    /// Computes x_{n-k}, the proof of k steps; `None` beyond the stream's length. Costs n - k hashes.
    pub fn show(&self, k: u32) -> Option<B256> {
        Some(hash_chain(self.x0, self.length.checked_sub(k)?))
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stream({} steps)", self.length)
    }
}

/// Hashes `x` `times` times.
///
/// Checks k steps by `hash_chain(x, k) == anchor`, and further steps by `hash_chain(x, k - shown) == last x shown`. Has
/// no bound: the caller must limit `times`.
pub fn hash_chain(x: B256, times: u32) -> B256 {
    (0..times).fold(x, |x, _| keccak([x.as_slice()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leads_every_step_to_the_anchor_and_the_step_before() {
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
    fn takes_1_to_4096_steps() {
        assert_eq!(Stream::new(B256::ZERO, 0), Err(StreamLengthError(0)));
        assert!(Stream::new(B256::ZERO, 4096).is_ok());
        assert_eq!(Stream::new(B256::ZERO, 4097), Err(StreamLengthError(4097)));
    }
}
