//! A real node: anvil with a deployed bank, and accounts with coin.

#![allow(dead_code, reason = "every test binary uses its own part of this")]

use alloy::{
    network::EthereumWallet,
    providers::{DynProvider, Provider},
    signers::local::PrivateKeySigner,
};
use alloy_primitives::{Address, B256, TxHash, U256};
use cheque::{
    Amount, Policy, SeedSource, SigningKey, TokenLimits,
    bank::Reader,
    node::connect,
    payee::Payee,
    payer::Payer,
    store::Store,
    tx::{Call, Wallet},
};
use cheque_bindings::{CREATE2_DEPLOYER, create2_address, create2_input};
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
};

pub(crate) const COIN: u128 = 1_000_000_000_000_000_000;

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
    pub(crate) async fn start() -> Self {
        let mut child = Command::new(tool("anvil"))
            .args(["--port", "0", "--hardfork", "osaka", "--chain-id", "31337"])
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

    pub(crate) async fn mine_to(&self, block: u64) {
        let head = self.provider.get_block_number().await.unwrap();
        assert!(head <= block, "block {block} is past, the head is {head}");
        self.mine(block - head).await;
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

    /// Moves the time of the next block forward.
    pub(crate) async fn advance_time(&self, seconds: u64) {
        self.anvil("evm_increaseTime", [seconds]).await;
    }

    pub(crate) async fn snapshot(&self) -> Snapshot {
        Snapshot(self.anvil("evm_snapshot", ()).await)
    }

    /// Drops all blocks since the snapshot with their transactions, as a reorganisation does.
    pub(crate) async fn revert(&self, snapshot: Snapshot) {
        let dropped = self.anvil("evm_revert", [snapshot.0]).await;
        assert_eq!(dropped, serde_json::Value::Bool(true));
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

/// A node with a bank.
pub(crate) struct World {
    pub(crate) node: Node,
    pub(crate) reader: Reader,
}

/// An account with a key and coin.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) key: SigningKey,
    pub(crate) address: Address,
    pub(crate) wallet: Wallet,
}

impl World {
    pub(crate) async fn new() -> Self {
        let node = Node::start().await;
        // The bank refuses a chain whose newest block has no randomness, like the genesis block.
        node.mine(1).await;
        let reader = deployed(&node, 4, SeedSource::PrevRandao).await;
        Self { node, reader }
    }

    /// Another bank on the same node.
    pub(crate) async fn bank(&self, lead: u64, source: SeedSource) -> Reader {
        deployed(&self.node, lead, source).await
    }

    pub(crate) async fn account(&self, number: u8) -> Account {
        account(&self.node, number).await
    }

    pub(crate) fn payer(&self, account: &Account, store: Arc<dyn Store>) -> Payer {
        Payer::new(self.reader.clone(), store)
            .with_wallet(account.wallet.clone())
            .with_key(account.key.clone())
    }

    pub(crate) fn payee(&self, account: &Account, store: Arc<dyn Store>) -> Payee {
        Payee::new(self.reader.clone(), self.policy(account), store)
            .with_wallet(account.wallet.clone())
    }

    pub(crate) fn policy(&self, account: &Account) -> Policy {
        policy(&self.reader, account.address)
    }

    pub(crate) async fn head(&self) -> u64 {
        self.reader.head().await.unwrap().number
    }

    pub(crate) async fn coin(&self, account: Address) -> U256 {
        self.node.provider.get_balance(account).await.unwrap()
    }

    pub(crate) async fn balance(&self, account: Address) -> U256 {
        self.reader.balance(account, Address::ZERO).await.unwrap()
    }
}

async fn deployed(node: &Node, lead: u64, source: SeedSource) -> Reader {
    let deploy = Call {
        to: CREATE2_DEPLOYER,
        input: create2_input(lead, source),
        value: U256::ZERO,
    };
    let deployer = account(node, 200).await;
    deployer.wallet.send(&deploy).await.unwrap();
    let bank = create2_address(lead, source);
    let reader = Reader::open(node.provider.clone(), bank).await.unwrap();
    assert_eq!(reader.min_lead(), lead);
    reader
}

/// The default policy, with room for several deposits.
pub(crate) fn policy(reader: &Reader, payee: Address) -> Policy {
    let mut policy = Policy::new(payee, *reader.bank(), reader.profile());
    let limits = TokenLimits {
        max_deposit: Amount::new(10 * COIN),
        max_exposure: Amount::new(100 * COIN),
    };
    policy.tokens.insert(Address::ZERO, limits);
    policy
}

/// Key and address of the account with this number.
pub(crate) fn secret(number: u8) -> (SigningKey, Address) {
    let key = SigningKey::from_bytes(&[number; 32]).unwrap();
    let address = key.address();
    (key, address)
}

/// The transaction signer of the account with this number.
pub(crate) fn signer(number: u8) -> EthereumWallet {
    let wallet = PrivateKeySigner::from_bytes(&B256::repeat_byte(number)).unwrap();
    assert_eq!(wallet.address(), secret(number).1);
    EthereumWallet::from(wallet)
}

async fn account(node: &Node, number: u8) -> Account {
    let (key, address) = secret(number);
    node.endow(address).await;
    let chain_id = node.provider.get_chain_id().await.unwrap();
    let wallet = Wallet::new(node.provider.clone(), signer(number), chain_id);
    Account {
        key,
        address,
        wallet,
    }
}

/// An amount in thousandths of a coin.
pub(crate) fn coins(milli: u128) -> Amount {
    Amount::new(milli * COIN / 1_000)
}
