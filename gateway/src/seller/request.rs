//! Requests and their prices.

use crate::{
    ledger::{Fingerprint, FingerprintParts},
    offers::{Quote, QuoteError, Target, TargetError, Tariff, Work},
};
use alloy_primitives::B256;
use http::{
    HeaderMap, Method, StatusCode,
    header::{AUTHORIZATION, COOKIE},
};
use sha2::{Digest, Sha256};

/// A request, as the gateway received it and will forward it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a Method,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// The authority.
    pub authority: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// The headers, before [`strip_request`](crate::wire::strip_request).
    pub headers: &'a HeaderMap,
    /// The whole body.
    pub body: &'a [u8],
}

/// The price of a request.
#[derive(Clone, Debug)]
pub struct Offer {
    pub(super) quote: Quote,
    pub(super) work: Work,
    pub(super) fingerprint: Fingerprint,
    pub(super) url: String,
}

/// The reason why a request is not sold. The host answers with [`QuoteRefusal::status`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuoteRefusal {
    /// The target could mean two resources.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The request has no price.
    #[error(transparent)]
    Quote(#[from] QuoteError),
}

impl QuoteRefusal {
    /// Returns the status to answer with.
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Quote(QuoteError::NoRoute) => StatusCode::NOT_FOUND,
            Self::Target(_) | Self::Quote(_) => StatusCode::BAD_REQUEST,
        }
    }
}

impl Offer {
    /// Returns the prices; `None` for a free request.
    pub const fn tariff(&self) -> Option<&Tariff> {
        match &self.quote {
            Quote::Free => None,
            Quote::Sold(tariff) => Some(tariff),
        }
    }

    /// Returns the cost in units of the capacity.
    pub const fn work(&self) -> &Work {
        &self.work
    }

    /// Returns the request's identity.
    pub const fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

/// The identity of a request. A credential of MPP is not a part of it: it changes from one attempt to the next.
pub(super) fn fingerprint(request: &Request<'_>, target: &Target) -> Fingerprint {
    let values = |name| {
        request
            .headers
            .get_all(name)
            .iter()
            .map(|value| value.as_bytes())
    };
    let is_key = |value: &&[u8]| {
        let word = value.trim_ascii_start().split(|byte| *byte == b' ').next();
        !word.unwrap_or_default().eq_ignore_ascii_case(b"payment")
    };
    let authorization: Vec<_> = values(AUTHORIZATION).filter(is_key).collect();
    let cookie: Vec<_> = values(COOKIE).collect();
    Fingerprint::of(&FingerprintParts {
        method: request.method.as_str(),
        authority: request.authority,
        path_and_query: target.as_str(),
        body: B256::from_slice(&Sha256::digest(request.body)),
        authorization: &authorization,
        cookie: &cookie,
    })
}
