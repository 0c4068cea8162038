//! Transactions that nobody waits for: sent once, kept in the store, and looked after from block to block.

use crate::{
    bank::{error::BankError, head::Head, redeem::RedeemError},
    node::failover::pin_node,
    payee::{
        Payee,
        pending::{PendingTx, Purpose, REDEEM, SEED, Submitted, pending_tx, unwanted_prefix},
        redeem::RedeemOptions,
    },
    protocol::terms::DepositId,
    store::{async_store::StoredError, codec::RecordError},
    tx::{
        error::TxError,
        outbox::{
            self, TxStatus,
            cancel::{self, Cancellation},
            fate::newest,
            purpose_key,
        },
        record::{TxRecord, stored_tx, stored_txs},
        wallet::{Call, MinedTx, Wallet, call_of},
    },
};
use alloy_primitives::Bytes;
use alloy_sol_types::SolCall;
use cheque_bindings::IChequeBank::{redeemBatchCall, redeemCall};
use cheque_bindings::{Outcome, Redemption};

impl Payee {
    /// All redemptions and recorded seeds that were sent and not told to be [`done`](Payee::done), and what was given up and
    /// is in their way, as the store has them. Does not ask the node.
    pub async fn pending_txs(&self) -> Result<Vec<PendingTx>, RedeemError> {
        let mut all = Vec::new();
        for (key, sent) in stored_txs(&self.store, REDEEM.to_vec()).await? {
            let deposits = self.redeemed_by(&sent)?;
            if !deposits.is_empty() {
                all.push(pending_tx(Purpose::Redeem(deposits), key, &sent));
            }
        }
        if let Some(wallet) = &self.wallet {
            let prefix = self.seed_prefix(wallet);
            for (key, sent) in stored_txs(&self.store, prefix.clone()).await? {
                let block = key.strip_prefix(&prefix[..]);
                let block = block.and_then(|block| block.try_into().ok());
                let block = block.ok_or(StoredError::Record(RecordError::WrongKey))?;
                let purpose = Purpose::RecordSeed(u64::from_be_bytes(block));
                all.push(pending_tx(purpose, key, &sent));
            }
            let unwanted = stored_txs(&self.store, unwanted_prefix(wallet)).await?;
            let cancelled = |(key, sent)| pending_tx(Purpose::Cancel, key, &sent);
            all.extend(unwanted.into_iter().map(cancelled));
        }
        Ok(all)
    }

    /// What of this wallet is under way and waits for very long as of the block `head`, and everything that it sends later
    /// behind it.
    #[cfg(feature = "service")]
    pub(crate) async fn stuck(&self, head: u64) -> Result<Vec<PendingTx>, RedeemError> {
        let Some(wallet) = &self.wallet else {
            return Ok(Vec::new());
        };
        let mut late = self.pending_txs().await?;
        late.retain(|one| {
            one.from == wallet.address() && head >= one.since.saturating_add(outbox::STUCK_AFTER)
        });
        if !late.is_empty() {
            let mined = wallet.mined_nonce().await?;
            late.retain(|one| one.nonce >= mined);
        }
        Ok(late)
    }

    /// Redeems wins to the payee's balance in one transaction, and does not wait for it. The bank is asked about each as of
    /// the newest block, and what it would not pay stays out. Nothing is checked about what it costs.
    ///
    /// Wins that are [under way](Payee::pending_txs) must not be among them: they would be sent twice, and paid once.
    pub async fn submit_redemptions(&self, ids: &[DepositId]) -> Result<Submitted, RedeemError> {
        let wallet = self.wallet.as_ref().ok_or(RedeemError::NoWallet)?;
        let head = self.reader.head().await?.number;
        let mut packed = Vec::new();
        let mut paid = Vec::new();
        let mut refused = Vec::new();
        for id in ids {
            match self.payable(*id, &RedeemOptions::default(), wallet).await {
                Ok((redemption, _)) => {
                    packed.push(redemption);
                    paid.push(*id);
                }
                Err(error) => refused.push((*id, error)),
            }
        }
        let Some(first) = paid.first() else {
            return Ok(Submitted {
                sent: None,
                refused,
            });
        };
        let key = purpose_key(REDEEM, *first);
        let bank = self.reader.bank();
        let call = match &mut packed[..] {
            [one] => Call::redeem(bank, std::mem::take(one)),
            _ => Call::redeem_batch(bank, packed),
        };
        let sent = outbox::submit(wallet, &self.store, &key, &call, head).await?;
        Ok(Submitted {
            sent: Some(pending_tx(Purpose::Redeem(paid), key, &sent)),
            refused,
        })
    }

    /// Makes the seed of a draw block known for ever, and does not wait until it is. `None`: it is recorded already.
    pub async fn submit_seed(&self, block: u64) -> Result<Option<PendingTx>, RedeemError> {
        let wallet = self.wallet.as_ref().ok_or(RedeemError::NoWallet)?;
        let head = self.reader.head().await?.number;
        let Some(call) = self.reader.record_seed(block).await? else {
            return Ok(None);
        };
        let mut key = self.seed_prefix(wallet);
        key.extend(block.to_be_bytes());
        let sent = outbox::submit(wallet, &self.store, &key, &call, head).await?;
        Ok(Some(pending_tx(Purpose::RecordSeed(block), key, &sent)))
    }

