//! A node: the process anvil, whose chain and time the test moves.

#![allow(dead_code, reason = "every test binary uses its own part of this")]

use alloy::{
    eips::BlockId,
    providers::{DynProvider, Provider},
};
use alloy_primitives::{Address, TxHash, U256};
use cheque::node::connect;
use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

pub(crate) const COIN: u128 = 1_000_000_000_000_000_000;

const DAY: u64 = 86_400;

/// An anvil that ends with the test.
pub(crate) struct Node {
    child: Child,
    pub(crate) url: String,
    pub(crate) provider: DynProvider,
}

impl Drop for Node {
    fn drop(&mut self) {
        // Both fail if the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Node {
    /// Starts a node a day ahead of the machine's clock, where each block is a second after the one before.
    pub(crate) async fn start() -> Self {
        Self::start_at(clock() + DAY).await
    }

    /// Starts a node whose first block has this time, ahead of the machine's clock, and whose other blocks follow a second
    /// apart.
    pub(crate) async fn start_at(time: u64) -> Self {
        let node = Self::with_arguments(&["--timestamp", &time.to_string()]).await;
        node.anvil("anvil_setBlockTimestampInterval", [1]).await;
        node
    }

    /// Starts a node like [`Node::start`] that keeps the state of so many blocks only.
    pub(crate) async fn keeping_states(states: u64) -> Self {
        let (time, states) = ((clock() + DAY).to_string(), states.to_string());
        let arguments = ["--timestamp", &time, "--prune-history", &states];
        let node = Self::with_arguments(&arguments).await;
        node.anvil("anvil_setBlockTimestampInterval", [1]).await;
        node
    }

    /// Starts a node whose blocks have the time of the machine's clock. Blocks made within one second are a second apart,
    /// too.
    pub(crate) async fn by_the_clock() -> Self {
        Self::with_arguments(&[]).await
    }

    async fn with_arguments(arguments: &[&str]) -> Self {
        Self::of_hardfork("osaka", arguments).await
    }

    /// Starts a node with the rules of a hardfork.
    pub(crate) async fn of_hardfork(hardfork: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(tool("anvil"))
            .args(["--port", "0", "--hardfork", hardfork, "--chain-id", "31337"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap_or_else(|error| panic!("anvil does not start: {error}; run `make setup`"));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map(|line| line.expect("a line of anvil's output"))
            .find_map(|line| line.strip_prefix("Listening on ").map(str::to_owned))
            .expect("anvil prints its address");
        // A full pipe would block anvil.
        std::thread::spawn(move || lines.count());
        let url = format!("http://{address}");
        let provider = connect(&url).await.unwrap();
        Self {
            child,
            url,
            provider,
        }
    }

    /// Calls a method of anvil itself.
    pub(crate) async fn anvil(
        &self,
        method: &'static str,
        params: impl serde::Serialize,
    ) -> serde_json::Value {
        let params = serde_json::to_value(params).unwrap();
        self.provider
            .raw_request(method.into(), params)
            .await
            .unwrap()
    }

    pub(crate) async fn mine(&self, blocks: u64) {
        let mut left = blocks;
        while left > 0 {
            // The time of one call grows faster than its blocks, up to a timeout.
            let part = left.min(250);
            self.anvil("anvil_mine", [format!("{part:#x}")]).await;
            left -= part;
        }
    }

    /// The time of the newest block, in seconds since 1970.
    pub(crate) async fn now(&self) -> u64 {
        let head = self.provider.get_block(BlockId::latest()).await.unwrap();
        head.unwrap().header.timestamp
    }

    /// Mines one block of this time, with the transactions in the mempool.
    pub(crate) async fn mine_at(&self, time: u64) {
        self.set_next_time(time).await;
        self.mine(1).await;
    }

    /// Mines one block, this many seconds after the newest.
    pub(crate) async fn advance(&self, seconds: u64) {
        self.mine_at(self.now().await + seconds).await;
    }

    /// Sets the time of the next block.
    pub(crate) async fn set_next_time(&self, time: u64) {
        let now = self.now().await;
        assert!(time >= now, "{time} is past, the newest block is of {now}");
        self.anvil("evm_setNextBlockTimestamp", [time]).await;
    }

    pub(crate) async fn endow(&self, account: Address) {
        let thousand = U256::from(1_000) * U256::from(COIN);
        self.set_coin(account, thousand).await;
    }

    pub(crate) async fn set_coin(&self, account: Address, wei: U256) {
        let wei = format!("{wei:#x}");
        self.anvil("anvil_setBalance", (account, wei)).await;
    }

    /// Mines each transaction at once, or only by [`Node::mine`].
    pub(crate) async fn automine(&self, on: bool) {
        self.anvil("evm_setAutomine", [on]).await;
    }

    /// Sets the base fee of the next block, in gwei.
    pub(crate) async fn set_base_fee(&self, gwei: u64) {
        let fee = format!("{:#x}", gwei * 1_000_000_000);
        self.anvil("anvil_setNextBlockBaseFeePerGas", [fee]).await;
    }

    pub(crate) async fn snapshot(&self) -> Snapshot {
        Snapshot(self.anvil("evm_snapshot", ()).await)
    }

    /// Drops all blocks since the snapshot with their transactions, as a reorganisation does.
    pub(crate) async fn revert(&self, snapshot: Snapshot) {
        let dropped = self.anvil("evm_revert", [snapshot.0]).await;
        assert_eq!(dropped, serde_json::Value::Bool(true));
    }

    /// The single pending transaction of an account.
    pub(crate) async fn pending_of(&self, account: Address) -> serde_json::Value {
        let pool = self.anvil("txpool_content", ()).await;
        let all = pool["pending"].as_object().expect("the mempool");
        let is_own = |sender: &str| sender.parse() == Ok(account);
        let of_account = all.iter().filter(|(sender, _)| is_own(sender));
        let sent: Vec<_> = of_account
            .flat_map(|(_, sent)| sent.as_object().expect("by nonce").values())
            .collect();
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent[0].clone()
    }

    /// Removes a transaction from the mempool.
    pub(crate) async fn drop_transaction(&self, hash: TxHash) {
        self.anvil("anvil_dropTransaction", [hash]).await;
    }

    /// Empties the mempool.
    pub(crate) async fn drop_transactions(&self) {
        self.anvil("anvil_dropAllTransactions", ()).await;
    }

    /// Number of an account's transactions in blocks.
    pub(crate) async fn transactions(&self, account: Address) -> u64 {
        let count = self.provider.get_transaction_count(account);
        count.await.unwrap()
    }

    /// Number of an account's transactions in blocks and in the mempool.
    pub(crate) async fn all_transactions(&self, account: Address) -> u64 {
        let count = self.provider.get_transaction_count(account);
        count.pending().await.unwrap()
    }
}

/// A state of the chain to go back to, once.
pub(crate) struct Snapshot(serde_json::Value);

/// Starts a relay to the node at `url` that cuts its first `cut` connections. Returns its address and the count of
/// connections.
pub(crate) fn unreliable(url: &str, cut: usize) -> (String, Arc<AtomicUsize>) {
    let node = url.strip_prefix("http://").unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(client) = client else { return };
            if count.fetch_add(1, Ordering::SeqCst) < cut {
                continue;
            }
            let Ok(server) = TcpStream::connect(&node) else {
                return;
            };
            for (from, to) in [(&client, &server), (&server, &client)] {
                let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                std::thread::spawn(move || io::copy(&mut from, &mut to));
            }
        }
    });
    (address, connections)
}

