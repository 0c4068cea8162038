//! The price of the native coin in a token.

use cheque::bank::{NativeRate, NativeRates};
use clap::Args;
use eyre::{Result, WrapErr, ensure, eyre};

use crate::amount::{AmountText, Token};

/// Wei in a whole native coin.
const COIN: u128 = 1_000_000_000_000_000_000;

/// The rate to price gas in a token.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct RateOpts {
    /// Price gas at this many tokens per native coin, such as 2500.0
    #[arg(long, value_name = "AMOUNT")]
    tokens_per_coin: Option<AmountText>,
}

impl RateOpts {
    /// The rate of the token; empty without the flag.
    pub(crate) fn rates(&self, token: &Token) -> Result<NativeRates> {
        let mut rates = NativeRates::default();
        if let Some(text) = &self.tokens_per_coin {
            ensure!(
                !token.is_coin(),
                "--tokens-per-coin is set without a token; name one with --token"
            );
            let units = text.in_units_of(token).wrap_err("--tokens-per-coin")?;
            let rate = NativeRate::new(COIN, units.get());
            rates.set(
                token.address,
                rate.ok_or_else(|| eyre!("--tokens-per-coin is zero; name a larger rate"))?,
            );
        }
        Ok(rates)
    }
}
