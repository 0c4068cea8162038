//! The only place of this crate that asks the machine for the date and for randomness.

/// Seconds since 1970. A clock set before 1970 reads as 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "the core takes time as an argument; this is where it comes from"
)]
pub(crate) fn unix_now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// 32 bytes from the operating system's cryptographic random number generator.
pub(crate) fn random() -> Result<[u8; 32], getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
