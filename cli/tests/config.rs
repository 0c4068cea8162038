//! Where settings come from: flag, environment, file, default, in this order.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::{fs, path::PathBuf, process::Command};

use common::{program, stderr};

/// A folder with a configuration file.
struct Home(tempfile::TempDir);

impl Home {
    fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("cheque.toml"), config).unwrap();
        Self(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("cheque.toml")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = program();
        command.args(args).env("HOME", self.0.path());
        command.env_remove("XDG_DATA_HOME");
        command
    }
}

/// What a command that fails says.
fn said(command: &mut Command, code: i32) -> String {
    let output = command.output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

#[test]
fn a_flag_counts_before_the_environment_and_that_before_the_file_and_that_before_the_default() {
    let home = Home::new("store = '/nowhere/file'");
    let backup = ["store", "backup", "copy"];
    let store_of = |command: &mut Command| {
        let said = said(command, 1);
        let place = said.trim_end().strip_prefix("error: there is no store in ");
        place.unwrap_or_else(|| panic!("{said}")).to_owned()
    };

    let all = [&backup[..], &["--store", "/nowhere/flag"]].concat();
    let mut flag = home.command(&all);
    flag.env("CHEQUE_STORE", "/nowhere/environment")
        .env("CHEQUE_CONFIG", home.file());
    assert_eq!(store_of(&mut flag), "/nowhere/flag");

    let mut environment = home.command(&backup);
    environment
        .env("CHEQUE_STORE", "/nowhere/environment")
        .env("CHEQUE_CONFIG", home.file());
    assert_eq!(store_of(&mut environment), "/nowhere/environment");

    let mut file = home.command(&backup);
    file.env("CHEQUE_CONFIG", home.file());
    assert_eq!(store_of(&mut file), "/nowhere/file");

    let default = home.0.path().join(".local/share/cheque");
    assert_eq!(
        store_of(&mut home.command(&backup)),
        default.to_str().unwrap()
    );
}

#[test]
fn the_same_holds_for_a_wallet_whose_variables_the_parser_does_not_know() {
    let home = Home::new("keystore = '/nowhere/file'");
    let wallet_of = |args: &[&str], variable: Option<(&str, &str)>| {
        let mut command = home.command(&[&["balance"], args].concat());
        command.env("CHEQUE_CONFIG", home.file()).envs(variable);
        said(&mut command, 1)
    };
    let environment = Some(("ETH_KEYSTORE", "/nowhere/environment"));
    assert!(wallet_of(&["--keystore", "/nowhere/flag"], environment).contains("/nowhere/flag"));
    assert!(wallet_of(&["--account", "alice"], environment).contains("no account `alice`"));
    assert!(wallet_of(&[], environment).contains("/nowhere/environment"));
    let account = Some(("ETH_KEYSTORE_ACCOUNT", "bob"));
    assert!(wallet_of(&[], account).contains("no account `bob`"));
    assert!(wallet_of(&[], None).contains("/nowhere/file"));
    assert!(said(&mut home.command(&["balance"]), 1).contains("this needs a key"));
}

#[test]
fn the_flag_that_names_the_file_counts_before_the_variable() {
    let (one, two) = (
        Home::new("store = '/nowhere/one'"),
        Home::new("store = '/nowhere/two'"),
    );
    let file = one.file();
    let named = ["--config", file.to_str().unwrap()];
    for args in [
        [&named[..], &["store", "backup", "copy"]].concat(),
        [&["store", "backup", "copy"], &named[..]].concat(),
    ] {
        let mut command = two.command(&args);
        command.env("CHEQUE_CONFIG", two.file());
        assert!(said(&mut command, 1).contains("/nowhere/one"), "{args:?}");
    }
}

#[test]
fn a_file_that_cannot_be_used_is_wrong_usage_and_help_does_without() {
    let missing = said(
        program().env("CHEQUE_CONFIG", "/nowhere/x").arg("balance"),
        2,
    );
    assert!(
        missing.contains("cannot read the configuration file /nowhere/x"),
        "{missing}"
    );
    let home = Home::new("store = 'x'\nprivate-key = \"0x1234\"'");
    let broken = said(
        program().env("CHEQUE_CONFIG", home.file()).arg("balance"),
        2,
    );
    assert!(broken.contains("line 2"), "{broken}");
    assert!(!broken.contains("0x1234"), "{broken}");
    for args in [
        &["--help"][..],
        &["balance", "--help"],
        &["help", "balance"],
        &["--version"],
    ] {
        let shown = program()
            .env("CHEQUE_CONFIG", home.file())
            .args(args)
            .output();
        assert!(shown.unwrap().status.success(), "{args:?}");
    }
}

#[test]
fn a_bad_value_of_the_file_says_where_it_is() {
    let home = Home::new("chain = 'nowhere'\nstore = 'somewhere'");
    let mut command = home.command(&["ledger"]);
    let said = said(command.env("CHEQUE_CONFIG", home.file()), 2);
    assert!(
        said.contains("invalid value 'nowhere' for '--chain <CHAIN>'"),
        "{said}"
    );
    let tip = format!("{} says --store, --chain", home.file().display());
    assert!(said.contains(&tip), "{said}");
}
