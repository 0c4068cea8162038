//! Flags of several verbs.

pub(crate) mod beacon;
pub(crate) mod chain;
pub(crate) mod payee;
pub(crate) mod payee_service;
pub(crate) mod rate;
pub(crate) mod send;
pub(crate) mod store;
pub(crate) mod time;
pub(crate) mod variables;
pub(crate) mod wallet;
