//! Offers: which request is sold, and at what price. SPEC.md section 17.3 has the rules.

mod capacity;
mod error;
mod file;
mod free;
mod glob;
mod jsonrpc;
mod load;
mod load_capacity;
mod price;
mod quote;
mod target;
mod types;
mod work;

#[cfg(test)]
mod tests;

pub use capacity::CapacityTerms;
pub use error::{OffersError, OffersFault};
pub use free::{FreeCounts, FreeTier};
pub use jsonrpc::{BodyError, Calls};
pub use price::{PriceError, Usage};
pub use quote::{Quote, QuoteError, Tariff};
pub use target::{Target, TargetError};
pub use types::{Offers, Token};
pub use work::Work;
