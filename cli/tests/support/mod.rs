//! A private node with a beacon that follows its time, and machines that share the two and exchange proofs as text.
#![allow(dead_code, reason = "every test file uses a part of the helpers")]

#[path = "../../../cheque/tests/support/beacon.rs"]
mod beacon;
pub(crate) mod http;
pub(crate) mod service;

use std::{
    env,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use alloy::node_bindings::{Anvil, AnvilInstance};
use beacon::TestBeacon;
use cheque_bindings::{BeaconParameters, create2_address};
use serde_json::{Value, json};

/// The lead of the tests' bank, in seconds.
const MIN_LEAD: u64 = 4;

/// A development node and the beacon of its bank, which end with the test.
pub(crate) struct Node {
    process: AnvilInstance,
    beacon: TestBeacon,
}

impl Node {
    pub(crate) fn start() -> Self {
        Self::with_arguments(&["--hardfork", "osaka"])
    }

    /// Starts a node of another chain than that of development nodes.
    pub(crate) fn of_chain(id: u64) -> Self {
        Self::with_arguments(&["--hardfork", "osaka", "--chain-id", &id.to_string()])
    }

    /// Starts a node whose chain has no precompiles of EIP-2537.
    pub(crate) fn before_prague() -> Self {
        Self::with_arguments(&["--hardfork", "cancun", "--chain-id", "777"])
    }

    /// Starts a node of a chain before Cancun.
    pub(crate) fn before_cancun() -> Self {
        Self::with_arguments(&["--hardfork", "shanghai"])
    }

    /// Starts a node that keeps the state of so many blocks only.
    pub(crate) fn keeping_states(states: u64) -> Self {
        Self::with_arguments(&[
            "--hardfork",
            "osaka",
            "--prune-history",
            &states.to_string(),
        ])
    }

    fn with_arguments(arguments: &[&str]) -> Self {
        let process = Anvil::at(anvil())
            .args(arguments)
            .try_spawn()
            .expect("anvil must start");
        let local = beacon::local(beacon::PERIOD);
        let beacon = runtime().block_on(TestBeacon::start(&process.endpoint(), local));
        Self { process, beacon }
    }

    pub(crate) fn url(&self) -> String {
        self.process.endpoint()
    }

    /// The private key of a funded account, in hexadecimal.
    pub(crate) fn key(&self, account: usize) -> String {
        alloy::hex::encode_prefixed(self.process.keys()[account].to_bytes())
    }

    /// An account's address in lower case, as in JSON.
    pub(crate) fn address(&self, account: usize) -> String {
        format!("{:#x}", self.process.addresses()[account])
    }

    /// Creates a machine with an empty store and the key of one account.
    pub(crate) fn machine(&self, account: usize) -> Machine {
        Machine {
            folder: tempfile::tempdir().expect("a folder"),
            url: self.url(),
            relay: self.beacon.url.clone(),
            parameters: self.beacon.local.beacon().parameters(),
            beacon_key: format!("{:x}", self.beacon.local.beacon().public_key()),
            key: Some(self.key(account)),
            address: self.address(account),
        }
    }

    /// Creates a machine without a key.
    pub(crate) fn keyless(&self) -> Machine {
        Machine {
            key: None,
            ..self.machine(0)
        }
    }

    /// The URL of the beacon's relay.
    pub(crate) fn relay(&self) -> &str {
        &self.beacon.url
    }

    pub(crate) fn mine(&self, blocks: u64) {
        self.rpc("anvil_mine", json!([blocks]));
    }

    /// The time of the newest block, in seconds since 1970.
    pub(crate) fn now(&self) -> u64 {
        let head = self.rpc("eth_getBlockByNumber", json!(["latest", false]));
        number(&head["timestamp"])
    }

    /// Mines a block of this time. The beacon follows.
    pub(crate) fn mine_at(&self, time: u64) {
        self.rpc("evm_setNextBlockTimestamp", json!([time]));
        self.mine(1);
    }

    /// Mines a block, this many seconds after the newest.
    pub(crate) fn advance(&self, seconds: u64) {
        self.mine_at(self.now() + seconds);
    }

    pub(crate) fn head(&self) -> u64 {
        number(&self.rpc("eth_blockNumber", json!([])))
    }

    /// Counts the transactions that an account has sent.
    pub(crate) fn nonce(&self, account: usize) -> Value {
        self.rpc(
            "eth_getTransactionCount",
            json!([self.address(account), "pending"]),
        )
    }

    pub(crate) fn rpc(&self, method: &str, params: Value) -> Value {
        use alloy::providers::{Provider, ProviderBuilder};
        let url = self.url().parse().expect("a URL");
        let provider = ProviderBuilder::new().connect_http(url);
        runtime()
            .block_on(provider.raw_request(method.to_owned().into(), params))
            .expect("the node must answer")
    }
}

/// The folder of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn anvil() -> PathBuf {
    let on_path = env::var_os("PATH").unwrap_or_default();
    let project = root().join("node_modules/.bin/anvil");
    let mut candidates = env::split_paths(&on_path).map(|folder| folder.join("anvil"));
    candidates.find(|path| path.is_file()).unwrap_or(project)
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
}

