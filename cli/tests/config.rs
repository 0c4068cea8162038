//! The precedence of settings: flag, environment, file, default.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{fs, path::PathBuf, process::Command};

use support::{program, stderr};

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

/// Runs a command, which must end with this exit code, and returns its stderr.
fn fails(command: &mut Command, code: i32) -> String {
    let output = command.output().unwrap();
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{message}");
    message
}

#[test]
fn prefers_flag_to_environment_to_file_to_default() {
    let home = Home::new("store = '/nowhere/file'");
    let backup = ["store", "backup", "copy"];
    let store_of = |command: &mut Command| {
        let message = fails(command, 1);
        let told = message.strip_prefix("error: there is no store in ");
        let place = told.and_then(|told| told.split_once(';'));
        place.unwrap_or_else(|| panic!("{message}")).0.to_owned()
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

    // The two settings of the store exclude each other, and the first of them has precedence.
    let secret = home.0.path().join("secret");
    fs::write(&secret, "/nowhere/secret\n").unwrap();
    environment
        .env_remove("CHEQUE_STORE")
        .env("CHEQUE_STORE_FILE", &secret);
    assert_eq!(store_of(&mut environment), "/nowhere/secret");
    flag.env_remove("CHEQUE_STORE")
        .env("CHEQUE_STORE_FILE", &secret);
    assert_eq!(store_of(&mut flag), "/nowhere/flag");
    environment.env("CHEQUE_STORE", "/nowhere/environment");
    assert!(fails(&mut environment, 1).contains("are both set"));

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
fn prefers_wallet_variables_to_the_file() {
    // The parser of the flags does not read these variables.
    let home = Home::new("keystore = '/nowhere/file'");
    let wallet_of = |args: &[&str], variable: Option<(&str, &str)>| {
        let mut command = home.command(&[&["balance"], args].concat());
        command.env("CHEQUE_CONFIG", home.file()).envs(variable);
        fails(&mut command, 1)
    };
    let environment = Some(("ETH_KEYSTORE", "/nowhere/environment"));
    assert!(wallet_of(&["--keystore", "/nowhere/flag"], environment).contains("/nowhere/flag"));
    assert!(wallet_of(&["--account", "alice"], environment).contains("no account `alice`"));
    assert!(wallet_of(&[], environment).contains("/nowhere/environment"));
    let account = Some(("ETH_KEYSTORE_ACCOUNT", "bob"));
    assert!(wallet_of(&[], account).contains("no account `bob`"));
    assert!(wallet_of(&[], None).contains("/nowhere/file"));
    assert!(fails(&mut home.command(&["balance"]), 1).contains("key is not named"));
}

#[test]
fn prefers_config_flag_to_its_variable() {
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
        assert!(fails(&mut command, 1).contains("/nowhere/one"), "{args:?}");
    }
}

#[test]
fn rejects_unusable_file_except_for_help() {
    let missing = fails(
        program().env("CHEQUE_CONFIG", "/nowhere/x").arg("balance"),
        2,
    );
    assert!(
        missing.contains("cannot read the configuration file /nowhere/x"),
        "{missing}"
    );
    let home = Home::new("store = 'x'\nprivate-key = \"0x1234\"'");
    let broken = fails(
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
fn names_the_file_of_a_bad_value() {
    let home = Home::new("chain = 'nowhere'\nstore = 'somewhere'");
    let mut command = home.command(&["holdings"]);
    let message = fails(command.env("CHEQUE_CONFIG", home.file()), 2);
    assert!(
        message.contains("invalid value 'nowhere' for '--chain <CHAIN>'"),
        "{message}"
    );
    let tip = format!("{} sets --store, --chain", home.file().display());
    assert!(message.contains(&tip), "{message}");
}
