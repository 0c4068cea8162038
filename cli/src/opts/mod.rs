//! Flags that several verbs share.

mod chain;
mod payee;
mod store;
mod wallet;

pub(crate) use chain::{ChainOpts, OfflineChainOpts, supported};
pub(crate) use payee::{PayeeOpts, PolicyOpts};
pub(crate) use store::StoreOpts;
pub(crate) use wallet::{SendOpts, WalletOpts};
