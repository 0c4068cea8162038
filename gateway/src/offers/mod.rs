//! Offers: which request is sold, and at what price. SPEC.md section 17.3 has the rules.

mod capacity;
mod error;
mod file;
mod free;
mod glob;
mod jsonrpc;
mod listing;
mod load;
mod load_capacity;
mod price;
mod quote;
mod target;
mod terms;
mod types;
mod work;

#[cfg(test)]
pub(crate) mod tests;

pub use capacity::CapacityTerms;
pub use error::{OffersError, OffersFault};
pub use free::{FreeCounts, FreeTier};
pub use jsonrpc::{BodyError, Calls};
pub use listing::{ListedOffer, ListedPrice, ListedRoute};
pub use price::{PriceError, Usage};
pub(crate) use quote::{LOOK_AHEAD, PIECE};
pub use quote::{Quote, QuoteError, Tariff};
pub use target::{Target, TargetError};
pub use types::{ExactTerms, Home, Meter, Offers, Token, TokenRate};
pub use work::Work;
