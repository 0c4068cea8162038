//! Redemption: consents, the redemption of one deposit, and pruning of old positions.

use crate::{
    bank::error::BankError,
    bank::redeem::{RedeemError, Redeemed, redeemed},
    node::failover::pin_node,
    payee::{Payee, pending::PendingTx},
    protocol::{
        amount::Amount, receive::position::Position, signature::SigningKey, terms::DepositId,
    },
    store::{async_store::AsyncStore, change::Swap, keys::position_key, table::Table},
    tx::{
        outbox::{self, Retention},
        wallet::{Call, MinedTx, Wallet},
    },
};
use alloy_primitives::{Address, Bytes};
use cheque_bindings::{Outcome, Redemption};
use std::collections::HashSet;

/// The destination of a payout, and the consent of the payee.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedeemOptions {
    /// The account to pay. Zero: the payee's balance in the bank.
    pub to: Address,
    /// The payee's signature over [`Bank::consent_digest`](crate::Bank::consent_digest), needed if the wallet is not
    /// the payee's. `None`: the payee signs, if its key is set.
    pub consent: Option<Bytes>,
}

/// A redemption that the bank would pay now.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PlannedRedemption {
    /// The transaction.
    pub call: Call,
    /// The payout, in token units.
    pub payout: Amount,
}

impl Payee {
    /// Asks the bank for the outcome of redeeming the newest cheque of a deposit now, and for its payout in token units
    /// if known. Sends nothing.
    ///
    /// # Errors
    ///
    /// Those of [`Payee::redemption`], and [`RedeemError::Unpackable`] if no bank takes a redemption of this form.
    pub async fn outcome(&self, id: DepositId) -> Result<(Outcome, Amount), RedeemError> {
        let redemption = self.redemption(id, Address::ZERO, Bytes::new()).await?;
        let caller = self.policy.payee;
        self.reader.outcome(&redemption, caller).await
    }

    /// The complete redemption of the newest cheque of a deposit, for any account with the payee's consent. Includes
    /// the header of the draw block as the proof of the seed, if the draw block is mined and its seed is not recorded.
    /// Does not check that the cheque has won.
    ///
    /// # Errors
    ///
    /// [`RedeemError::UnknownDeposit`] if the store has no cheque of the deposit; [`RedeemError::SeedLost`] if the
    /// chain has forgotten the draw block; [`RedeemError::Bank`] if the chain cannot be read; [`RedeemError::Stored`]
    /// if the store cannot be read.
    pub async fn redemption(
        &self,
        id: DepositId,
        to: Address,
        consent: Bytes,
    ) -> Result<Redemption, RedeemError> {
        let position = self.required_position(id).await?;
        let seed = self.reader.seed(position.deposit().drawBlock).await?;
        let header = seed.map_or_else(Bytes::new, |(_, header)| header);
        Ok(position.redemption(to, consent, header))
    }

    /// Signs the payee's consent: any account may redeem the newest cheque of a deposit, paid to `to` (zero: to the
    /// payee's balance).
    ///
    /// A consent is for exactly the present total, and never expires. After a later payment its holder could still
    /// redeem the older cheque, and so close the deposit for less. Before the draw block, signing is therefore refused
    /// as [`RedeemError::ConsentTooEarly`]; no account can redeem earlier in any case. The blocks between the policy's
    /// cutoff and the draw block leave time for payments that were judged by a slightly old view: by the draw block
    /// they are in the store, as far as the cutoff keeps payments from arriving after the draw at all.
    ///
    /// # Errors
    ///
    /// [`RedeemError::ConsentTooEarly`] before the draw block; [`RedeemError::WrongKey`] if `key` is not the payee's;
    /// [`RedeemError::UnknownDeposit`] if the store has no cheque of the deposit; [`RedeemError::Bank`] if the head
    /// cannot be read or is implausible; [`RedeemError::Stored`] if the store cannot be read.
    pub async fn sign_consent(
        &self,
        id: DepositId,
        to: Address,
        key: &SigningKey,
    ) -> Result<Bytes, RedeemError> {
        if key.address() != self.policy.payee {
            return Err(RedeemError::WrongKey {
                payee: self.policy.payee,
                key: key.address(),
            });
        }
        let safe_from = self.required_position(id).await?.deposit().drawBlock;
        let head = self.verified_head().await?;
        if head < safe_from {
            return Err(RedeemError::ConsentTooEarly { head, safe_from });
        }
        // Reads the total after the head, because no payment is added from the draw block on.
        let total = self.required_position(id).await?.total();
        let digest = self.reader.bank().consent_digest(id, total, to);
        Ok(Bytes::copy_from_slice(key.sign(digest).as_bytes()))
    }

    /// Plans a redemption, and simulates the transaction. Sends nothing. Does not compare cost and payout.
    ///
    /// # Errors
    ///
    /// [`RedeemError::NotPayable`] with the bank's reason; [`RedeemError::NoWallet`] without a wallet; also those of
    /// [`Payee::redemption`] and, if the payee has to sign, of [`Payee::sign_consent`].
    pub async fn plan_redeem(
        &self,
        id: DepositId,
        options: &RedeemOptions,
    ) -> Result<PlannedRedemption, RedeemError> {
        let wallet = self.wallet.as_ref().ok_or(RedeemError::NoWallet)?;
        let (packed, payout) = self.payable(id, options, wallet).await?;
        let call = Call::redeem(self.reader.bank(), packed);
        Ok(PlannedRedemption { call, payout })
    }

