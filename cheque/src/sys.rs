//! The clock and the random number generator of the machine. No other file of this crate reads them.

use std::time::Duration;

/// Returns the time in seconds since 1970; zero for earlier dates.
#[cfg(any(feature = "client", feature = "local-beacon"))]
pub(crate) fn unix_now() -> u64 {
    since_1970().as_secs()
}

/// Returns the time since 1970; zero for earlier dates.
#[expect(
    clippy::disallowed_methods,
    reason = "the source of the time that the core takes as an argument"
)]
pub(crate) fn since_1970() -> Duration {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
}

/// Draws 32 bytes from the operating system's cryptographic random number generator.
pub(crate) fn random() -> Result<[u8; 32], getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
