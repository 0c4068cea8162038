//! Errors of a composer.

/// An error of composing a deposit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ComposeError {
    /// There are too few candidates. The composer remembers when to try again.
    #[error(
        "the prior weights sum up to {sum}, below the threshold of {threshold}; find more providers, and try again at {retry_at_s} s"
    )]
    PriorsTooSmall {
        /// Sum of all prior weights.
        sum: u128,
        /// Minimum sum.
        threshold: u64,
        /// Time of the next attempt: 20 s later.
        retry_at_s: u64,
    },
    /// The last attempt failed, and another is too early.
    #[error("the last attempt failed, and the time is {now_s} s; try again at {until_s} s")]
    Waiting {
        /// Present time.
        now_s: u64,
        /// Time of the next attempt.
        until_s: u64,
    },
    /// A deposit was composed, and its outcome is not reported yet.
    #[error(
        "the deposit of round {round} is being opened; report the outcome, or try again at {until_s} s"
    )]
    Creating {
        /// Number of the composition.
        round: u64,
        /// Time at which the composer abandons the deposit: 5 min for opening, and 30 min after that.
        until_s: u64,
    },
}

/// An error of reporting a deposit. Nothing changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenedError {
    /// The report is about another composition than the one being opened.
    #[error(
        "the report is about round {found}, and {expected:?} is being opened; report each round once, before composing the next"
    )]
    WrongRound {
        /// Reported number.
        found: u64,
        /// Number of the composition being opened, if any.
        expected: Option<u64>,
    },
    /// A deposit of this id is open already.
    #[error("the deposit is open already; report each deposit once")]
    AlreadyOpen,
}
