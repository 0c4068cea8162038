//! Help, completions and usage errors, without a node. `TRYCMD=overwrite` records the present texts.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::process::{Command, Stdio};

use support::{program, stderr, text, wait_for};

#[test]
fn prints_the_recorded_help_and_errors() {
    trycmd::TestCases::new()
        .env("COLUMNS", "100")
        .case("tests/cmd/*.trycmd");
}

#[test]
fn shows_examples_in_the_help_of_every_verb() {
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
        &["deposit", "wait"],
        &["deposit", "watch"],
        &["deposit", "reclaim"],
        &["deposit", "reopen"],
        &["write"],
        &["stream", "open"],
        &["stream", "step"],
        &["receive"],
        &["inspect"],
        &["status"],
        &["seed", "record"],
        &["beacon"],
        &["beacon", "show"],
        &["beacon", "wait"],
        &["beacon", "verify"],
        &["chain", "check"],
        &["redeem"],
        &["holdings"],
        &["payee", "run"],
        &["payer", "run"],
        &["store", "init"],
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
fn completes_every_verb_in_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = program().args(["completions", shell]).output().unwrap();
        let script = text(&output.stdout);
        assert!(output.status.success());
        for verb in ["deposit", "reclaim", "holdings", "receive"] {
            assert!(script.contains(verb), "{shell} does not complete {verb}");
        }
    }
}

#[test]
fn rejects_private_key_on_the_command_line() {
    let output = program()
        .args(["fund", "1", "--private-key", "0x1234"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    for flag in ["--private-key=0x1234", "--interactive=0x1234"] {
        let output = program().args(["fund", "1", flag]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    }
}

#[test]
fn advises_to_check_state_after_ctrl_c() {
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
        let asked = wait_for(|| silent.accept().ok());
        let _connection = asked.expect("the program must connect to the node");
        let kill = Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130));
        stderr(&output)
    };
    let message = interrupted(&["write", &id, &payee, "1"]);
    assert!(
        message.contains("check `cheque write ID PAYEE --reprint` before you repeat it"),
        "{message}"
    );
    let message = interrupted(&["stream", "step", &id, &payee, "1"]);
    assert!(message.contains("--reprint"), "{message}");
    let message = interrupted(&["fund", "1"]);
    assert!(message.contains("before you repeat it"), "{message}");
    let message = interrupted(&["deploy"]);
    assert!(message.contains("run the same command"), "{message}");
}

/// Runs a command without a node, with a home of its own.
fn run(args: &[&str], input: &str) -> (Option<i32>, String) {
    let home = tempfile::tempdir().unwrap();
    let proof = home.path().join("proof.txt");
    std::fs::write(&proof, input).unwrap();
    let mut command = program();
    command.args(args).current_dir(home.path());
    let output = command.env("HOME", home.path()).output().unwrap();
    (output.status.code(), stderr(&output))
}

#[test]
fn tells_a_missing_file_from_a_rejected_payment() {
    for name in ["nosuchfile", "./nosuchfile.txt", "proofs/one", "Aqw"] {
        let (code, message) = run(&["receive", name], "");
        assert_eq!(code, Some(1), "{message}");
        assert!(message.contains("nor an existing file"), "{message}");
    }
    // Long enough for a proof, or in a file, the text is what the payer sent.
    assert_eq!(run(&["receive", &"A".repeat(100)], "").0, Some(3));
    assert_eq!(run(&["receive", "proof.txt"], "nosuchfile").0, Some(3));
}

#[test]
fn rejects_an_empty_id_everywhere() {
    let address = "0x".to_owned() + &"7".repeat(40);
    for args in [
        &["deposit", "watch"][..],
        &["deposit", "watch", ""],
        &["deposit", "wait"],
        &["deposit", "wait", ""],
        &["deposit", "show", ""],
        &["deposit", "open", ""],
        &["deposit", "reclaim", ""],
        &["write", "", &address, "1"],
        &["stream", "step", "", &address],
        &["status", ""],
        &["redeem", ""],
        &["redeem"],
    ] {
        let (code, message) = run(args, "");
        assert_eq!(code, Some(2), "{args:?}: {message}");
    }
}
