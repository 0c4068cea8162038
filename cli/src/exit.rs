//! Exit codes and failures with a stable code.

use std::{fmt, process::ExitCode};

/// Exit codes, documented in `cheque --help`. Wrong usage is clap's code 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// The command succeeded.
    Done = 0,
    /// The command failed; stderr has the reason and the next step.
    Failed = 1,
    /// The proof of payment was rejected and nothing was credited.
    Rejected = 3,
    /// The bank would not pay the redemption now: the outcome is not `payable`.
    NotPayable = 4,
    /// The deposit did not reach the state within the time limit.
    TimedOut = 5,
    /// Some payments of a file were made, others were not.
    Partly = 6,
    /// Interrupted by Ctrl-C.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error with an exit code and a stable name for programs.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// A stable name in snake case.
    pub(crate) code: String,
    /// The cause and the next step.
    pub(crate) text: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}