/// Compiles a contract of the repository with forge, in a directory of this crate, and returns its creation code.
pub(crate) fn compiled(source: &str, contract: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (out, cache) = (temporary.join("out"), temporary.join("cache"));
    // Tests run in several processes, and a build deletes the artifacts of other sources.
    let one_at_a_time = File::create(temporary.join("forge.lock")).unwrap();
    one_at_a_time.lock().unwrap();
    let built = Command::new(tool("forge"))
        .current_dir(&root)
        .env_remove("FOUNDRY_PROFILE")
        .args(["build", source, "--out"])
        .arg(&out)
        .arg("--cache-path")
        .arg(&cache)
        .output()
        .unwrap();
    assert!(
        built.status.success(),
        "forge build {source}: {}",
        String::from_utf8_lossy(&built.stderr)
    );
    let file = Path::new(source).file_name().unwrap();
    let artifact = out.join(file).join(format!("{contract}.json"));
    let artifact = std::fs::read(artifact).unwrap();
    let artifact: serde_json::Value = serde_json::from_slice(&artifact).unwrap();
    let code = artifact["bytecode"]["object"].as_str().unwrap();
    alloy_primitives::hex::decode(code).unwrap()
}

/// The path of a tool: the pinned one of the repository, else one on the search path.
pub(crate) fn tool(name: &str) -> PathBuf {
    let pinned = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../node_modules/.bin")
        .join(name);
    if pinned.exists() {
        return pinned;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|found| found.exists())
        .unwrap_or_else(|| panic!("{name} is missing; run `make setup`"))
}

/// The machine's clock, in seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "anvil reads the same clock")]
fn clock() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_secs()
}
