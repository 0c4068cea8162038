//! A payee's judgement of payments: checks, rejections, and the value of a payment (SPEC section 13).

mod checks;
pub(crate) mod judge;
pub(crate) mod policy;
pub(crate) mod position;
pub(crate) mod rejection;

#[cfg(test)]
mod tests;
