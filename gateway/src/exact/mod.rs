//! The scheme `exact` of x402 beside ours: a client without a deposit pays by one transfer on the chain, which a facilitator
//! verifies and makes. SPEC.md section 17.8 has the rules.

mod facilitator;
mod payment;

#[cfg(test)]
mod tests;

pub use facilitator::{Facilitator, FacilitatorError};
pub use payment::ExactPayment;

pub(crate) use facilitator::{Settled, Verified};
