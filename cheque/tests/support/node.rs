//! A real node: anvil with a deployed bank, its beacon, and accounts with coin.
//!
//! The chain starts a day ahead of the machine's clock, and a block is a second after the one before. So its time is
//! *now*, and moves only if a test says so. Time goes forward only.

#![allow(dead_code, reason = "every test binary uses its own part of this")]

#[path = "anvil.rs"]
mod anvil;
#[path = "beacon.rs"]
pub(crate) mod beacon;
#[path = "draw.rs"]
pub(crate) mod draw;

use alloy::{network::EthereumWallet, providers::Provider, signers::local::PrivateKeySigner};
use alloy_primitives::{Address, B256, U256};
use beacon::{PERIOD, TestBeacon};
use cheque::{
    Amount, ChainProfile, Deposit, LocalBeacon, Policy, SigningKey, TokenLimits,
    bank::Reader,
    payee::Payee,
    payer::Payer,
    store::Store,
    tx::{Call, Wallet},
};
use cheque_bindings::{CREATE2_DEPLOYER, create2_address, create2_input};
use std::sync::Arc;

#[allow(unused_imports, reason = "every test binary uses its own part of this")]
pub(crate) use anvil::{Node, Snapshot, compiled, tool, unreliable};

pub(crate) const COIN: u128 = 1_000_000_000_000_000_000;

/// The least time between opening a deposit and its draw at the banks of tests, in seconds.
pub(crate) const MIN_LEAD: u64 = 4;

/// A node with a bank and the bank's beacon.
pub(crate) struct World {
    pub(crate) node: Node,
    pub(crate) reader: Reader,
    pub(crate) beacon: TestBeacon,
}

/// An account with a key and coin.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) key: SigningKey,
    pub(crate) address: Address,
    pub(crate) wallet: Wallet,
}

impl World {
    /// A chain a day ahead of the machine's clock, and a beacon with a round every second.
    pub(crate) async fn new() -> Self {
        Self::on(Node::start().await, PERIOD).await
    }

    /// A chain with the time of the machine's clock, whose reader has the changed profile: for tests of the three clocks.
    pub(crate) async fn by_the_clock(change: impl FnOnce(&mut ChainProfile)) -> Self {
        let mut world = Self::on(Node::by_the_clock().await, PERIOD).await;
        let mut profile = *world.reader.profile();
        change(&mut profile);
        world.reader = world.reader.with_profile(profile);
        world
    }

    /// A bank on the node, and its beacon with a round every `period` seconds.
    pub(crate) async fn on(node: Node, period: u64) -> Self {
        let beacon = TestBeacon::start(&node.url, beacon::local(period)).await;
        let reader = deployed(&node, MIN_LEAD, &beacon.local).await;
        Self {
            node,
            reader,
            beacon,
        }
    }

    /// Another bank with the same beacon on the same node.
    pub(crate) async fn bank(&self, lead: u64) -> Reader {
        deployed(&self.node, lead, &self.beacon.local).await
    }

    /// The time of the newest block, in seconds since 1970.
    pub(crate) async fn now(&self) -> u64 {
        self.node.now().await
    }

    /// Mines one block of this time. All payers and payees know the beacon's newest round then.
    pub(crate) async fn mine_at(&self, time: u64) {
        self.node.mine_at(time).await;
        self.beacon.sync().await;
    }

    /// Mines one block, this many seconds after the newest, as [`World::mine_at`].
    pub(crate) async fn advance(&self, seconds: u64) {
        self.mine_at(self.now().await + seconds).await;
    }

    /// Mines the first block after a deposit's draw, in which its cheques can be redeemed.
    pub(crate) async fn draw(&self, deposit: &Deposit) {
        self.mine_at(deposit.drawTime + 1).await;
    }

    pub(crate) async fn account(&self, number: u8) -> Account {
        account(&self.node, number).await
    }

    pub(crate) fn payer(&self, account: &Account, store: Arc<dyn Store>) -> Payer {
        Payer::new(self.reader.clone(), store)
            .with_beacon(self.beacon.client.clone())
            .unwrap()
            .with_wallet(account.wallet.clone())
            .with_key(account.key.clone())
    }

    pub(crate) fn payee(&self, account: &Account, store: Arc<dyn Store>) -> Payee {
        let payee = Payee::new(self.reader.clone(), self.policy(account), store).unwrap();
        let payee = payee.with_beacon(self.beacon.client.clone()).unwrap();
        payee.with_wallet(account.wallet.clone())
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

async fn deployed(node: &Node, lead: u64, local: &LocalBeacon) -> Reader {
    let beacon = local.beacon().parameters();
    let deploy = Call {
        to: CREATE2_DEPLOYER,
        input: create2_input(lead, &beacon),
        value: U256::ZERO,
    };
    let deployer = account(node, 200).await;
    deployer.wallet.send(&deploy).await.unwrap();
    let bank = create2_address(lead, &beacon);
    let reader = Reader::open(node.provider.clone(), bank).await.unwrap();
    assert_eq!(reader.min_lead(), lead);
    assert_eq!(reader.beacon(), local.beacon());
    reader
}

/// The default policy, with room for several deposits.
pub(crate) fn policy(reader: &Reader, payee: Address) -> Policy {
    let mut policy = Policy::new(payee, *reader.bank(), reader.profile());
    let limits = TokenLimits {
        max_deposit: Some(Amount::new(10 * COIN)),
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
