//! How a command ends.

use std::{fmt, process::ExitCode};

/// Exit codes, as documented in `cheque --help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// It is done.
    Done = 0,
    /// Something failed; stderr says what, and what to do.
    Failed = 1,
    /// A proof of payment was rejected: nothing was credited.
    Rejected = 3,
    /// There is nothing to redeem (yet): the outcome is not `payable`.
    NotPayable = 4,
    /// Interrupted by Ctrl-C.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error that has its own exit code and a stable name for programs.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
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
