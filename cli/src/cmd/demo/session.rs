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
    plan::PayeeKey,
    report::{Balances, Transaction},
};
use crate::{opts::wallet::signing_key, output::Output};

/// Blocks mined per request: development nodes get slow with many.
const MINED_AT_ONCE: u64 = 200;

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
    pub(super) out: Output,
    /// True until the node rejects a request to mine.
    can_mine: bool,
}

impl Session {
    /// Creates a payer and payees, each with a store in `folder`. They share nothing but the node.
    pub(super) async fn new(
        reader: Reader,
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
        let payer = payer.with_wallet(wallet.clone()).with_key(signing);
        let mut payees = Vec::with_capacity(payee_keys.len());
        for (number, PayeeKey { key, address }) in payee_keys.into_iter().enumerate() {
            let store = Redb::open(folder.join(format!("payee-{number}/cheque.redb")))?;
            let policy = Policy::new(address, *reader.bank(), reader.profile());
            // Payees have no coin for gas: the payer relays redemptions with their consent.
            let payee = Payee::new(reader.clone(), policy, Arc::new(store))
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
            out,
            can_mine: true,
        })
    }

    /// Records the cost of a transaction.
    pub(super) async fn record(
        &mut self,
        round: usize,
        operation: &'static str,
        mined: &MinedTx,
    ) -> Result<()> {
        let fee = mined.fee + data_fee(&self.reader, mined.hash).await?;
        self.transactions.push(Transaction {
            round,
            operation,
            hash: mined.hash,
            gas: mined.gas_used,
            fee,
        });
        Ok(())
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
        self.record(round, operation, &mined).await
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

    /// Mines up to a block, or waits on nodes that do not mine on request.
    pub(super) async fn reach(&mut self, block: u64) -> Result<()> {
        let mut announced = false;
        loop {
            let head = self.reader.head().await?.number;
            let Some(missing) = block.checked_sub(head).filter(|missing| *missing > 0) else {
                return Ok(());
            };
            if self.can_mine {
                let blocks = U256::from(missing.min(MINED_AT_ONCE));
                let provider = self.reader.provider();
                let mined = provider
                    .raw_request::<_, Value>("anvil_mine".into(), (blocks,))
                    .await;
                self.can_mine = mined.is_ok();
                continue;
            }
            let seconds = self.reader.profile().block_time;
            if !announced {
                announced = true;
                self.out.progress(format!(
                    "waiting for block {block}, {missing} blocks or about {} s from now",
                    missing.saturating_mul(seconds)
                ));
            }
            sleep(Duration::from_secs(seconds)).await;
        }
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

/// Reads a rollup's charge for a transaction's data, in wei; zero on other chains.
async fn data_fee(reader: &Reader, hash: B256) -> Result<U256> {
    if reader.profile().early_seed == 0 {
        return Ok(U256::ZERO);
    }
    let method = "eth_getTransactionReceipt";
    let receipt = reader.provider().raw_request(method.into(), (hash,)).await;
    let receipt: Value = receipt.map_err(NodeError::from)?;
    let fee = receipt
        .get("l1Fee")
        .and_then(Value::as_str)
        .unwrap_or("0x0");
    fee.parse().wrap_err("the receipt's l1Fee")
}
