//! A real node for tests: anvil with a deployed bank and accounts that have coin.

#![allow(dead_code, reason = "every test uses its own part of this")]

use alloy::{
    network::EthereumWallet,
    providers::{DynProvider, Provider},
    signers::local::PrivateKeySigner,
};
use alloy_primitives::{Address, B256, U256};
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
        // It may have ended by itself.
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
            .unwrap_or_else(|error| panic!("anvil does not start ({error}): run `make setup`"));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map(|line| line.expect("anvil says where it listens"))
            .find_map(|line| line.strip_prefix("Listening on ").map(str::to_owned))
            .expect("anvil listens: is the port free?");
        // Else anvil blocks once the pipe is full.
        std::thread::spawn(move || lines.count());
        let url = format!("http://{address}");
        let provider = connect(&url).await.unwrap();
        Self {
            child,
            url,
            provider,
        }
    }

    /// Calls a method of anvil's own.
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
            // Mining many at once is slower than linear, and calls time out.
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
        let coins = format!("{:#x}", U256::from(1_000) * U256::from(COIN));
        self.anvil("anvil_setBalance", (account, coins)).await;
    }
}

/// An address that leads to the node at `url`, but cuts the first `cut` connections; and how many there were.
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

/// The creation code of a contract of the repository, compiled by forge into this crate's own directory.
pub(crate) fn compiled(source: &str, contract: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("out");
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache");
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

/// A pinned tool of the repository, else one on the search path.
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
        .unwrap_or_else(|| panic!("{name} is missing: run `make setup`"))
}

/// A node with a bank.
pub(crate) struct World {
    pub(crate) node: Node,
    pub(crate) reader: Reader,
}

/// Somebody with a key and coin.
#[derive(Clone)]
pub(crate) struct Party {
    pub(crate) key: SigningKey,
    pub(crate) address: Address,
    pub(crate) wallet: Wallet,
}

impl World {
    pub(crate) async fn new() -> Self {
        let node = Node::start().await;
        // The genesis block has no randomness, and the bank refuses such a chain.
        node.mine(1).await;
        let reader = deployed(&node, 4, SeedSource::PrevRandao).await;
        Self { node, reader }
    }

    /// Another bank on the same node.
    pub(crate) async fn bank(&self, lead: u64, source: SeedSource) -> Reader {
        deployed(&self.node, lead, source).await
    }

    pub(crate) async fn party(&self, number: u8) -> Party {
        party(&self.node, number).await
    }

    pub(crate) fn payer(&self, party: &Party, store: Arc<dyn Store>) -> Payer {
        Payer::new(self.reader.clone(), store)
            .with_wallet(party.wallet.clone())
            .with_key(party.key.clone())
    }

    pub(crate) fn payee(&self, party: &Party, store: Arc<dyn Store>) -> Payee {
        Payee::new(self.reader.clone(), self.policy(party), store).with_wallet(party.wallet.clone())
    }

    pub(crate) fn policy(&self, party: &Party) -> Policy {
        policy(&self.reader, party.address)
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
    let deployer = party(node, 200).await;
    deployer.wallet.send(&deploy).await.unwrap();
    let bank = create2_address(lead, source);
    let reader = Reader::open(node.provider.clone(), bank).await.unwrap();
    assert_eq!(reader.min_lead(), lead);
    reader
}

/// The usual policy, with room for several deposits.
pub(crate) fn policy(reader: &Reader, payee: Address) -> Policy {
    let mut policy = Policy::new(payee, *reader.bank(), reader.profile());
    let limits = TokenLimits {
        max_deposit: Amount::new(10 * COIN),
        max_exposure: Amount::new(100 * COIN),
    };
    policy.tokens.insert(Address::ZERO, limits);
    policy
}

/// The key and the address of the party with this number.
pub(crate) fn secret(number: u8) -> (SigningKey, Address) {
    let key = SigningKey::from_bytes(&[number; 32]).unwrap();
    let address = key.address();
    (key, address)
}

async fn party(node: &Node, number: u8) -> Party {
    let (key, address) = secret(number);
    let wallet = PrivateKeySigner::from_bytes(&B256::repeat_byte(number)).unwrap();
    assert_eq!(wallet.address(), address);
    node.endow(address).await;
    let chain_id = node.provider.get_chain_id().await.unwrap();
    let wallet = EthereumWallet::from(wallet);
    let wallet = Wallet::new(node.provider.clone(), wallet, chain_id);
    Party {
        key,
        address,
        wallet,
    }
}

pub(crate) fn coins(milli: u128) -> Amount {
    Amount::new(milli * COIN / 1_000)
}
