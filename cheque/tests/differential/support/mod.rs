//! Helpers of these tests: random cases, and the comparison of core and contract.

pub(crate) mod comparison;
pub(crate) mod generate;
pub(crate) mod theft;
