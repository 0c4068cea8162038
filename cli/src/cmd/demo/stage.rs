//! Who takes part in the demo, and the chain they meet on.

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
    tx::{Call, Wallet},
};
use eyre::{Result, WrapErr};
use serde_json::Value;
use tokio::time::sleep;

use super::{
    plan::PayeeKey,
    report::{Balances, Sent},
};
use crate::{output::Output, payer::signing_key};

/// Blocks mined by one request: development nodes get slow with many.
const MINED_AT_ONCE: u64 = 200;

/// One payee with a store of its own.
pub(super) struct Actor {
    pub(super) address: Address,
    pub(super) payee: Payee,
}

/// Everybody, and what was sent.
pub(super) struct Stage {
    pub(super) reader: Reader,
    pub(super) sender: Wallet,
    pub(super) payer: Payer,
    pub(super) signer: Address,
    pub(super) actors: Vec<Actor>,
    pub(super) sent: Vec<Sent>,
    pub(super) out: Output,
    /// Whether the node mines when it is told to.
    can_mine: bool,
}

impl Stage {
    /// A payer and payees, each with a store in `folder`, and nothing shared but the node.
    pub(super) async fn set(
        reader: Reader,
        wallet: PrivateKeySigner,
        keys: Vec<PayeeKey>,
        folder: &Path,
        out: Output,
    ) -> Result<Self> {
        let key = signing_key(&wallet)?;
        let signer = key.address();
        let chain_id = reader.bank().chain_id();
        let sender = Wallet::new(
            reader.provider().clone(),
            EthereumWallet::from(wallet),
            chain_id,
        );
        let store = Redb::open(folder.join("payer/cheque.redb"))?;
        let payer = Payer::new(reader.clone(), Arc::new(store));
        let payer = payer.with_wallet(sender.clone()).with_key(key);
        let mut actors = Vec::with_capacity(keys.len());
        for (number, PayeeKey { key, address }) in keys.into_iter().enumerate() {
            let store = Redb::open(folder.join(format!("payee-{number}/cheque.redb")))?;
            let policy = Policy::new(address, *reader.bank(), reader.profile());
            // The payee has no coin for gas: the payer relays what it has consented to.
            let payee = Payee::new(reader.clone(), policy, Arc::new(store))
                .with_wallet(sender.clone())
                .with_key(key);
            actors.push(Actor { address, payee });
        }
        Ok(Self {
            reader,
            sender,
            payer,
            signer,
            actors,
            sent: Vec::new(),
            out,
            can_mine: true,
        })
    }

    /// Keeps what a transaction cost.
    pub(super) async fn note(
        &mut self,
        round: usize,
        operation: &'static str,
        sent: &cheque::tx::MinedTx,
    ) -> Result<()> {
        let fee = sent.fee + data_fee(&self.reader, sent.hash).await?;
        self.sent.push(Sent {
            round,
            operation,
            hash: sent.hash,
            gas: sent.gas_used,
            fee,
        });
        Ok(())
    }

    /// Sends a call and keeps what it cost.
    pub(super) async fn send(
        &mut self,
        round: usize,
        operation: &'static str,
        call: &Call,
    ) -> Result<()> {
        let sent = self.sender.send(call).await;
        let sent = sent.wrap_err_with(|| operation.to_owned())?;
        self.note(round, operation, &sent).await
    }

    /// The native coin that went with a transaction.
    pub(super) async fn value_of(&self, hash: B256) -> Result<U256> {
        use alloy::consensus::Transaction;
        let found = self.reader.provider().get_transaction_by_hash(hash).await;
        let found = found.map_err(NodeError::from)?;
        let found = found.ok_or_else(|| eyre::eyre!("the node has lost transaction {hash}"))?;
        Ok(found.value())
    }

    /// Mines up to a block, or waits for it on a node that does not mine on demand.
    pub(super) async fn reach(&mut self, block: u64) -> Result<()> {
        let mut told = false;
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
            if !told {
                told = true;
                self.out.progress(format!(
                    "waiting for block {block}, {missing} blocks or about {} s from now",
                    missing.saturating_mul(seconds)
                ));
            }
            sleep(Duration::from_secs(seconds)).await;
        }
    }

    /// All balances that the demo moves, as the chain has them.
    pub(super) async fn balances(&self, lane: u64) -> Result<Balances> {
        let reader = &self.reader;
        let account = self.sender.address();
        let head = reader.head().await?.number;
        let purse: PurseKey = (account, Address::ZERO, lane);
        let in_purse = match reader.purse(purse, head).await? {
            Purse::Idle(idle) => idle.to_u256(),
            Purse::Open(id) => U256::from(self.payer.deposit(id).await?.deposit.amount),
        };
        let mut payees = U256::ZERO;
        for actor in &self.actors {
            payees += reader.balance(actor.address, Address::ZERO).await?;
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

/// What a rollup charged for a transaction's data, in wei; zero elsewhere.
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
