//! The verbs, one file each.

pub(crate) mod balance;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod deploy;
pub(crate) mod deposit;
pub(crate) mod fund;
pub(crate) mod inspect;
pub(crate) mod ledger;
pub(crate) mod market;
pub(crate) mod outcome;
pub(crate) mod payee;
pub(crate) mod payer;
pub(crate) mod receive;
pub(crate) mod redeem;
pub(crate) mod seed;
pub(crate) mod store;
pub(crate) mod stream;
pub(crate) mod withdraw;
pub(crate) mod write;
