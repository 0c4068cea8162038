//! The units, settings and image of `contrib`, run with this program.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../cheque/tests/support/harness.rs"]
mod harness;
mod support;

use std::{
    fs, io,
    path::PathBuf,
    process::{Command, ExitCode, Output},
};

use harness::tests;
use serde_json::Value;
use support::{Node, http::request_as, program, root, service::Service, stderr, text, wait_for};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

const SERVICES: [&str; 3] = ["payer", "payee", "gateway"];

fn main() -> ExitCode {
    harness::run(&[], || {
        let mut all = tests![copies_every_crate_into_the_image];
        all.extend(tests![sets_no_store_that_hides_the_settings_file]);
        all.extend(harness::ignore_if(
            support::missing_signals(),
            tests![starts_and_stops_services_from_the_systemd_units],
        ));
        all.extend(harness::ignore_if(
            missing_systemd(),
            tests![passes_the_verification_of_systemd],
        ));
        all
    })
}

/// The reason to ignore the verification by systemd. `None` in CI.
fn missing_systemd() -> Option<String> {
    let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    let missing = !ci && analyze(&["--version"]).is_err();
    missing.then(|| "systemd-analyze is not installed; install systemd".to_owned())
}

fn analyze(args: &[&str]) -> io::Result<Output> {
    Command::new("systemd-analyze").args(args).output()
}

fn contrib() -> PathBuf {
    root().join("contrib")
}

fn unit(who: &str) -> String {
    let path = contrib().join(format!("systemd/cheque-{who}.service"));
    fs::read_to_string(path).unwrap()
}

/// The values of a setting of a unit.
fn settings<'a>(unit: &'a str, name: &str) -> Vec<&'a str> {
    let lines = unit.lines().filter_map(|line| line.split_once('='));
    lines
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value)
        .collect()
}

fn starts_and_stops_services_from_the_systemd_units() {
    let node = Node::start();
    let machine = node.machine(0);
    machine.deploy();
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
        // The files that LoadCredential would provide.
        write("keystore", include_str!("data/keystore.json"));
        write("password", "a password\n");
        write("api-token", TOKEN);
        write("payees.csv", &format!("{},1000000gwei\n", node.address(1)));
        write(
            "offers.toml",
            "[tokens.eth]\n[[route]]\npath = '/**'\nprice = { eth = 1 }\n",
        );
        let config = fs::read_to_string(contrib().join(format!("{who}.toml"))).unwrap();
        // The store of the settings must win over that of the unit.
        let store = format!("{home}/elsewhere");
        let config = format!("store = '{store}'\n{}", place(&adapt(&config, &node)));
        write(&format!("{who}.toml"), &config);

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
        let world = [
            ("CHEQUE_BANK", machine.bank()),
            ("CHEQUE_BEACON", node.relay().to_owned()),
        ];
        let command = move |arguments: &str| {
            let mut service = program();
            service.arg("--json").args(arguments.split(' '));
            service
                .envs(variables.clone())
                .envs(world.clone())
                .env("CHEQUE_LISTEN", "127.0.0.1:0")
                .env("CHEQUE_OPERATOR_LISTEN", "127.0.0.1:0");
            service
        };
        let refused = command(&arguments).output().unwrap();
        assert_eq!(refused.status.code(), Some(1), "a service creates no store");
        let made = command("store init").output().unwrap();
        assert!(made.status.success(), "{}", stderr(&made));
        let command = move || command(&arguments);
        let mut service = Service::start(command, folder.path().join("log"));
        let url = service.url.get();
        let ask = |token, path| request_as(token, &url, "GET", path, None).unwrap();
        assert_eq!(ask("", "/deposits").0, 401);
        assert_eq!(
            ask("", "/health").1,
            Value::Null,
            "without a token, only the status is answered"
        );
        assert_eq!(ask(TOKEN, "/deposits").0, 200);
        let healthy = wait_for(|| (ask(TOKEN, "/health").0 == 200).then_some(()));
        assert!(healthy.is_some(), "{}", service.log());
        assert!(container_is_healthy(&url));
        let (status, _) = ask(TOKEN, "/metrics");
        assert_eq!(status, 200);
        service.stop();
        assert!(!container_is_healthy(&url));
        // The settings choose JSON.
        let log = fs::read_to_string(folder.path().join("log")).unwrap();
        let events = log.lines().filter(|line| line.starts_with('{'));
        let events: Vec<Value> = events
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        // A gateway is a payee, too.
        let configured = format!("{}_configured", who.replace("gateway", "payee"));
        let configured = events.iter().find(|line| line["event"] == configured);
        let configured = configured.unwrap_or_else(|| panic!("{log}"));
        assert_eq!(configured["store"], store);
        assert_eq!(configured["chain"], 31_337);
        assert_eq!(configured["bank"], machine.bank());
        let wallet = configured["wallet"].as_str().unwrap_or_default();
        assert!(wallet.eq_ignore_ascii_case(&node.address(0)), "{log}");
        for event in ["service_started", "service_stopping", "service_stopped"] {
            assert!(
                events.iter().any(|line| line["event"] == event),
                "{event}: {log}"
            );
        }
    }
}

