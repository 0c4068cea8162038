//! How often something happens that takes its time: seldom in every run, often in `make soak`.

/// How often a process is killed: 20 times, or what the environment variable `SOAK_KILLS` says.
pub(crate) fn kills() -> usize {
    std::env::var("SOAK_KILLS").map_or(20, |text| {
        text.parse().expect("SOAK_KILLS is the number of kills")
    })
}
