//! Discovery: documents for clients before their first request. SPEC.md section 17.7 has the forms.
//!
//! Both documents are free. A path that the offers name without stars is the operator's, and none of ours.

mod bazaar;
mod object;
mod openapi;
mod well_known;

#[cfg(test)]
mod tests;

pub(crate) use bazaar::bazaar;
pub(crate) use openapi::annotate;
pub use well_known::{ListedBank, ListedToken, WellKnown};

use crate::offers::Offers;
use http::{Method, Uri};

/// The path to which clients post proofs that buy no request.
pub const PAY_PATH: &str = "/.well-known/cheque/pay";

/// The path of the gateway's own document.
pub const CHEQUE_JSON: &str = "/.well-known/cheque.json";

/// The path of the upstream's description, to which prices are added.
pub const OPENAPI_JSON: &str = "/openapi.json";

/// A document of discovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Document {
    Cheque,
    OpenApi,
}

impl Document {
    /// Returns the document that a request asks for. A query could ask the upstream for something else, so it is no request
    /// for a document.
    pub(crate) fn of(method: &Method, uri: &Uri, offers: &Offers) -> Option<Self> {
        if !matches!(*method, Method::GET | Method::HEAD) || uri.query().is_some() {
            return None;
        }
        let document = match uri.path() {
            CHEQUE_JSON => Self::Cheque,
            OPENAPI_JSON => Self::OpenApi,
            _ => return None,
        };
        (!offers.names(method, uri.path())).then_some(document)
    }
}
