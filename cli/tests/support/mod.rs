//! A private node, and machines that share the node alone and exchange proofs as text.
#![allow(dead_code, reason = "every test file uses a part of the helpers")]

pub(crate) mod http;
pub(crate) mod service;

use std::{
    env,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use alloy::node_bindings::{Anvil, AnvilInstance};
use serde_json::Value;

/// A development node that ends with the test.
pub(crate) struct Node {
    process: AnvilInstance,
}

impl Node {
    pub(crate) fn start() -> Self {
        let process = Anvil::at(anvil())
            .args(["--hardfork", "osaka"])
            .try_spawn()
            .expect("anvil must start");
        Self { process }
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

    pub(crate) fn mine(&self, blocks: u64) {
        self.rpc("anvil_mine", serde_json::json!([blocks]));
    }

    pub(crate) fn head(&self) -> u64 {
        let head = self.rpc("eth_blockNumber", serde_json::json!([]));
        let digits = head.as_str().and_then(|text| text.strip_prefix("0x"));
        u64::from_str_radix(digits.expect("a number"), 16).expect("a number")
    }

    /// Counts the transactions that an account has sent.
    pub(crate) fn nonce(&self, account: usize) -> Value {
        self.rpc(
            "eth_getTransactionCount",
            serde_json::json!([self.address(account), "pending"]),
        )
    }

    pub(crate) fn rpc(&self, method: &str, params: Value) -> Value {
        use alloy::providers::{Provider, ProviderBuilder};
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let url = self.url().parse().expect("a URL");
        let provider = ProviderBuilder::new().connect_http(url);
        runtime
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

/// One user's computer, with a home, a store and a key of its own.
pub(crate) struct Machine {
    folder: tempfile::TempDir,
    url: String,
    key: Option<String>,
    pub(crate) address: String,
}

impl Machine {
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Builds a command in the environment of this machine alone.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = program();
        command
            .args(args)
            .current_dir(self.folder())
            .env("HOME", self.folder())
            .env("CHEQUE_STORE", self.folder().join("store"))
            .env("ETH_RPC_URL", &self.url)
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
