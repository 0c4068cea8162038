//! What `contrib` shows works with this program.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use common::{Node, http::request_as, program, service::Service, stderr, text};
use serde_json::Value;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

const SERVICES: [&str; 2] = ["payer", "payee"];

fn contrib() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib")
}

fn unit(who: &str) -> String {
    let path = contrib().join(format!("systemd/cheque-{who}.service"));
    fs::read_to_string(path).unwrap()
}

/// All values of a setting of a unit.
fn settings<'a>(unit: &'a str, name: &str) -> Vec<&'a str> {
    let lines = unit.lines().filter_map(|line| line.split_once('='));
    lines
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value)
        .collect()
}

#[test]
fn units_start_the_services_with_the_example_settings_and_end_them_in_order() {
    let node = Node::start();
    node.machine(0).ok(&["deploy"]);
    for who in SERVICES {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap().to_owned();
        let place = {
            let home = home.clone();
            move |text: &str| {
                let text = text.replace("%d", &home).replace("%S", &home);
                text.replace("/etc/cheque", &home)
            }
        };
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        // As LoadCredential would.
        write("keystore", include_str!("data/keystore.json"));
        write("password", "a password\n");
        write("api-token", TOKEN);
        write("payees.csv", &format!("{},1000000gwei\n", node.address(1)));
        let config = fs::read_to_string(contrib().join(format!("{who}.toml"))).unwrap();
        write(&format!("{who}.toml"), &place(&here(&config, &node)));

        let unit = unit(who);
        let [start] = settings(&unit, "ExecStart")[..] else {
            panic!("{unit}");
        };
        let arguments = start
            .strip_prefix("/usr/local/bin/cheque ")
            .unwrap()
            .to_owned();
        let variables: Vec<_> = settings(&unit, "Environment")
            .into_iter()
            .map(|variable| variable.split_once('=').unwrap())
            .map(|(name, value)| (name.to_owned(), place(value)))
            .collect();
        let command = move || {
            let mut service = program();
            service.arg("--json").args(arguments.split(' '));
            service
                .envs(variables.clone())
                .env("CHEQUE_LISTEN", "127.0.0.1:0");
            service
        };
        let mut service = Service::start(command, folder.path().join("log"));
        let url = service.url.get();
        let ask = |token, path| request_as(token, &url, "GET", path, None).unwrap();
        assert_eq!(ask("", "/deposits").0, 401);
        assert_eq!(ask("", "/health").1, Value::Null, "only the status");
        assert_eq!(ask(TOKEN, "/deposits").0, 200);
        let (_, health) = ask(TOKEN, "/health");
        assert!(health["ok"].is_boolean(), "{health}");
        let (status, _) = ask(TOKEN, "/metrics");
        assert_eq!(status, 200);
        service.stop();
        // JSON, as the settings ask for.
        let log = fs::read_to_string(folder.path().join("log")).unwrap();
        let events = log.lines().filter(|line| line.starts_with('{'));
        let events: Vec<Value> = events
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        for event in ["service_started", "service_stopping", "service_stopped"] {
            assert!(
                events.iter().any(|line| line["event"] == event),
                "{event}: {log}"
            );
        }
    }
}

/// The example's settings, with what its comments say has to be changed.
fn here(config: &str, node: &Node) -> String {
    let changes = [
        ("http://127.0.0.1:8545", node.url()),
        ("\"hoodi\"", "\"local\"".to_owned()),
        (
            "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
            node.address(0),
        ),
    ];
    let mut config = config.to_owned();
    for (from, to) in changes {
        config = config.replace(from, &to);
    }
    config
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let analyze = |args: &[&str]| {
        let mut command = Command::new("systemd-analyze");
        command.args(args).output()
    };
    // Not everywhere is systemd.
    let Ok(version) = analyze(&["--version"]) else {
        return;
    };
    assert!(version.status.success());
    let folder = tempfile::tempdir().unwrap();
    for who in SERVICES {
        let name = format!("cheque-{who}.service");
        // It looks whether the program is there.
        let unit = unit(who).replace("/usr/local/bin/cheque", env!("CARGO_BIN_EXE_cheque"));
        let path = folder.path().join(name);
        fs::write(&path, unit).unwrap();
        let path = path.to_str().unwrap();
        let verified = analyze(&["verify", "--man=no", path]).unwrap();
        assert!(verified.status.success(), "{}", stderr(&verified));
        assert_eq!(stderr(&verified), "");
        // Of 10 at the worst; in tenths.
        let exposure = [
            "security",
            "--no-pager",
            "--offline=yes",
            "--threshold=15",
            path,
        ];
        let exposed = analyze(&exposure).unwrap();
        assert!(exposed.status.success(), "{}", text(&exposed.stdout));
    }
}

#[test]
fn the_image_is_built_from_all_that_it_needs() {
    let recipe = fs::read_to_string(contrib().join("container/Containerfile")).unwrap();
    let ignored = fs::read_to_string(contrib().join("../.dockerignore")).unwrap();
    let manifest = fs::read_to_string(contrib().join("../Cargo.toml")).unwrap();
    let members = manifest.lines().find(|line| line.starts_with("members = "));
    let members = members.unwrap().split('"').skip(1).step_by(2);
    // The bindings are made from the contract's interface.
    for folder in members.chain(["contracts"]) {
        assert!(
            recipe.contains(&format!("\nCOPY {folder} {folder}\n")),
            "{folder}"
        );
        assert!(ignored.contains(&format!("\n!{folder}\n")), "{folder}");
    }
    let oldest = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "));
    let image = format!("\nFROM rust:{}-", oldest.unwrap().trim_matches('"'));
    assert!(recipe.contains(&image), "{image}");
}
