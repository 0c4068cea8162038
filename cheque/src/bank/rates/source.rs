//! The places from which rates come, and how a rate is written.

use crate::{
    bank::{
        cost::NativeRate,
        rates::reading::{RateFault, Reading},
    },
    protocol::amount::Amount,
};
use alloy_primitives::Address;
use std::{
    fmt,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    str::FromStr,
    time::UNIX_EPOCH,
};

/// Wei in a whole native coin.
pub(super) const COIN: u128 = 1_000_000_000_000_000_000;

/// The longest text in a file, in bytes.
const MAX_TEXT: u64 = 128;

/// The place from which the rate of a token comes: `2500.0`, `file:PATH` or `feed:ADDRESS`.
///
/// The number is of whole tokens for a whole coin, and has a decimal point, because amounts without one are in units
/// elsewhere. A file has such a number and is read again. A feed is a contract with the interface of Chainlink's
/// `AggregatorV3Interface` that tells tokens per coin, such as ETH/USD for a dollar token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RateSource {
    /// A number of tokens per coin.
    Fixed(String),
    /// A file with the number.
    File(PathBuf),
    /// A feed on the bank's chain.
    Feed(Address),
}

/// The reason why a text is no rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RateSourceError {
    /// The text is no number with a decimal point.
    #[error("{0:?} is no number of tokens per coin; write it with a decimal point, such as 2500.0")]
    Number(String),
    /// The number is zero, too large, or finer than the token.
    #[error("{0} tokens per coin is zero, too large, or has more decimals than the token")]
    Range(String),
    /// The place has no path.
    #[error("file: names no path; write file:PATH")]
    NoPath,
    /// The feed is no address.
    #[error("{0:?} is no address of a feed; write feed:0x and 40 hexadecimal digits")]
    Feed(String),
}

impl FromStr for RateSource {
    type Err = RateSourceError;

    fn from_str(text: &str) -> Result<Self, RateSourceError> {
        if let Some(path) = text.strip_prefix("file:") {
            return match path.is_empty() {
                true => Err(RateSourceError::NoPath),
                false => Ok(Self::File(path.into())),
            };
        }
        if let Some(address) = text.strip_prefix("feed:") {
            let wrong = || RateSourceError::Feed(address.to_owned());
            let hex = address.strip_prefix("0x").ok_or_else(wrong)?;
            return hex.parse().map(Self::Feed).map_err(|_| wrong());
        }
        check_number(text)?;
        Ok(Self::Fixed(text.to_owned()))
    }
}

impl fmt::Display for RateSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(text) => f.write_str(text),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Feed(address) => write!(f, "feed:{address}"),
        }
    }
}

fn check_number(text: &str) -> Result<(), RateSourceError> {
    let parts = text.split_once('.');
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match parts {
        Some((whole, fraction)) if is_number(whole) && is_number(fraction) => Ok(()),
        _ => Err(RateSourceError::Number(text.to_owned())),
    }
}

/// Reads a number of tokens per coin, exactly.
pub(super) fn rate_of(text: &str, decimals: u8) -> Result<NativeRate, RateSourceError> {
    check_number(text)?;
    let short = text.trim_end_matches('0').trim_end_matches('.');
    let wrong = || RateSourceError::Range(text.to_owned());
    let units = Amount::from_tokens(short, decimals).map_err(|_| wrong())?;
    NativeRate::new(COIN, units.get()).ok_or_else(wrong)
}

/// Reads the number in a file. Its age is that of the file.
pub(super) async fn read(path: &Path, decimals: u8) -> Result<Reading, RateFault> {
    let path = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || read_now(&path, decimals));
    reading
        .await
        .unwrap_or_else(|error| Err(RateFault::Unread(error.to_string())))
}

fn read_now(path: &Path, decimals: u8) -> Result<Reading, RateFault> {
    let unread = |error: std::io::Error| RateFault::Unread(error.to_string());
    let file = File::open(path).map_err(unread)?;
    let written = file.metadata().and_then(|data| data.modified());
    let written = written.map_err(unread)?.duration_since(UNIX_EPOCH);
    let mut text = String::new();
    let mut start = file.take(MAX_TEXT + 1);
    start.read_to_string(&mut text).map_err(unread)?;
    if text.len() as u64 > MAX_TEXT {
        let reason = "the file is longer than a number".to_owned();
        return Err(RateFault::Unread(reason));
    }
    let rate = rate_of(text.trim(), decimals);
    Ok(Reading {
        rate: rate.map_err(|error| RateFault::Unread(error.to_string()))?,
        at: Some(written.unwrap_or_default().as_secs()),
    })
}
