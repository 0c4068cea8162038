//! Pending transactions: submitted without waiting, stored first, and checked from head to head until confirmed.

use crate::{
    bank::{error::BankError, head::Head, redeem::RedeemError},
    node::failover::pin_node,
    payee::{
        Payee,
        pending::{PendingTx, Purpose, REDEEM, SEED, Submitted, obsolete_prefix, pending_tx},
        redeem::RedeemOptions,
    },
    protocol::{amount::Amount, terms::DepositId},
    store::{async_store::StoredError, codec::RecordError},
    tx::{
        error::TxError,
        outbox::{
            self, TxStatus,
            cancel::{self, Cancellation},
            purpose_key,
        },
        record::{TxRecord, stored_tx, stored_txs},
        wallet::{Call, MinedTx, Wallet, call_of},
    },
};
use alloy_primitives::{Bytes, U256};
use alloy_sol_types::SolCall;
use cheque_bindings::IChequeBank::{redeemBatchCall, redeemCall};
use cheque_bindings::{Outcome, Redemption};
use std::collections::BTreeMap;

impl Payee {
    /// All redemptions, seed recordings and cancellations in the store: submitted, and not yet
    /// [removed](Payee::remove). Does not query the node. Without a wallet, lists redemptions only.
    ///
    /// # Errors
    ///
    /// [`RedeemError::Stored`] if the store cannot be read; [`RedeemError::Tx`] if a record is damaged.
    pub async fn pending_txs(&self) -> Result<Vec<PendingTx>, RedeemError> {
        let mut all = Vec::new();
        for (key, record) in stored_txs(&self.store, REDEEM.to_vec()).await? {
            let deposits = self.deposits_redeemed_by(&record)?;
            if !deposits.is_empty() {
                all.push(pending_tx(Purpose::Redeem(deposits), key, &record));
            }
        }
        if let Some(wallet) = &self.wallet {
            let prefix = self.seed_prefix(wallet);
            for (key, record) in stored_txs(&self.store, prefix.clone()).await? {
                let time = key.strip_prefix(&prefix[..]);
                let time = time.and_then(|time| time.try_into().ok());
                let time = time.ok_or(StoredError::Record(RecordError::WrongKey))?;
                let purpose = Purpose::RecordSeed(u64::from_be_bytes(time));
                all.push(pending_tx(purpose, key, &record));
            }
            let obsolete = stored_txs(&self.store, obsolete_prefix(wallet)).await?;
            let cancelled = |(key, record)| pending_tx(Purpose::Cancel, key, &record);
            all.extend(obsolete.into_iter().map(cancelled));
        }
        Ok(all)
    }

    /// Submits a transaction to redeem wins to the payee's balance. Does not wait until it is mined. Asks the bank
    /// about each win at the newest block, and leaves out refused ones. Does not compare cost and payout.
    ///
    /// The caller must leave out wins of a [pending](Payee::pending_txs) redemption: they would be sent twice and paid
    /// once.
    ///
    /// # Errors
    ///
    /// [`RedeemError::NoWallet`] without a wallet; [`RedeemError::Bank`] if the head cannot be read;
    /// [`RedeemError::Outbox`] if the transaction could not be stored or sent. If stored, it is listed by
    /// [`Payee::pending_txs`]. An error about a single win is in [`Submitted::refused`].
    pub async fn submit_redemptions(&self, ids: &[DepositId]) -> Result<Submitted, RedeemError> {
        let wallet = self.wallet.as_ref().ok_or(RedeemError::NoWallet)?;
        let now = self.tx_time().await?;
        let mut packed = Vec::new();
        let mut unrecorded = BTreeMap::new();
        let mut payable = Vec::new();
        let mut refused = Vec::new();
        for id in ids {
            match self.payable(*id, &RedeemOptions::default(), wallet).await {
                Ok(redemption) => {
                    let round = redemption.unrecorded;
                    // The bank verifies the proof of each draw time once.
                    unrecorded.extend(round.map(|round| (round.time(), round)));
                    packed.push(redemption.packed);
                    payable.push(*id);
                }
                Err(error) => refused.push((*id, error)),
            }
        }
        let Some(first) = payable.first() else {
            return Ok(Submitted { tx: None, refused });
        };
        let key = purpose_key(REDEEM, *first);
        let bank = self.reader.bank();
        let rounds: Vec<_> = unrecorded.into_values().collect();
        let call = match &mut packed[..] {
            [single] => Call::redeem(bank, std::mem::take(single), rounds.first()),
            _ => Call::redeem_batch(bank, packed, &rounds),
        };
        let wallet = wallet.with_max_cost(self.worth_of(&payable).await?);
        let record = outbox::submit(&wallet, &self.store, &key, &call, now).await?;
        Ok(Submitted {
            tx: Some(pending_tx(Purpose::Redeem(payable), key, &record)),
            refused,
        })
    }

