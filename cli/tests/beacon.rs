//! `cheque beacon` on real rounds of quicknet, and against a local beacon over HTTP.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    process::Output,
    time::{SystemTime, UNIX_EPOCH},
};

use cheque::{LocalBeacon, beacon::LocalRelay};
use serde_json::Value;
use support::{program, stderr, text};

/// A relay of a beacon that began an hour ago, and the flags of its key.
struct Local {
    relay: LocalRelay,
    beacon: LocalBeacon,
    flags: Vec<String>,
}

#[expect(
    clippy::disallowed_methods,
    reason = "the clock of a beacon in real time"
)]
fn unix_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_secs()
}

impl Local {
    async fn start() -> Self {
        let beacon = LocalBeacon::new(&[7; 32], unix_now() - 3_600, 1).unwrap();
        let address = ([127, 0, 0, 1], 0).into();
        let relay = LocalRelay::start(beacon.clone(), address).await.unwrap();
        let terms = beacon.beacon();
        let flags = [
            format!("--beacon-key={:x}", terms.public_key()),
            format!("--genesis={}", terms.genesis()),
            "--period=1s".to_owned(),
        ];
        Self {
            relay,
            beacon,
            flags: flags.into(),
        }
    }

    /// Runs a verb with the relay and the key of this beacon.
    fn run(&self, args: &[&str]) -> Output {
        let mut command = program();
        command.arg("beacon").args(args).args(&self.flags);
        command
            .args(["--beacon", self.relay.url()])
            .output()
            .unwrap()
    }
}