/// Parses a number of the node's JSON.
fn number(hex: &Value) -> u64 {
    let digits = hex.as_str().and_then(|text| text.strip_prefix("0x"));
    u64::from_str_radix(digits.expect("a number"), 16).expect("a number")
}

/// One user's computer, with a home, a store and a key of its own.
pub(crate) struct Machine {
    folder: tempfile::TempDir,
    url: String,
    relay: String,
    parameters: BeaconParameters,
    beacon_key: String,
    key: Option<String>,
    pub(crate) address: String,
}

impl Machine {
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The directory of the store: the default one, which the first deposit or payment creates.
    pub(crate) fn store(&self) -> PathBuf {
        self.folder().join("cheque")
    }

    /// The address of the tests' bank, deployed or not.
    pub(crate) fn bank(&self) -> String {
        create2_address(MIN_LEAD, &self.parameters).to_string()
    }

    /// The flags of `deploy` for the tests' bank.
    pub(crate) fn settings(&self) -> [String; 4] {
        [
            format!("--min-lead={MIN_LEAD}s"),
            format!("--beacon-key={}", self.beacon_key),
            format!("--genesis={}", self.parameters.genesis),
            format!("--period={}s", self.parameters.period),
        ]
    }

    /// Deploys the tests' bank.
    pub(crate) fn deploy(&self) {
        let settings = self.settings();
        let settings = settings.each_ref().map(String::as_str);
        let deployed = self.json(&[&["deploy"][..], &settings].concat());
        assert_eq!(deployed["bank"], json!(self.bank().to_lowercase()));
    }

    /// Deploys the bank and opens a deposit. Its only payee wins for certain: the minimum payout is zero. Returns the id.
    pub(crate) fn open_for(&self, payee: &str) -> String {
        self.deploy();
        let allowance = format!("{payee}=0.4ether");
        let create = ["deposit", "create", "--allowance", &allowance];
        let terms = ["--draw-in", "10m", "--min-payout", "0"];
        let opened = self.json(&[&create[..], &terms].concat());
        opened["id"].as_str().expect("an id").to_owned()
    }

    /// Builds a command in the environment of this machine alone.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = program();
        command
            .args(args)
            .current_dir(self.folder())
            .env("HOME", self.folder())
            .env("XDG_DATA_HOME", self.folder())
            .env("ETH_RPC_URL", &self.url)
            .env("CHEQUE_BANK", self.bank())
            .env("CHEQUE_BEACON", &self.relay)
            .stdin(Stdio::null());
        if let Some(key) = &self.key {
            command.env("ETH_PRIVATE_KEY", key);
        }
        command
    }

    pub(crate) fn output(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the program must run")
    }

    /// Runs a command, which must succeed, and returns its result.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let output = self.output(args);
        assert!(output.status.success(), "{args:?}: {}", stderr(&output));
        text(&output.stdout)
    }

    /// Runs a command, which must succeed, and returns its result as JSON.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let json = self.ok(&[&["--json"], args].concat());
        serde_json::from_str(&json).unwrap_or_else(|error| panic!("{args:?}: {error}: {json}"))
    }

    /// Runs a command, which must end with this exit code and without a result, and returns its stderr.
    pub(crate) fn fails(&self, code: i32, args: &[&str]) -> String {
        let output = self.output(args);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{args:?}: {}",
            stderr(&output)
        );
        assert_eq!(text(&output.stdout), "", "{args:?}");
        stderr(&output)
    }

    /// Runs a command with this input on stdin.
    pub(crate) fn piped(&self, input: &str, args: &[&str]) -> Output {
        let mut command = self.command(args);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program must run");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin
            .write_all(input.as_bytes())
            .expect("the program must read");
        drop(stdin);
        child.wait_with_output().expect("the program must end")
    }
}

/// Builds a command of the program, with no environment but PATH.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cheque"));
    command.env_clear();
    if let Some(path) = env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}

/// Decodes text and trims its end.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec())
        .expect("text")
        .trim_end()
        .to_owned()
}

pub(crate) fn stderr(output: &Output) -> String {
    text(&output.stderr)
}

/// The reason to ignore tests that stop services by signals.
pub(crate) fn missing_signals() -> Option<String> {
    cfg!(not(unix)).then(|| "the system has no Unix signals; run the test on Unix".to_owned())
}

/// Asks every 50 milliseconds until there is an answer, at most for a minute: a busy machine may need long.
pub(crate) fn wait_for<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    for _ in 0..1_200 {
        let answer = ask();
        if answer.is_some() {
            return answer;
        }
        pause(50);
    }
    None
}

/// Sleeps, so that another process can work.
#[expect(clippy::disallowed_methods, reason = "tests wait for other processes")]
pub(crate) fn pause(milliseconds: u64) {
    std::thread::sleep(std::time::Duration::from_millis(milliseconds));
}
