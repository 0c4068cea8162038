//! Durable state: a small key-value store with atomic batches.
//!
//! One store holds everything of one market, so a balance and the offset that gives the balance its value are written
//! together. Key prefixes separate the parts.

#[cfg(feature = "cheque")]
pub(crate) mod cheque;
#[cfg(test)]
pub(crate) mod failing;
pub(crate) mod interface;
pub(crate) mod memory;

#[cfg(feature = "cheque")]
pub use self::cheque::ChequeStore;
pub use interface::{Batch, Store, StoreError, Visit};
pub use memory::Memory;

#[cfg(test)]
pub(crate) use failing::Failing;