fn json_of(output: &Output) -> Value {
    assert!(output.status.success(), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn vectors() -> Value {
    let text = include_str!("../../contracts/test/vectors/quicknet.json");
    serde_json::from_str(text).unwrap()
}

#[test]
fn verifies_real_rounds_of_quicknet_offline() {
    for real in vectors()["rounds"].as_array().unwrap() {
        let round = real["round"].to_string();
        let signature = real["signature"].as_str().unwrap();
        let digits = signature.strip_prefix("0x").unwrap();
        for prefix in ["", "0x"] {
            let output = program()
                .args(["beacon", "verify", "--json", "--round", &round])
                .args(["--signature", &format!("{prefix}{digits}")])
                .output()
                .unwrap();
            let json = json_of(&output);
            assert_eq!(json["round"], real["round"]);
            let time = 1_692_803_367 + 3 * (real["round"].as_u64().unwrap() - 1);
            assert_eq!(json["time"], time);
            assert_eq!(json["randomness"], real["seed"]);
            assert_eq!(json["signature"], real["signature"]);
            assert_eq!(json["proof"], real["proof"]);
        }
    }
}

#[test]
fn refuses_wrong_signatures_with_the_reason() {
    let real = vectors()["rounds"][0]["signature"]
        .as_str()
        .and_then(|text| text.strip_prefix("0x"))
        .unwrap()
        .to_owned();
    let refused = |round: &str, signature: &str, reason: &str| {
        let output = program()
            .args([
                "beacon",
                "verify",
                "--json",
                "--round",
                round,
                "--signature",
                signature,
            ])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert_eq!(text(&output.stdout), "");
        let error: Value = serde_json::from_slice(&output.stderr).unwrap();
        assert_eq!(error["code"], "invalid_round");
        let message = error["error"].as_str().unwrap();
        assert!(
            message.contains(reason) && message.contains("; compare"),
            "{message}"
        );
    };
    refused("1001", &real, "not the beacon's over round 1001");
    refused("0", &real, "there is no round 0");
    refused("1000", &real[..94], "47 bytes");
    refused("1000", "", "0 bytes");
    refused("1000", &format!("9{}", &real[1..]), "over round 1000");
    refused(
        "1000",
        &format!("3{}", &real[1..]),
        "does not mark a compressed point",
    );
    refused("1000", &format!("c{}", "0".repeat(95)), "identity");
    refused("1000", &"f".repeat(96), "identity");
    refused("1000", &format!("9{}", "f".repeat(95)), "field's prime");
    refused(
        "1000",
        &format!("8{}", "0".repeat(95)),
        "prime-order subgroup",
    );
}

#[test]
fn rejects_wrong_usage() {
    for (args, reason) in [
        (&["verify", "--round", "1"][..], "--signature"),
        (
            &["verify", "--round", "x", "--signature", "00"],
            "invalid digit",
        ),
        (
            &["verify", "--round", "1", "--signature", "abc"],
            "write an even number of hex digits",
        ),
        (&["wait"], "--round"),
        (
            &["wait", "--round", "1", "--at", "5"],
            "cannot be used with",
        ),
        (
            &["wait", "--round", "1", "--timeout", "soon"],
            "not a duration",
        ),
        (&["show", "--at", "noon"], "not a time"),
        (&["show", "--genesis", "5"], "--beacon-key"),
    ] {
        let output = program().arg("beacon").args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(
            stderr(&output).contains(reason),
            "{args:?}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn refuses_times_without_a_round() {
    for (args, reason) in [
        (
            &["show", "--at", "1692806365"][..],
            "1692806364 and 1692806367",
        ),
        (
            &["show", "--at", "2023-08-23T15:09:26Z"],
            "before the beacon's first round",
        ),
        (&["show", "--round", "0"], "the first round is 1"),
        (
            &["wait", "--round", "18446744073709551615"],
            "does not fit 64 bits",
        ),
    ] {
        let output = program().arg("beacon").args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(
            stderr(&output).contains(reason),
            "{args:?}: {}",
            stderr(&output)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shows_the_newest_round_and_the_relays() {
    let local = Local::start().await;
    let dead = "http://user:secret@127.0.0.1:9/secret";
    let output = local.run(&["show", "--json", "--beacon", dead]);
    let json = json_of(&output);
    let made = local.beacon.round(json["round"].as_u64().unwrap()).unwrap();
    assert_eq!(json["time"], made.time());
    assert_eq!(json["randomness"], made.seed().0.to_string());
    assert!(
        json["seconds_behind_clock"].as_u64().unwrap() < 30,
        "{json}"
    );
    assert_eq!(json["seconds_ahead_of_clock"], 0);
    let relays = json["relays"].as_array().unwrap();
    assert_eq!(relays[0]["host"], "http://127.0.0.1:9");
    assert!(
        relays[0]["error"]
            .as_str()
            .unwrap()
            .contains("no connection")
    );
    assert_eq!(relays[1]["newest"], json["round"]);
    assert_eq!(relays[1]["error"], Value::Null);
    let shown = text(&output.stdout) + &stderr(&output);
    assert!(!shown.contains("secret"), "{shown}");

    let table = text(&local.run(&["show"]).stdout);
    assert!(table.contains("behind this machine's clock"), "{table}");
    assert!(table.contains("good"), "{table}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shows_one_round_by_number_and_by_time() {
    let local = Local::start().await;
    let by_number = json_of(&local.run(&["show", "--json", "--round", "100"]));
    let time = local.beacon.beacon().genesis() + 99;
    let by_time = json_of(&local.run(&["show", "--json", "--at", &time.to_string()]));
    assert_eq!(by_number, by_time);
    assert_eq!(by_number["round"], 100);
    // Relays of the environment, of which the first is dead.
    let output = program()
        .args(["beacon", "show", "--json", "--round", "100"])
        .args(&local.flags)
        .env(
            "CHEQUE_BEACON",
            format!("http://127.0.0.1:9,{}", local.relay.url()),
        )
        .output()
        .unwrap();
    assert_eq!(json_of(&output), by_number);
    let future = local.run(&["show", "--json", "--round", "100000"]);
    assert_eq!(future.status.code(), Some(1));
    assert!(
        stderr(&future).contains("\"code\":\"not_yet\""),
        "{}",
        stderr(&future)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waits_for_a_round_and_says_so() {
    let local = Local::start().await;
    let round = local.beacon.beacon().newest_at(unix_now()).unwrap() + 3;
    let output = local.run(&["wait", "--json", "--round", &round.to_string()]);
    let json = json_of(&output);
    assert_eq!(json["round"], round);
    assert!(unix_now() >= json["time"].as_u64().unwrap());
    assert!(
        stderr(&output).contains("is due at 2"),
        "{}",
        stderr(&output)
    );

    let args = [
        "wait",
        "--json",
        "--quiet",
        "--round",
        "90000",
        "--timeout",
        "1s",
    ];
    let late = local.run(&args);
    assert_eq!(late.status.code(), Some(1));
    let message = stderr(&late);
    assert!(
        message.contains("warning: the wait ends before the round"),
        "{message}"
    );
    assert!(message.contains("\"code\":\"timed_out\""), "{message}");
}

#[test]
fn fails_if_no_relay_answers() {
    let output = program()
        .args(["beacon", "show", "--json", "--beacon", "http://127.0.0.1:9"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(error["code"], "no_answer");
    let output = program()
        .args(["beacon", "show", "--beacon", "ftp://example.org/key"])
        .output()
        .unwrap();
    let message = stderr(&output);
    assert!(
        message.contains("ftp://example.org") && !message.contains("key"),
        "{message}"
    );
}
