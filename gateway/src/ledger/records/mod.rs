//! The ledger's records: a version byte, then an RLP list. Each is in [`Table::App`](cheque::store::Table::App).

pub(super) mod account;
pub(super) mod authorization;
pub(super) mod codec;
pub(super) mod deposit;
pub(super) mod key;
pub(super) mod keys;
pub(super) mod payment;
pub(super) mod reservation;

#[cfg(test)]
mod tests;