/// Runs the image's health check for a service at this URL.
fn container_is_healthy(url: &str) -> bool {
    let recipe = fs::read_to_string(contrib().join("container/Containerfile")).unwrap();
    let (_, check) = recipe.split_once("CMD [").unwrap();
    let (check, _) = check.split_once("]\n").unwrap();
    let check = format!("[{}]", check.replace("\\\n", ""));
    let words: Vec<String> = serde_json::from_str(&check).unwrap();
    let listen = url.strip_prefix("http://").unwrap();
    // Of a gateway the other variable has the port of its customers.
    let (service, gateway) = ("CHEQUE_LISTEN", "CHEQUE_OPERATOR_LISTEN");
    let healthy = |variables: &[(&str, &str)]| {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).envs(variables.iter().copied());
        command.output().unwrap().status.success()
    };
    let alone = healthy(&[(service, listen)]);
    assert_eq!(alone, healthy(&[(service, "0.0.0.0:1"), (gateway, listen)]));
    alone
}

/// Applies the changes that the comments of an example ask for.
fn adapt(config: &str, node: &Node) -> String {
    let changes = [
        ("http://127.0.0.1:8545", node.url()),
        ("http://127.0.0.1:3000", node.url()),
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

fn passes_the_verification_of_systemd() {
    let folder = tempfile::tempdir().unwrap();
    for who in SERVICES {
        let name = format!("cheque-{who}.service");
        // The verification requires an existing program.
        let unit = unit(who).replace("/usr/local/bin/cheque", env!("CARGO_BIN_EXE_cheque"));
        let path = folder.path().join(name);
        fs::write(&path, unit).unwrap();
        let path = path.to_str().unwrap();
        let verified = analyze(&["verify", "--man=no", path]).unwrap();
        assert!(verified.status.success(), "{}", stderr(&verified));
        assert_eq!(stderr(&verified), "");
        // The threshold is in tenths of a score from 0 to 10, the worst.
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

/// A variable beats the settings file, so packages name the default store by the data directory alone.
fn sets_no_store_that_hides_the_settings_file() {
    let recipe = fs::read_to_string(contrib().join("container/Containerfile")).unwrap();
    let image = recipe.lines().filter_map(|line| line.strip_prefix("ENV "));
    let image: Vec<_> = image.collect();
    assert_eq!(image, ["XDG_DATA_HOME=/var/lib"]);
    for who in SERVICES {
        let unit = unit(who);
        let variables = settings(&unit, "Environment");
        let named = |name: &str| {
            let mut variables = variables.iter();
            variables.any(|variable| variable.starts_with(&format!("{name}=")))
        };
        assert!(
            named("XDG_DATA_HOME") && named("CHEQUE_PASSWORD_FILE"),
            "{unit}"
        );
        assert!(
            !named("CHEQUE_STORE") && !named("CHEQUE_STORE_FILE"),
            "{unit}"
        );
        // Connections of callers leave descriptors for node and store.
        let limit = match who {
            "gateway" => "16384",
            _ => "8192",
        };
        assert_eq!(settings(&unit, "LimitNOFILE"), [limit]);
    }
}

fn copies_every_crate_into_the_image() {
    let recipe = fs::read_to_string(contrib().join("container/Containerfile")).unwrap();
    let ignored = fs::read_to_string(contrib().join("../.dockerignore")).unwrap();
    let manifest = fs::read_to_string(contrib().join("../Cargo.toml")).unwrap();
    let members = manifest.lines().find(|line| line.starts_with("members = "));
    let members = members.unwrap().split('"').skip(1).step_by(2);
    // The bindings are generated from the contract's interface.
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