    /// The packed redemption of a deposit and its payout, if the bank would pay it now. Signs the consent for another
    /// account's wallet, if the payee's key is set.
    pub(super) async fn payable(
        &self,
        id: DepositId,
        options: &RedeemOptions,
        wallet: &Wallet,
    ) -> Result<(Bytes, Amount), RedeemError> {
        let consent = match (&options.consent, &self.key) {
            (Some(consent), _) => consent.clone(),
            (None, Some(key)) if wallet.address() != self.policy.payee => {
                self.sign_consent(id, options.to, key).await?
            }
            (None, _) => Bytes::new(),
        };
        let redemption = self.redemption(id, options.to, consent).await?;
        self.reader
            .check_redemption(&redemption, wallet.address())
            .await
    }

    /// Redeems the newest cheque of a deposit, and waits until the transaction is mined. Asks the bank first, and sends
    /// nothing that the bank would refuse. Does not compare cost and payout.
    ///
    /// After a restart or [`NotMined`](crate::tx::TxError::NotMined), call it again: the same transaction is resumed,
    /// with a higher fee after a long wait. The `options` of the first call stay in force.
    ///
    /// # Errors
    ///
    /// Those of [`Payee::plan_redeem`]; [`RedeemError::Outbox`] if the transaction could not be stored or sent, or was
    /// not mined in time; [`RedeemError::NotPayable`] if a mined batch skipped this deposit.
    pub async fn redeem(
        &self,
        id: DepositId,
        options: &RedeemOptions,
    ) -> Result<Redeemed, RedeemError> {
        let wallet = self.wallet.as_ref().ok_or(RedeemError::NoWallet)?;
        let key = self.redemption_key(id).await?;
        let head = self.reader.head().await?.number;
        // Resumes before asking the bank, which refuses a second redemption once the first one is mined.
        if let Some(mined) =
            outbox::resume(wallet, &self.store, &key, (head, Retention::UntilMined)).await?
        {
            return redeemed(self.reader.bank(), id, self.policy.payee, mined);
        }
        let planned = self.plan_redeem(id, options).await?;
        let mined = outbox::send(
            wallet,
            &self.store,
            &key,
            &planned.call,
            (head, Retention::UntilMined),
        )
        .await?;
        redeemed(self.reader.bank(), id, self.policy.payee, mined)
    }

    /// Records the seed of a draw block at the bank for good, because the chain remembers only the last 8191 blocks.
    /// Waits until the transaction is mined. `None` if the seed is recorded already.
    ///
    /// # Errors
    ///
    /// [`RedeemError::NoWallet`] without a wallet; [`RedeemError::SeedLost`] if the chain has forgotten the block;
    /// [`RedeemError::Bank`] if the chain cannot be read, or the node lacks the block; [`RedeemError::Tx`] if the
    /// transaction could not be sent, or was not mined in time.
    pub async fn record_seed(&self, block: u64) -> Result<Option<MinedTx>, RedeemError> {
        let wallet = self.wallet.as_ref().ok_or(RedeemError::NoWallet)?;
        match self.reader.record_seed(block).await? {
            Some(call) => Ok(Some(wallet.send(&call).await?)),
            None => Ok(None),
        }
    }

    /// Removes the positions in deposits past redemption: the last block to redeem is confirmed. Returns the number of
    /// removed positions.
    ///
    /// Keeps the deposits of a [pending](Payee::pending_txs) transaction, which may still be in the node's mempool. A
    /// batch is one transaction, and another of its deposits may still be open. [`Payee::remove`] and
    /// [`Payee::abandon`] end a pending transaction.
    ///
    /// # Errors
    ///
    /// [`RedeemError::Bank`] if the head cannot be read or is implausible; [`RedeemError::Stored`] if the store fails;
    /// [`RedeemError::Tx`] if the record of a transaction is damaged. Some positions may be removed then.
    pub async fn prune(&self) -> Result<usize, RedeemError> {
        self.prune_before(u64::MAX).await
    }

    /// Like [`Payee::prune`], but only removes deposits with a last block to redeem before `block`.
    ///
    /// # Errors
    ///
    /// Those of [`Payee::prune`].
    pub async fn prune_before(&self, block: u64) -> Result<usize, RedeemError> {
        Ok(self.remove_before(block).await?.len())
    }

    /// Like [`Payee::prune_before`], but returns the removed deposits.
    pub(crate) async fn remove_before(&self, block: u64) -> Result<Vec<DepositId>, RedeemError> {
        let before = self
            .reader
            .confirmed(self.verified_head().await?)
            .min(block);
        let pending_txs = self.pending_txs().await?;
        let pending: HashSet<_> = pending_txs.iter().flat_map(PendingTx::deposits).collect();
        let mut removed = Vec::new();
        for position in self.positions().await? {
            let id = position.deposit_id();
            if position.deposit().lastRedeemBlock < before && !pending.contains(&id) {
                if remove_position(&self.store, &position).await? {
                    removed.push(id);
                }
                self.exposure().await?.remove(id, position.deposit());
            }
        }
        Ok(removed)
    }

    /// The newest block for irreversible decisions: plausible by the clock and by earlier heads, and a block of the
    /// node's chain.
    async fn verified_head(&self) -> Result<u64, BankError> {
        let verified = async {
            let head = self.reader.checked_head().await?;
            self.reader.check_canonical(&head).await?;
            Ok(head.number)
        };
        pin_node(verified).await
    }

    async fn required_position(&self, id: DepositId) -> Result<Position, RedeemError> {
        let position = self.position(id).await?;
        position.ok_or(RedeemError::UnknownDeposit(id))
    }
}

/// Removes a position from the store. Returns false if another process has changed the record.
async fn remove_position(store: &AsyncStore, position: &Position) -> Result<bool, RedeemError> {
    let id = position.deposit_id();
    let key = position_key(position.bank().address(), id, position.payee()).to_vec();
    let old = Some(position.to_bytes());
    let swap = store.set(Table::Positions, key, old, None).await?;
    Ok(swap == Swap::Done)
}
