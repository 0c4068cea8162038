//! The price of the native coin in a token.

use std::time::Duration;

use cheque::bank::{RateBounds, RateSource, TokenRates};
use clap::Args;
use eyre::{Result, WrapErr, ensure};

use super::time::parse_duration;
use crate::amount::Token;

/// The rate to price gas in a token.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct RateOpts {
    /// Price gas at this many tokens per native coin, such as 2500.0
    ///
    /// A number with a decimal point; or file:PATH, a file with such a number, read again every 30 s; or feed:ADDRESS, a
    /// Chainlink feed of tokens per coin on this chain, such as ETH/USD for a dollar token.
    #[arg(long, value_name = "RATE")]
    tokens_per_coin: Option<RateSource>,

    /// Refuse the token while its file or feed is older [default: 25h]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    rate_max_age: Option<Duration>,

    /// Refuse the token after a larger change of its file or feed [default: 50]
    ///
    /// In percent of the smaller of two readings. A restart takes the new rate over.
    #[arg(long, value_name = "PERCENT")]
    rate_max_jump: Option<u32>,
}

impl RateOpts {
    /// The rate of the token; empty without the flag.
    pub(crate) fn rates(&self, token: &Token) -> Result<TokenRates> {
        let rates = TokenRates::new();
        if let Some(source) = &self.tokens_per_coin {
            ensure!(
                !token.is_coin(),
                "--tokens-per-coin is set without a token; name one with --token"
            );
            let default = RateBounds::default();
            let bounds = RateBounds {
                max_age: self
                    .rate_max_age
                    .map_or(default.max_age, |age| age.as_secs()),
                max_jump: self.rate_max_jump.unwrap_or(default.max_jump),
            };
            rates
                .follow(token.address, token.decimals, source.clone(), bounds)
                .wrap_err("--tokens-per-coin")?;
        }
        Ok(rates)
    }
}
