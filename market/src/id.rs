//! Ids of peers.

use std::fmt;

/// An id of a peer: a public key, its hash, or an address. Implemented for every suitable type.
///
/// The bytes must be the same in all versions of a program, because stored state is found by them, and `try_from`
/// must give back the id from its bytes. Ids are ordered, so that work on many peers has the same order in every run.
pub trait PeerId:
    Clone + Ord + fmt::Debug + AsRef<[u8]> + for<'a> TryFrom<&'a [u8]> + Send + 'static
{
}

impl<T> PeerId for T where
    T: Clone + Ord + fmt::Debug + AsRef<[u8]> + for<'a> TryFrom<&'a [u8]> + Send + 'static
{
}
