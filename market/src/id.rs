//! What tells the nodes of a market apart.

use std::fmt;

/// Identifies a node: its public key, the hash of it, an address. Implemented for every type that can do this.
///
/// The bytes must be the same in all versions of a program, because stored state is found by them, and `try_from` must
/// give back the id that they were taken from. Ids are ordered, so that whatever is done for many nodes is done in an
/// order that does not change from run to run.
pub trait NodeId:
    Clone + Ord + fmt::Debug + AsRef<[u8]> + for<'a> TryFrom<&'a [u8]> + Send + 'static
{
}

impl<T> NodeId for T where
    T: Clone + Ord + fmt::Debug + AsRef<[u8]> + for<'a> TryFrom<&'a [u8]> + Send + 'static
{
}
