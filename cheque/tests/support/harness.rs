//! The `main` of test binaries with helper processes, or with tests ignored at run time.
//!
//! The harness of rustc has neither: a helper process and a test without its server would both count as passed tests.
//! Mount this file beside `process.rs` and call [`run`] from `main`.

#![allow(dead_code, reason = "every test binary uses its own part of this")]

use libtest_mimic::{Arguments, Completion, Trial};
use std::process::ExitCode;

/// The environment variable with the role to run instead of tests.
pub(crate) const ROLE: &str = "CHEQUE_TEST_ROLE";

/// Name and code of a helper process.
pub(crate) type Role = (&'static str, fn());

/// A test of a binary with its own `main`.
pub(crate) struct Test {
    name: String,
    run: Box<dyn FnOnce() + Send>,
    missing: Option<String>,
}

impl Test {
    pub(crate) fn new(name: impl Into<String>, run: impl FnOnce() + Send + 'static) -> Self {
        Self {
            name: name.into(),
            run: Box::new(run),
            missing: None,
        }
    }

    /// Ignores the test if something is `missing`: the reason and the remedy.
    #[must_use]
    pub(crate) fn ignored_if(self, missing: Option<String>) -> Self {
        Self { missing, ..self }
    }

    fn trial(self, arguments: &Arguments) -> Trial {
        let Self { name, run, missing } = self;
        // nextest reads the flag from its list of tests. A run by cargo prints the reason, which the flag cannot carry.
        let by_flag = arguments.list || arguments.ignored || arguments.include_ignored;
        match missing {
            Some(reason) if !by_flag => {
                Trial::ignorable_test(name, || Ok(Completion::ignored_with(reason)))
            }
            missing => {
                let run = || {
                    run();
                    Ok(())
                };
                Trial::test(name, run).with_ignored_flag(missing.is_some())
            }
        }
    }
}

/// Lists functions as tests, named by their paths. The compiler warns of an unlisted function.
macro_rules! tests {
    ($($test:path),* $(,)?) => {
        vec![$(crate::harness::Test::new(stringify!($test), $test)),*]
    };
}
pub(crate) use tests;

/// Ignores all of `tests` if something is `missing`.
pub(crate) fn ignore_if(missing: Option<String>, tests: Vec<Test>) -> impl Iterator<Item = Test> {
    tests
        .into_iter()
        .map(move |test| test.ignored_if(missing.clone()))
}

/// Runs the role named by the environment, else the tests selected by the arguments.
pub(crate) fn run(roles: &[Role], tests: impl FnOnce() -> Vec<Test>) -> ExitCode {
    if let Ok(name) = std::env::var(ROLE) {
        let role = roles.iter().find(|(role, _)| *role == name);
        let (_, run) = role.unwrap_or_else(|| panic!("{ROLE}={name} is no role of this binary"));
        run();
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::from_args();
    let trials = tests().into_iter().map(|test| test.trial(&arguments));
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// Number of kills in each kill test: 20, or the environment variable `SOAK_KILLS`.
pub(crate) fn kills() -> usize {
    std::env::var("SOAK_KILLS").map_or(20, |text| {
        text.parse().expect("SOAK_KILLS is the number of kills")
    })
}
