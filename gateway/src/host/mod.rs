//! The parts of a process that runs a gateway: its identity, its terms, its upkeep, and the service for its listener.

mod identity;
mod keeper;
mod origin;
mod service;
mod terms;

pub use identity::{Identity, IdentityError, new_worker};
pub use keeper::Keeper;
pub use service::ProxyService;
pub use terms::terms_of;
