//! The verbs, each in its file or folder.

pub(crate) mod balance;
pub(crate) mod beacon;
pub(crate) mod chain;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod deploy;
pub(crate) mod deposit;
pub(crate) mod fund;
pub(crate) mod gateway;
pub(crate) mod holdings;
pub(crate) mod inspect;
pub(crate) mod market;
pub(crate) mod payee;
pub(crate) mod payer;
mod payment;
pub(crate) mod receive;
pub(crate) mod redeem;
pub(crate) mod seed;
pub(crate) mod status;
pub(crate) mod store;
pub(crate) mod stream;
pub(crate) mod withdraw;
pub(crate) mod write;
