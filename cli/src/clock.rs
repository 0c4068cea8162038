//! The clock, read by no other file of the crate.

/// Reads the clock, in seconds since 1970. A clock set before 1970 reads as 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "the edge of the program, where time comes from"
)]
pub(crate) fn unix_now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