    /// Submits a transaction to record the seed of a draw time at the bank, for good. Does not wait until it is mined.
    /// `None` if the seed is recorded already. Costs no more than the payouts of `wins`, which need the seed.
    ///
    /// # Errors
    ///
    /// [`RedeemError::NoWallet`] without a wallet; [`RedeemError::NotDrawn`] if the round is not public yet;
    /// [`RedeemError::Seed`] if it cannot be looked up; [`RedeemError::Bank`] if the chain cannot be read;
    /// [`RedeemError::Outbox`] as for [`Payee::submit_redemptions`].
    pub async fn submit_seed(
        &self,
        draw_time: u64,
        wins: &[DepositId],
    ) -> Result<Option<PendingTx>, RedeemError> {
        let wallet = self.wallet.as_ref().ok_or(RedeemError::NoWallet)?;
        let now = self.tx_time().await?;
        let Some(call) = self.seed_call(draw_time).await? else {
            return Ok(None);
        };
        let mut key = self.seed_prefix(wallet);
        key.extend(draw_time.to_be_bytes());
        let wallet = wallet.with_max_cost(self.worth_of(wins).await?);
        let record = outbox::submit(&wallet, &self.store, &key, &call, now).await?;
        let purpose = Purpose::RecordSeed(draw_time);
        Ok(Some(pending_tx(purpose, key, &record)))
    }

    /// Returns what the payouts of wins are worth, in wei: no redemption and no seed may cost more, whatever fees the node
    /// tells. `None` if the rate of a token is unknown.
    async fn worth_of(&self, ids: &[DepositId]) -> Result<Option<U256>, RedeemError> {
        let mut worth = U256::ZERO;
        for id in ids {
            let Some(position) = self.position(*id).await? else {
                continue;
            };
            let Some(rate) = self.rates.last(position.deposit().token) else {
                return Ok(None);
            };
            let payout = position.payout().map(|payout| payout.amount);
            worth = worth.saturating_add(rate.wei_down(payout.unwrap_or(Amount::ZERO)));
        }
        Ok(Some(worth))
    }

    /// Checks a pending transaction without waiting. Hands an unmined one to the node again; with `bump`, and unmined
    /// for [`Wallet::bump_after`] seconds, as a replacement with a higher fee. Removes the record of a
    /// [dropped](TxStatus::Dropped) one.
    ///
    /// A replacement costs no more than the payouts of the redemption's deposits. The recording of a seed is raised by
    /// [`check_seed`](Self::check_seed) alone.
    ///
    /// # Errors
    ///
    /// [`RedeemError::NoWallet`] without a wallet; [`RedeemError::Bank`] if the head cannot be read;
    /// [`RedeemError::Outbox`] if node or store fail, or if the replacement is refused.
    pub async fn check(&self, tx: &PendingTx, bump: bool) -> Result<TxStatus, RedeemError> {
        let is_redemption = !tx.deposits().is_empty();
        self.check_within(tx, tx.deposits(), bump && is_redemption)
            .await
    }

    /// Checks the pending recording of a seed as [`check`](Self::check) does. A replacement costs no more than the payouts of
    /// `wins`, which need the seed.
    ///
    /// # Errors
    ///
    /// As for [`check`](Self::check).
    pub async fn check_seed(
        &self,
        tx: &PendingTx,
        wins: &[DepositId],
        bump: bool,
    ) -> Result<TxStatus, RedeemError> {
        self.check_within(tx, wins, bump).await
    }

