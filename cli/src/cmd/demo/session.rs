//! The demo's participants, the chain they share, and the transactions sent.

use std::{path::Path, sync::Arc, time::Duration};

use alloy::{
    network::EthereumWallet,
    primitives::{Address, B256, U256},
    providers::Provider,
    signers::local::PrivateKeySigner,
};
use cheque::{
    Policy, Purse,
    bank::{PurseKey, Reader},
    node::NodeError,
    payee::Payee,
    payer::Payer,
    store::Redb,
    tx::{Call, MinedTx, Wallet},
};
use eyre::{Result, WrapErr, eyre};
use serde_json::Value;
use tokio::time::sleep;

use super::{
    beacon::DemoBeacon,
    plan::PayeeKey,
    report::{Balances, Transaction},
};
use crate::{
    opts::{
        time::{show_duration, show_time},
        wallet::signing_key,
    },
    output::Output,
};

/// The pause before another look at a node whose time the demo cannot move.
const PAUSE: Duration = Duration::from_secs(1);

/// A payee with its own store.
pub(super) struct DemoPayee {
    pub(super) address: Address,
    pub(super) payee: Payee,
}

/// Payer, payees, and the transactions sent.
pub(super) struct Session {
    pub(super) reader: Reader,
    pub(super) wallet: Wallet,
    pub(super) payer: Payer,
    pub(super) signer: Address,
    pub(super) payees: Vec<DemoPayee>,
    pub(super) transactions: Vec<Transaction>,
    pub(super) beacon: DemoBeacon,
    pub(super) out: Output,
    /// True until the node rejects a request to move its time.
    can_move_time: bool,
}

impl Session {
    /// Creates a payer and payees, each with a store in `folder`. They share nothing but the node.
    pub(super) async fn new(
        reader: Reader,
        beacon: DemoBeacon,
        key: PrivateKeySigner,
        payee_keys: Vec<PayeeKey>,
        folder: &Path,
        out: Output,
    ) -> Result<Self> {
        let signing = signing_key(&key)?;
        let signer = signing.address();
        let chain_id = reader.bank().chain_id();
        let wallet = Wallet::new(
            reader.provider().clone(),
            EthereumWallet::from(key),
            chain_id,
        );
        let store = Redb::open(folder.join("payer/cheque.redb"))?;
        let payer = Payer::new(reader.clone(), Arc::new(store));
        let payer = payer
            .with_beacon(beacon.client.clone())?
            .with_wallet(wallet.clone())
            .with_key(signing);
        let mut payees = Vec::with_capacity(payee_keys.len());
        for (number, PayeeKey { key, address }) in payee_keys.into_iter().enumerate() {
            let store = Redb::open(folder.join(format!("payee-{number}/cheque.redb")))?;
            let policy = Policy::new(address, *reader.bank(), reader.profile());
            // Payees have no coin for gas: the payer relays redemptions with their consent.
            let payee = Payee::new(reader.clone(), policy, Arc::new(store))?
                .with_beacon(beacon.client.clone())?
                .with_wallet(wallet.clone())
                .with_key(key);
            payees.push(DemoPayee { address, payee });
        }
        Ok(Self {
            reader,
            wallet,
            payer,
            signer,
            payees,
            transactions: Vec::new(),
            beacon,
            out,
            can_move_time: true,
        })
    }

    /// Records the cost of a transaction.
    pub(super) fn record(&mut self, round: usize, operation: &'static str, mined: &MinedTx) {
        self.transactions.push(Transaction {
            round,
            operation,
            hash: mined.hash,
            gas: mined.gas_used,
            fee: mined.fee,
        });
    }

    /// Sends a call and records its cost.
    pub(super) async fn send(
        &mut self,
        round: usize,
        operation: &'static str,
        call: &Call,
    ) -> Result<()> {
        let mined = self.wallet.send(call).await;
        let mined = mined.wrap_err_with(|| operation.to_owned())?;
        self.record(round, operation, &mined);
        Ok(())
    }

    /// Reads the native coin sent with a transaction.
    pub(super) async fn value_of(&self, hash: B256) -> Result<U256> {
        use alloy::consensus::Transaction;
        let found = self.reader.provider().get_transaction_by_hash(hash).await;
        let found = found.map_err(NodeError::from)?;
        let found =
            found.ok_or_else(|| eyre!("transaction {hash} is unknown to the node; start again"))?;
        Ok(found.value())
    }

    /// Moves the node's time, or waits on nodes that do not move it on request. Ends with a block of this time or later,
    /// and with the round of that time at the client.
    pub(super) async fn reach(&mut self, time: u64) -> Result<()> {
        let mut announced = false;
        loop {
            let head = self.reader.head().await?;
            if head.time >= time {
                return self.beacon.follow(head.time).await;
            }
            if self.can_move_time {
                self.can_move_time = self.mine_at(time).await.is_ok();
                continue;
            }
            if !announced {
                announced = true;
                let missing = Duration::from_secs(time - head.time);
                self.out.progress(format!(
                    "waiting for a block of {}, {} from now",
                    show_time(time),
                    show_duration(missing)
                ));
            }
            sleep(PAUSE).await;
        }
    }

    /// Mines a block of this time.
    async fn mine_at(&self, time: u64) -> Result<(), NodeError> {
        let provider = self.reader.provider();
        let set = "evm_setNextBlockTimestamp";
        provider
            .raw_request::<_, Value>(set.into(), (time,))
            .await?;
        provider
            .raw_request::<_, Value>("evm_mine".into(), ())
            .await?;
        Ok(())
    }

    /// Reads all balances of the demo from the chain.
    pub(super) async fn balances(&self, lane: u64) -> Result<Balances> {
        let reader = &self.reader;
        let account = self.wallet.address();
        let head = reader.head().await?.number;
        let purse: PurseKey = (account, Address::ZERO, lane);
        let in_purse = match reader.purse(purse, head).await? {
            Purse::Idle(idle) => idle.to_u256(),
            Purse::Open(id) => U256::from(self.payer.deposit(id).await?.deposit.amount),
        };
        let mut payees = U256::ZERO;
        for payee in &self.payees {
            payees += reader.balance(payee.address, Address::ZERO).await?;
        }
        let provider = reader.provider();
        let bank = provider.get_balance(reader.bank().address()).await;
        let wallet = provider.get_balance(account).await;
        Ok(Balances {
            bank: bank.map_err(NodeError::from)?,
            payer: reader.balance(account, Address::ZERO).await? + in_purse,
            payees,
            wallet: wallet.map_err(NodeError::from)?,
        })
    }
}
