//! The two parties of the simulations, each with a disk in memory.

pub(crate) mod payee;
pub(crate) mod payer;
