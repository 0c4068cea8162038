//! What the program says without a node: help, completions, usage errors. `TRYCMD=overwrite` writes it down anew.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use common::{program, stderr, text};

#[test]
fn help_and_errors_are_as_written_down() {
    trycmd::TestCases::new()
        .env("COLUMNS", "100")
        .case("tests/cmd/*.trycmd");
}

#[test]
fn every_verb_explains_itself_with_examples() {
    let verbs: &[&[&str]] = &[
        &["demo"],
        &["deploy"],
        &["fund"],
        &["withdraw"],
        &["balance"],
        &["deposit", "create"],
        &["deposit", "open"],
        &["deposit", "list"],
        &["deposit", "show"],
        &["deposit", "watch"],
        &["deposit", "reclaim"],
        &["deposit", "reopen"],
        &["write"],
        &["stream", "open"],
        &["stream", "step"],
        &["receive"],
        &["inspect"],
        &["outcome"],
        &["seed", "record"],
        &["redeem"],
        &["ledger"],
        &["completions"],
    ];
    for verb in verbs {
        let output = program().args(*verb).arg("--help").output().unwrap();
        let help = text(&output.stdout);
        assert!(output.status.success(), "{verb:?}");
        assert!(help.contains("Examples:"), "{verb:?}: {help}");
        assert!(
            help.contains(&format!("  cheque {}", verb.join(" "))),
            "{verb:?}"
        );
        assert!(output.stderr.is_empty());
    }
}

#[test]
fn completions_know_every_verb_in_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = program().args(["completions", shell]).output().unwrap();
        let script = text(&output.stdout);
        assert!(output.status.success());
        for verb in ["deposit", "reclaim", "ledger", "receive"] {
            assert!(script.contains(verb), "{shell} does not know {verb}");
        }
    }
}

#[test]
fn a_private_key_is_not_taken_from_the_command_line() {
    let output = program()
        .args(["fund", "1", "--private-key", "0x1234"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let output = program()
        .args(["fund", "1", "--private-key=0x1234"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}
