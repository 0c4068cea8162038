//! Rates of the tokens that are sold: what redeeming costs in each of them.
//!
//! A payee follows the rates of its bank's tokens. A token whose rate is missing, too old or in doubt stops: it is neither
//! offered nor taken, until its rate is good again. Other tokens are sold meanwhile.

use crate::offers::{Offers, OffersFault, Token};
use cheque::{Bank, bank::TokenRates};
use std::collections::BTreeMap;

/// Tokens that are not sold now by their names, each with the reason.
pub type Stopped = BTreeMap<String, String>;

impl Offers {
    /// Returns the rates of a bank's tokens, for [`Payee::with_rates`](cheque::payee::Payee::with_rates).
    ///
    /// # Errors
    ///
    /// [`OffersFault::NoRate`] names a token without a rate.
    pub fn rates(&self, bank: &Bank) -> Result<TokenRates, OffersFault> {
        let rates = TokenRates::new();
        for token in self.tokens().filter(|token| bank_of(token) == *bank) {
            let address = token.currency.token;
            match &token.rate {
                Some(rate) => {
                    let (source, bounds) = (rate.source.clone(), rate.bounds);
                    rates.follow(address, token.decimals, source, bounds)?;
                }
                None if address.is_zero() => {}
                None => return Err(OffersFault::NoRate(token.name.clone())),
            }
        }
        Ok(rates)
    }

    /// Returns the tokens without a rate that can be used now, for [`Seller::set_stopped`](crate::Seller::set_stopped).
    /// `rates` returns those that the payee of a bank follows.
    pub fn stopped(&self, rates: impl Fn(&Bank) -> Option<TokenRates>) -> Stopped {
        let stopped = self.tokens().filter_map(|token| {
            let reason = match rates(&bank_of(token)) {
                Some(rates) => rates.of(token.currency.token).err()?.to_string(),
                None => "its bank has no payee".to_owned(),
            };
            Some((token.name.clone(), reason))
        });
        stopped.collect()
    }
}

fn bank_of(token: &Token) -> Bank {
    Bank::new(token.currency.chain_id, token.bank)
}
