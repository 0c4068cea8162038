//! Headers that pass the gateway. The upstream trusts what the gateway says about payments, so nobody else may say it.

use crate::wire::{encoding::amount, mpp::after_scheme};
use cheque::Amount;
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, WWW_AUTHENTICATE},
};
use serde::Deserialize;

/// Headers that change the method or the target behind the gateway's back.
const OVERRIDES: [&str; 6] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
    "x-original-method",
];

/// What the gateway tells the upstream.
const OURS: [&str; 3] = ["x-payer", "x-payment-id", "x-charged"];

/// What the upstream reports about its answer. Plain data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// The cost of the answer, in units of the token.
    pub charge: Option<Amount>,
    /// The units that the answer has used.
    pub units: Option<u64>,
    /// True if the upstream reported something that cannot be read. The host logs it, and charges the reserved price.
    pub is_unreadable: bool,
}

/// Removes from a request what only the gateway may say, its payment, and what would make the upstream serve another request
/// than the priced one. Call it on all routes, free ones included, before setting headers of the gateway.
pub fn strip_request(headers: &mut HeaderMap) {
    remove(headers, |name| {
        OVERRIDES.contains(&name) || OURS.contains(&name) || is_payment(name)
    });
    keep_values(headers, AUTHORIZATION);
}

/// Removes from an answer of the upstream what only the gateway may say, and returns what it reports. `reserved` is the
/// reserved price, of which `Settlement-Overrides` may name a share; a share is rounded up.
pub fn strip_answer(headers: &mut HeaderMap, reserved: Amount) -> Reported {
    let mut reported = Reported::default();
    let text = |name: &str| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap_or_default())
    };
    if let Some(text) = text("cheque-units") {
        reported.units = text.trim().parse().ok();
        reported.is_unreadable |= reported.units.is_none();
    }
    let override_charge = text("settlement-overrides").map(|text| overridden(text, reserved));
    let own_charge = text("cheque-charge").map(|text| amount(text.trim(), "Cheque-Charge").ok());
    if let Some(charge) = own_charge.or(override_charge) {
        reported.charge = charge;
        reported.is_unreadable |= charge.is_none();
    }
    remove(headers, |name| {
        name == "settlement-overrides" || is_payment(name)
    });
    keep_values(headers, WWW_AUTHENTICATE);
    reported
}

/// Reads `{"amount":"700"}` or `{"amount":"50%"}`.
fn overridden(text: &str, reserved: Amount) -> Option<Amount> {
    #[derive(Deserialize)]
    struct Overrides {
        amount: String,
    }
    let overrides: Overrides = serde_json::from_str(text).ok()?;
    match overrides.amount.strip_suffix('%') {
        Some(percent) => {
            let percent = amount(percent, "amount")
                .ok()
                .filter(|percent| percent.get() <= 100)?;
            let share = reserved.to_u256() * percent.to_u256();
            let hundred = Amount::new(100).to_u256();
            u128::try_from(share.div_ceil(hundred))
                .ok()
                .map(Amount::new)
        }
        None => amount(&overrides.amount, "amount").ok(),
    }
}

fn is_payment(name: &str) -> bool {
    // x402 version 1 has `X-Payment` and `X-Payment-Response`.
    let prefixes = ["cheque-", "payment-", "x-payment"];
    name == "cheque" || prefixes.iter().any(|prefix| name.starts_with(prefix))
}

fn remove(headers: &mut HeaderMap, is_removed: impl Fn(&str) -> bool) {
    let names: Vec<_> = headers
        .keys()
        // To CGI and its heirs `X_Payer` and `X-Payer` are one name.
        .filter(|name| is_removed(&name.as_str().replace('_', "-")))
        .cloned()
        .collect();
    for name in names {
        headers.remove(name);
    }
}

/// Keeps those values of an authentication header that are of another scheme than `Payment`.
fn keep_values(headers: &mut HeaderMap, name: HeaderName) {
    let is_payment = |value: &HeaderValue| {
        let text = value.as_bytes().trim_ascii_start();
        let word = text.split(|byte| *byte == b' ').next().unwrap_or_default();
        word.eq_ignore_ascii_case(b"payment")
            || value.to_str().ok().and_then(after_scheme).is_some()
    };
    let kept: Vec<_> = headers
        .get_all(&name)
        .iter()
        .filter(|value| !is_payment(value))
        .cloned()
        .collect();
    headers.remove(&name);
    for value in kept {
        headers.append(&name, value);
    }
}
