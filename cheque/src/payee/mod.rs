//! What a payee checks before it counts a payment, and what the payment is worth to it.

mod meta;
mod policy;
mod receive;
mod rejection;

pub use meta::{Position, PositionError};
pub use policy::{Policy, TokenLimits, View, redeem_gas};
pub use receive::{PositionKey, Received, receive_payment};
pub use rejection::Rejection;

#[cfg(test)]
mod tests;
