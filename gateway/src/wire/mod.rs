//! Payments on the wire: x402 v2, MPP, and a short header of our own. SPEC.md section 17.2 has the forms.
//!
//! Encoding and decoding only: no socket, clock or ledger.

mod answer;
mod encoding;
mod forwarded;
mod key;
mod mpp;
mod native;
mod offer;
mod problem;
mod shown;
mod stream;
mod terms;
mod x402;

#[cfg(test)]
mod tests;

pub(crate) use answer::stream_receipt;
pub use answer::{Reply, Wire};
pub use encoding::FormError;
pub(crate) use encoding::to_header;
pub use forwarded::{Reported, strip_answer, strip_request};
pub use key::{IDEMPOTENCY_KEY, PAYMENT_IDENTIFIER};
pub use mpp::{Challenge, ChallengeEcho, Credential, Intent, MppReceipt, MppRequest};
pub use native::{BALANCE, CHARGED, CHEQUE, MAX};
pub(crate) use offer::exact_offers;
pub use offer::{PayeeTerms, ShownState, WireOffer};
pub use problem::Problem;
pub(crate) use shown::of_scheme_exact;
pub use shown::{Paying, Protocol, ShownError};
pub use stream::{NeedVoucher, SocketFrame};
pub(crate) use stream::{need_event, receipt_event};
pub use terms::TokenTerms;
pub use x402::{PaymentPayload, PaymentRequired, Requirements, Resource, SettleResponse};

use http::HeaderName;

/// The request headers that a cross-origin page must be allowed to send. The stock x402 client sends the second one.
pub const CORS_ALLOW: &str = "payment-signature, access-control-expose-headers, authorization, payment-authorization, \
                              accept-payment, idempotency-key, cheque, cheque-max, content-type";

/// The response headers that a cross-origin page must be allowed to read.
pub const CORS_EXPOSE: &str = "payment-required, payment-response, www-authenticate, payment-receipt, cheque-balance, cheque-charged, retry-after";

/// The offer of x402.
pub const PAYMENT_REQUIRED: HeaderName = HeaderName::from_static("payment-required");
/// The payment of x402.
pub const PAYMENT_SIGNATURE: HeaderName = HeaderName::from_static("payment-signature");
/// The receipt of x402.
pub const PAYMENT_RESPONSE: HeaderName = HeaderName::from_static("payment-response");
/// The payment of MPP, where `Authorization` is taken by something else.
pub const PAYMENT_AUTHORIZATION: HeaderName = HeaderName::from_static("payment-authorization");
/// The receipt of MPP.
pub const PAYMENT_RECEIPT: HeaderName = HeaderName::from_static("payment-receipt");