    /// Looks after a transaction that is under way: one that is not in a block is handed to the node again, if `bump` for
    /// a higher fee where it has waited for long.
    pub async fn look_after(&self, one: &PendingTx, bump: bool) -> Result<TxStatus, RedeemError> {
        let wallet = self.wallet.as_ref().ok_or(RedeemError::NoWallet)?;
        let head = self.reader.head().await?.number;
        Ok(outbox::look_after(wallet, &self.store, &one.key, head, bump).await?)
    }

    /// How many of the wins in a transaction that is under way the bank would pay as of the block `head`: none any more
    /// where they are paid, or where a reorganisation has drawn again. A node that does not have this block is an error: one
    /// that is behind knows of no draw, and would pay nothing.
    pub async fn would_pay(&self, one: &PendingTx, head: &Head) -> Result<usize, RedeemError> {
        let Some(sent) = stored_tx(&self.store, &one.key).await? else {
            return Ok(0);
        };
        let packed = self.redemptions_in(&sent)?;
        let counted = async {
            let mut payable = 0;
            for packed in packed {
                let at = head.number.into();
                let (outcome, _) = self.reader.outcome_of(packed, sent.from, at).await?;
                payable += usize::from(outcome == Outcome::Payable);
            }
            self.reader.check_still(head).await?;
            Ok::<_, BankError>(payable)
        };
        Ok(pin_node(counted).await?)
    }

    /// The replacement of a transaction under way that is in a block and has succeeded, if there is one. Hands nothing to
    /// the node.
    pub async fn mined(&self, one: &PendingTx) -> Result<Option<MinedTx>, RedeemError> {
        let wallet = self.wallet.as_ref().ok_or(RedeemError::NoWallet)?;
        let Some(sent) = stored_tx(&self.store, &one.key).await? else {
            return Ok(None);
        };
        Ok(wallet.mined(&sent.hashes).await?.and_then(Result::ok))
    }

    /// Gives up a transaction under way that has no work to do any more, so that something else can be sent for the same
    /// deposits. While the node has it, everything that the account sends later waits behind it: then it is to be
    /// [cancelled](Payee::cancel), and this is what is. Else it is forgotten.
    pub async fn give_up(&self, one: &PendingTx) -> Result<Option<PendingTx>, RedeemError> {
        let wallet = self.wallet.as_ref().ok_or(RedeemError::NoWallet)?;
        let Some(sent) = stored_tx(&self.store, &one.key).await? else {
            return Ok(None);
        };
        if sent.from != wallet.address() || !wallet.is_waiting(&sent.hashes).await? {
            self.done(one).await?;
            return Ok(None);
        }
        let mut aside = unwanted_prefix(wallet);
        aside.extend(sent.nonce.to_be_bytes());
        aside.extend(newest(&sent));
        cancel::park(&self.store, &one.key, &aside, &sent).await?;
        Ok(Some(pending_tx(Purpose::Cancel, aside, &sent)))
    }

    /// Cancels what was [given up](Payee::give_up), by a transaction with the same nonce that pays more and moves nothing.
    /// Does not wait: call it at every block until it is [done](Payee::done). Which of the two is mined is up to the chain.
    pub async fn cancel(&self, one: &PendingTx) -> Result<Cancellation, RedeemError> {
        let wallet = self.wallet.as_ref().ok_or(RedeemError::NoWallet)?;
        let head = self.reader.head().await?.number;
        Ok(cancel::cancel(wallet, &self.store, &one.key, head).await?)
    }

    /// Forgets a transaction that has done its work, so deep in the chain that no reorganisation takes it back, or that
    /// has no work to do any more. One that the node still has may be mined all the same.
    pub async fn done(&self, one: &PendingTx) -> Result<(), StoredError> {
        outbox::done(&self.store, &one.key).await
    }

    /// What a redemption of a deposit is kept under: its own key, or that of the batch which it is part of.
    pub(super) async fn redemption_key(&self, id: DepositId) -> Result<Vec<u8>, RedeemError> {
        let of = |one: &PendingTx| one.deposits().contains(&id);
        let batch = self.pending_txs().await?.into_iter().find(of);
        Ok(batch.map_or_else(|| purpose_key(REDEEM, id), |batch| batch.key))
    }

    /// Which of this payee's deposits a transaction redeems.
    fn redeemed_by(&self, sent: &TxRecord) -> Result<Vec<DepositId>, RedeemError> {
        let bank = self.reader.bank();
        let mut deposits = Vec::new();
        for packed in self.redemptions_in(sent)? {
            let redemption = Redemption::unpack(&packed).map_err(|_| TxError::NotATransaction)?;
            if redemption.payee == self.policy.payee {
                deposits.push(bank.deposit_id(&redemption.deposit));
            }
        }
        Ok(deposits)
    }

    /// The packed redemptions in a transaction; none if it goes to another bank.
    fn redemptions_in(&self, sent: &TxRecord) -> Result<Vec<Bytes>, RedeemError> {
        let call = call_of(&sent.raw)?;
        if call.to != self.reader.bank().address() {
            return Ok(Vec::new());
        }
        if let Ok(one) = redeemCall::abi_decode(&call.input) {
            return Ok(vec![one.redemption]);
        }
        let batch = redeemBatchCall::abi_decode(&call.input);
        Ok(batch.map_err(|_| TxError::NotATransaction)?.redemptions)
    }

    /// Begins the keys of all seeds that an account records in this bank; the block's number is the rest. Another account
    /// of the same store may record the same seed.
    fn seed_prefix(&self, wallet: &Wallet) -> Vec<u8> {
        let bank = self.reader.bank().address();
        [SEED, bank.as_slice(), wallet.address().as_slice()].concat()
    }
}
