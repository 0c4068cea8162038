//! The protocol: pure functions of their arguments, without IO, clock, random numbers or async. `SPEC.md` in the
//! repository is its definition.

pub(crate) mod account;
pub(crate) mod allowance;
pub(crate) mod amount;
pub(crate) mod beacon;
pub(crate) mod chain_profile;
pub(crate) mod cheque;
pub(crate) mod deposit_builder;
pub(crate) mod draw;
pub(crate) mod hash;
pub(crate) mod now;
pub(crate) mod proof;
pub(crate) mod receive;
pub(crate) mod redemption_check;
pub(crate) mod revert;
pub(crate) mod signature;
pub(crate) mod stream;
pub(crate) mod terms;
