//! The short form: proofs in a header, and no JSON. A tenth of the bytes, for requests in great numbers.
//!
//! ```text
//! Cheque: <proof>[, <proof>]      Cheque-Max: <units>        Cheque-Balance: <units>        Cheque-Charged: <units>
//! ```

use crate::{
    ledger::{MaxPrice, Payment},
    wire::encoding::{FormError, amount, proofs},
};
use http::HeaderName;

/// The proofs of a payment, divided by commas.
pub const CHEQUE: HeaderName = HeaderName::from_static("cheque");
/// The most that the request accepts to pay, in units of the token of its proofs. Without it: what the proofs add.
pub const MAX: HeaderName = HeaderName::from_static("cheque-max");
/// In an answer: the account's balance, in units of the token.
pub const BALANCE: HeaderName = HeaderName::from_static("cheque-balance");
/// In an answer: what the request was charged, in units of the token.
pub const CHARGED: HeaderName = HeaderName::from_static("cheque-charged");

/// Reads a payment from the values of [`CHEQUE`] and of [`MAX`].
pub(super) fn payment(cheques: &[&str], max: Option<&str>) -> Result<Payment, FormError> {
    let texts: Vec<_> = cheques
        .iter()
        .flat_map(|value| value.split(','))
        .map(|proof| proof.trim().to_owned())
        .collect();
    let max = max
        .map(|text| amount(text.trim(), "Cheque-Max"))
        .transpose()?;
    Ok(Payment {
        proofs: proofs(&texts)?,
        max: max.map(|amount| MaxPrice {
            currency: None,
            amount,
        }),
    })
}
