//! Reading and checking the terms of a token: its rate against the native coin, and its transfers by the scheme `exact`.

use crate::offers::{
    error::{OffersError, OffersFault},
    file::{OffersFile, TokenEntry},
    types::{ExactTerms, TokenRate},
};
use cheque::{
    Address,
    bank::{RateBounds, RateSource, RateSourceError, TokenRates},
};
use toml::Spanned;

/// The terms of a token's transfers by the scheme `exact`.
pub(super) fn exact(
    text: &str,
    file: &OffersFile,
    token: &TokenEntry,
) -> Result<Option<ExactTerms>, OffersError> {
    let Some(domain) = &token.eip712 else {
        return Ok(None);
    };
    let fault = |fault| Err(OffersError::at(text, domain.span(), fault));
    let Some(exact) = &file.exact else {
        return fault(OffersFault::NoFacilitator);
    };
    if token.address.is_none_or(|address| address.is_zero()) {
        return fault(OffersFault::ExactCoin);
    }
    let domain = domain.get_ref();
    Ok(Some(ExactTerms {
        pay_to: exact.pay_to,
        name: domain.name.clone(),
        version: domain.version.clone(),
    }))
}

/// The source of a token's rate. A token without one has its rate from the payee's flags.
pub(super) fn rate(
    text: &str,
    token: &TokenEntry,
    decimals: u8,
) -> Result<Option<TokenRate>, OffersError> {
    let at = |span: std::ops::Range<usize>, fault| OffersError::at(text, span, fault);
    let (age, jump) = (&token.rate_max_age, &token.rate_max_jump);
    let bound = age.as_ref().map(Spanned::span);
    let bound = bound.or(jump.as_ref().map(Spanned::span));
    let Some(written) = &token.tokens_per_coin else {
        return match bound {
            Some(span) => Err(at(span, OffersFault::RateBounds)),
            None => Ok(None),
        };
    };
    if token.address.is_none_or(|address| address.is_zero()) {
        return Err(at(written.span(), OffersFault::RateOfCoin));
    }
    let wrong = |error: RateSourceError| at(written.span(), error.into());
    let source: RateSource = written.get_ref().parse().map_err(wrong)?;
    if let (RateSource::Fixed(_), Some(span)) = (&source, bound) {
        return Err(at(span, OffersFault::RateBounds));
    }
    let mut bounds = RateBounds::default();
    if let Some(age) = age {
        let wrong = |_| at(age.span(), OffersFault::Duration(age.get_ref().clone()));
        let duration = humantime::parse_duration(age.get_ref()).map_err(wrong)?;
        bounds.max_age = duration.as_secs();
    }
    bounds.max_jump = jump
        .as_ref()
        .map_or(bounds.max_jump, |jump| *jump.get_ref());
    // A fixed rate is checked against the token's decimals here, not when it is first used.
    let trial = TokenRates::new();
    let followed = trial.follow(Address::ZERO, decimals, source.clone(), bounds);
    followed.map_err(wrong)?;
    Ok(Some(TokenRate { source, bounds }))
}
