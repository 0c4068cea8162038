//! Payments as a payee judges them: what is accepted, why others are refused, and what a payment is worth.

pub(crate) mod judge;
pub(crate) mod policy;
pub(crate) mod position;
pub(crate) mod rejection;

#[cfg(test)]
mod tests;
