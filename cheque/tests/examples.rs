//! The examples `pay` and `get_paid`, run against a real node.

#![cfg(all(feature = "client", feature = "redb"))]
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

#[allow(dead_code, reason = "the test calls its functions, not `main`")]
#[path = "../examples/get_paid.rs"]
mod get_paid;
#[allow(dead_code, reason = "the test calls its functions, not `main`")]
#[path = "../examples/pay.rs"]
mod pay;

use alloy::{
    network::EthereumWallet,
    providers::{DynProvider, Provider},
    signers::local::PrivateKeySigner,
};
use cheque::{
    Address, Amount, SeedSource, U256,
    node::connect,
    tx::{Call, Wallet},
};
use cheque_bindings::{CREATE2_DEPLOYER, create2_address, create2_input};
use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// The secret keys of anvil's first two accounts.
const PAYER: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const PAYEE: &str = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";

/// The `minLead` of the bank, in blocks.
const LEAD: u64 = 4;

/// An anvil that ends with the test.
struct Node {
    child: Child,
    url: String,
    provider: DynProvider,
}

impl Drop for Node {
    fn drop(&mut self) {
        // Both fail if the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Node {
    async fn start() -> Self {
        let mut child = Command::new(anvil())
            .args(["--port", "0", "--hardfork", "osaka", "--chain-id", "31337"])
            .stdout(Stdio::piped())
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

    async fn mine(&self, blocks: u64) {
        let blocks = [format!("{blocks:#x}")];
        let _: () = self
            .provider
            .raw_request("anvil_mine".into(), blocks)
            .await
            .unwrap();
    }

    async fn deploy_bank(&self) -> Address {
        let deploy = Call {
            to: CREATE2_DEPLOYER,
            input: create2_input(LEAD, SeedSource::PrevRandao),
            value: U256::ZERO,
        };
        let account: PrivateKeySigner = PAYER.parse().unwrap();
        let wallet = Wallet::new(self.provider.clone(), EthereumWallet::from(account), 31_337);
        wallet.send(&deploy).await.unwrap();
        create2_address(LEAD, SeedSource::PrevRandao)
    }
}

/// The pinned anvil of the repository, else the one on the search path.
fn anvil() -> PathBuf {
    let pinned = Path::new(env!("CARGO_MANIFEST_DIR")).join("../node_modules/.bin/anvil");
    if pinned.exists() {
        pinned
    } else {
        PathBuf::from("anvil")
    }
}

#[tokio::test]
async fn pays_and_redeems_by_the_examples() {
    let node = Node::start().await;
    // The genesis block has no randomness, so the bank rejects its chain.
    node.mine(1).await;
    let bank = node.deploy_bank().await;
    let stores = tempfile::tempdir().unwrap();
    let store = |name| stores.path().join(name);

    let payer = pay::payer(&node.url, bank, PAYER, &store("payer")).await;
    let payee = get_paid::payee(&node.url, bank, PAYEE, &store("payee")).await;
    let (payer, payee) = (payer.unwrap(), payee.unwrap());
    let account = payee.policy().payee;
    let proofs = pay::pay(&payer, account).await.unwrap();
    assert_eq!(proofs.len(), 2);

    let mut value = 0;
    let mut position = None;
    for proof in proofs {
        let accepted = payee.receive_payment(None, &proof).await.unwrap();
        value += accepted.value.get();
        position = Some(accepted.position);
    }
    let position = position.unwrap();
    let total = position.total();
    assert!(value > 0 && value < total.get(), "{value} of {total}");

    let draw_block = position.deposit().drawBlock;
    let head = payee.reader().head().await.unwrap().number;
    node.mine(draw_block - head + 1).await;
    // The only payee of a deposit wins all of it after payment of its whole allowance.
    let payout = get_paid::redeem_win(&payee, position.deposit_id()).await;
    assert_eq!(
        payout.unwrap(),
        Some(Amount::new(position.deposit().amount))
    );
    let balance = payee.reader().balance(account, Address::ZERO).await;
    assert_eq!(balance.unwrap(), total.to_u256());
}