    async fn check_within(
        &self,
        tx: &PendingTx,
        wins: &[DepositId],
        bump: bool,
    ) -> Result<TxStatus, RedeemError> {
        let wallet = self.wallet.as_ref().ok_or(RedeemError::NoWallet)?;
        let now = self.tx_time().await?;
        let wallet = wallet.with_max_cost(self.worth_of(wins).await?);
        Ok(outbox::check(&wallet, &self.store, &tx.key, now, bump).await?)
    }

    /// Counts the payable wins in a pending transaction, by the bank's state at the block `head`. Zero if all are paid
    /// already, or if a reorganisation has removed a recorded seed that the transaction counts on.
    ///
    /// # Errors
    ///
    /// [`RedeemError::Bank`] if the node cannot answer or lacks the block `head`: a node that is behind may not have
    /// reached the draw time, and would report no payable win. [`RedeemError::Stored`] if the store cannot be read;
    /// [`RedeemError::Tx`] if the record is damaged.
    pub async fn count_payable(&self, tx: &PendingTx, head: &Head) -> Result<usize, RedeemError> {
        let Some(record) = stored_tx(&self.store, &tx.key).await? else {
            return Ok(0);
        };
        let sent = self.redemptions_in(&record)?;
        let count = async {
            let mut payable = 0;
            for (packed, proof) in sent.with_proofs() {
                let at = head.number.into();
                let outcome = self.reader.outcome_of(packed, proof, record.from, at);
                let (outcome, _) = outcome.await?;
                payable += usize::from(outcome == Outcome::Payable);
            }
            self.reader.check_canonical(head).await?;
            Ok::<_, BankError>(payable)
        };
        Ok(pin_node(count).await?)
    }

    /// Finds the successfully mined replacement of a pending transaction. Sends nothing. `None` if all are unmined or
    /// reverted, or if the store has no record of the transaction.
    ///
    /// # Errors
    ///
    /// [`RedeemError::NoWallet`] without a wallet; [`RedeemError::Tx`] if the node fails; [`RedeemError::Stored`] if
    /// the store cannot be read.
    pub async fn find_mined(&self, tx: &PendingTx) -> Result<Option<MinedTx>, RedeemError> {
        let wallet = self.wallet.as_ref().ok_or(RedeemError::NoWallet)?;
        let Some(record) = stored_tx(&self.store, &tx.key).await? else {
            return Ok(None);
        };
        Ok(wallet
            .find_mined(&record.hashes)
            .await?
            .and_then(Result::ok))
    }

    /// Abandons an obsolete transaction. Another can then be submitted for the same deposits. If the node still has the
    /// abandoned one, later nonces wait behind it; returns it for [`Payee::cancel`]. Otherwise removes its record, and
    /// returns `None`.
    ///
    /// # Errors
    ///
    /// [`RedeemError::NoWallet`] without a wallet; [`RedeemError::Tx`] if the node fails; [`RedeemError::Stored`] if
    /// the store fails; [`RedeemError::Outbox`] if another process has changed the record. The transaction is not
    /// abandoned then.
    pub async fn abandon(&self, tx: &PendingTx) -> Result<Option<PendingTx>, RedeemError> {
        let wallet = self.wallet.as_ref().ok_or(RedeemError::NoWallet)?;
        let Some(record) = stored_tx(&self.store, &tx.key).await? else {
            return Ok(None);
        };
        if record.from != wallet.address() || !wallet.is_pending(&record.hashes).await? {
            self.remove(tx).await?;
            return Ok(None);
        }
        let mut key = obsolete_prefix(wallet);
        key.extend(record.nonce.to_be_bytes());
        key.extend(record.newest_hash());
        cancel::park(&self.store, &tx.key, &key, &record).await?;
        Ok(Some(pending_tx(Purpose::Cancel, key, &record)))
    }

