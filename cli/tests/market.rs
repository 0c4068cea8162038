//! The operator's verbs against a running market.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    fs,
    io::{BufRead, BufReader},
    num::NonZeroU64,
    process::{Output, Stdio},
    sync::Arc,
};

use cheque_market::{
    balance::{BalanceSettings, BalanceTracker},
    pool::{ClientPool, ClientPoolSettings, Limits, PoolSettings},
    rpc::{Listen, Operator, Running, Service, Token, serve},
    store::Memory,
};
use serde_json::{Value, json};
use support::{program, stderr, text};

type Id = [u8; 2];
type Shared = Arc<Service<Id, Arc<Memory>>>;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// Starts a market with client 0x0101 connected, which requires the token.
async fn market() -> (Shared, Running<Id, Arc<Memory>>) {
    let store = Arc::new(Memory::new());
    let balances = BalanceSettings::default();
    let tracker = BalanceTracker::open(Arc::clone(&store), b"market:", balances, 0).unwrap();
    let positive = |n| NonZeroU64::new(n).unwrap();
    let settings = ClientPoolSettings {
        pool: PoolSettings {
            min_capacity: positive(100),
            active_bias_ns: 1,
            step_divisor: positive(10),
            fine_step_divisor: positive(100),
        },
        grace_period_ns: 1,
        connected_bias_ns: 0,
    };
    let pool = ClientPool::new(tracker, settings);
    let mut operator = Operator::open(pool, store, b"market:").unwrap();
    let limits = Limits {
        count: 10,
        capacity: 1_000,
    };
    operator.set_limits(limits, 0);
    operator.connect(&[1, 1], b"home", 0).unwrap();
    let service = Arc::new(Service::new(operator, || 0));
    let listen = Listen {
        address: ([127, 0, 0, 1], 0).into(),
        token: Some(Token::new(TOKEN).unwrap()),
    };
    let running = serve(Arc::clone(&service), listen).await.unwrap();
    (service, running)
}

fn parsed(output: &Output) -> Value {
    assert!(output.status.success(), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_and_changes_a_running_market() {
    let (service, running) = market().await;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("token");
    fs::write(&secret, format!("{TOKEN}\n")).unwrap();
    let url = format!("http://{}", running.address());
    let command = |args: &[&str]| {
        let mut command = program();
        command.arg("market").args(args).args(["--url", &url]);
        command
    };
    let run = |args: &[&str]| {
        let mut command = command(args);
        command
            .arg("--api-token-file")
            .arg(&secret)
            .output()
            .unwrap()
    };
    let refused = command(&["info"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        stderr(&refused).contains("--api-token-file"),
        "{}",
        stderr(&refused)
    );

    assert_eq!(
        parsed(&run(&["info", "--json"]))["totalConnectedCapacity"],
        100
    );
    let added = run(&["add-balance", "0x0101", "5000000", "--json"]);
    assert_eq!(parsed(&added), json!({ "before": 0, "after": 5_000_000 }));
    let added = run(&["add-balance", "0x0101", "-1000000", "--json"]);
    assert_eq!(parsed(&added)["after"], 4_000_000);
    let set = [
        "set-params",
        "--id",
        "0x0101",
        "capacity=300",
        "userTags=vip",
    ];
    assert_eq!(text(&run(&set).stdout), "set");
    let defaults = run(&["set-defaults", "pricing/timeFactor=5"]);
    assert!(defaults.status.success());
    let found = parsed(&run(&["clients", "--tag", "vip", "--json"]));
    assert_eq!(found["0x0101"]["capacity"], 300);
    let tagged = run(&["set-tags", "eu", "vip", "--tag", "vip", "--json"]);
    assert_eq!(
        parsed(&tagged),
        json!({ "set": { "userTags": ["eu", "vip"] } })
    );
    for notice in [["--every", "1000"], ["--above", "2000"]] {
        let notify = ["notify", notice[0], notice[1], "--id", "0x0101"];
        assert_eq!(text(&run(&notify).stdout), "set");
    }
    let info = &parsed(&run(&["clients", "--tag", "eu", "--json"]))["0x0101"];
    assert_eq!(
        (&info["pricing/alert"], &info["pricing/totalAmount"]),
        (&json!(2_000), &json!(0))
    );
    assert!(run(&["notify", "--off", "--tag", "$all"]).status.success());
    assert!(
        run(&["set-tags", "--none", "--tag", "$all"])
            .status
            .success()
    );
    let info = &parsed(&run(&["clients", "--json"]))["0x0101"];
    assert_eq!(
        (&info["pricing/alert"], &info["userTags"]),
        (&Value::Null, &json!([]))
    );
    assert_eq!(
        parsed(&run(&["set-bias", "60", "--json"])),
        json!({ "set": 60 })
    );
    let bias = service.read(|operator, _| operator.clients().settings().connected_bias_ns);
    assert_eq!(bias, 60_000_000_000);
    let refused = run(&["set-params", "--id", "0x0101", "capacity=2000"]);
    assert!(
        stderr(&refused).contains("total capacity exceeded"),
        "{}",
        stderr(&refused)
    );
    let listed = run(&["priority", "0x0000"]);
    let listed = text(&listed.stdout);
    assert!(
        listed.contains("0x0101") && listed.contains("4000000"),
        "{listed}"
    );
    let refused = run(&["set-params", "--id", "0x0101", "speed=1"]);
    assert_eq!(
        stderr(&refused).trim(),
        "error: the market rejects the call: invalid client parameter 'speed'"
    );

    let mut watch = command(&["watch", "--json"]);
    let watch = watch.arg("--api-token-file").arg(&secret);
    let mut watch = watch.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    // Clients connect until the subscription, which starts at an unknown time, reports one.
    let first = std::thread::spawn(move || lines.next());
    for n in 2.. {
        if first.is_finished() {
            break;
        }
        let visited = service.change(move |operator, now| {
            operator.connect(&[2, n], b"away", now).unwrap();
            operator.disconnect(&[2, n], now).unwrap();
        });
        visited.await.unwrap();
        support::pause(100);
    }
    let event: Value = serde_json::from_str(&first.join().unwrap().unwrap().unwrap()).unwrap();
    assert!(
        event["clientId"].as_str().unwrap().starts_with("0x02"),
        "{event}"
    );
    watch.kill().unwrap();
    watch.wait().unwrap();
    running.stop().await.unwrap();
}
