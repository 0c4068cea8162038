//! What the program says without a node: help, completions, usage errors. `TRYCMD=overwrite` writes it down anew.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::process::{Command, Stdio};

use common::{pause, program, stderr, text};

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
        &["deposit", "find"],
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
        &["payee", "run"],
        &["store", "backup"],
        &["store", "restore"],
        &["market", "info"],
        &["market", "clients"],
        &["market", "priority"],
        &["market", "add-balance"],
        &["market", "set-params"],
        &["market", "set-tags"],
        &["market", "set-defaults"],
        &["market", "set-bias"],
        &["market", "notify"],
        &["market", "watch"],
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

#[test]
fn ctrl_c_tells_to_look_before_paying_again() {
    // A node that never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    silent.set_nonblocking(true).unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let (id, payee) = (
        "0x".to_owned() + &"5".repeat(64),
        "0x".to_owned() + &"7".repeat(40),
    );
    let interrupted = |args: &[&str]| {
        let mut command = program();
        command.args(args).args(["--rpc-url", &url]);
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut asked = silent.accept();
        for _ in 0..400 {
            if asked.is_ok() {
                break;
            }
            pause(50);
            asked = silent.accept();
        }
        let _waits = asked.expect("it asks the node");
        let kill = Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130));
        stderr(&output)
    };
    let said = interrupted(&["write", &id, &payee, "1"]);
    assert!(
        said.contains("see `cheque write ID PAYEE --again` first"),
        "{said}"
    );
    let said = interrupted(&["stream", "step", &id, &payee, "1"]);
    assert!(said.contains("--again"), "{said}");
    let said = interrupted(&["fund", "1"]);
    assert!(said.contains("before repeating it"), "{said}");
    let said = interrupted(&["deploy"]);
    assert!(said.contains("the same command picks it up"), "{said}");
}