    /// Cancels an [abandoned](Payee::abandon) transaction by an empty one with the same nonce and a higher fee. Either
    /// of the two may be mined. Does not wait; call it at every head until one of them is confirmed, then
    /// [remove](Payee::remove) the record.
    ///
    /// # Errors
    ///
    /// [`RedeemError::NoWallet`] without a wallet; [`RedeemError::Bank`] if the head cannot be read;
    /// [`RedeemError::Outbox`] if node or store fail, or if the transaction is another account's.
    pub async fn cancel(&self, tx: &PendingTx) -> Result<Cancellation, RedeemError> {
        let wallet = self.wallet.as_ref().ok_or(RedeemError::NoWallet)?;
        let now = self.tx_time().await?;
        Ok(cancel::cancel(wallet, &self.store, &tx.key, now).await?)
    }

    /// Removes the record of a confirmed or obsolete transaction. Does not cancel: a transaction still in the node's
    /// mempool may be mined.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub async fn remove(&self, tx: &PendingTx) -> Result<(), StoredError> {
        outbox::remove(&self.store, &tx.key).await
    }

    /// The key of the record for redeeming a deposit: the key of a pending batch with the deposit, else the deposit's
    /// own.
    pub(super) async fn redemption_key(&self, id: DepositId) -> Result<Vec<u8>, RedeemError> {
        let redeems = |tx: &PendingTx| tx.deposits().contains(&id);
        let batch = self.pending_txs().await?.into_iter().find(redeems);
        Ok(batch.map_or_else(|| purpose_key(REDEEM, id), |batch| batch.key))
    }

    /// This payee's deposits in a redemption.
    fn deposits_redeemed_by(&self, record: &TxRecord) -> Result<Vec<DepositId>, RedeemError> {
        let bank = self.reader.bank();
        let mut deposits = Vec::new();
        for packed in self.redemptions_in(record)?.packed {
            let redemption = Redemption::unpack(&packed).map_err(|_| TxError::NotATransaction)?;
            if redemption.payee == self.policy.payee {
                deposits.push(bank.deposit_id(&redemption.deposit));
            }
        }
        Ok(deposits)
    }

    /// The redemptions in a transaction. Empty if the transaction calls another bank.
    fn redemptions_in(&self, record: &TxRecord) -> Result<SentRedemptions, RedeemError> {
        let call = call_of(&record.raw)?;
        if call.to != self.reader.bank().address() {
            return Ok(SentRedemptions::default());
        }
        if let Ok(single) = redeemCall::abi_decode(&call.input) {
            let draw_time = draw_time_of(&single.redemption)?;
            return Ok(SentRedemptions {
                packed: vec![single.redemption],
                proofs: BTreeMap::from([(draw_time, single.proof)]),
            });
        }
        let batch = redeemBatchCall::abi_decode(&call.input);
        let batch = batch.map_err(|_| TxError::NotATransaction)?;
        Ok(SentRedemptions {
            packed: batch.redemptions,
            proofs: batch.drawTimes.into_iter().zip(batch.proofs).collect(),
        })
    }

    /// Key prefix of an account's seed recordings at this bank; the draw time follows. Includes the account, because
    /// another account with the same store may record the same seed.
    fn seed_prefix(&self, wallet: &Wallet) -> Vec<u8> {
        let bank = self.reader.bank().address();
        [SEED, bank.as_slice(), wallet.address().as_slice()].concat()
    }
}

/// The redemptions in a transaction.
#[derive(Debug, Default)]
struct SentRedemptions {
    packed: Vec<Bytes>,
    /// The proofs of their seeds, by draw time.
    proofs: BTreeMap<u64, Bytes>,
}

impl SentRedemptions {
    /// Each redemption with the proof of its seed, empty for a recorded seed.
    fn with_proofs(self) -> impl Iterator<Item = (Bytes, Bytes)> {
        let proofs = self.proofs;
        self.packed.into_iter().map(move |packed| {
            let proof = draw_time_of(&packed).map(|draw_time| proofs.get(&draw_time).cloned());
            (packed, proof.unwrap_or_default().unwrap_or_default())
        })
    }
}

/// The draw time of a packed redemption.
fn draw_time_of(packed: &[u8]) -> Result<u64, TxError> {
    let redemption = Redemption::unpack(packed).map_err(|_| TxError::NotATransaction)?;
    Ok(redemption.deposit.drawTime)
}
