//! Cashing what was won.

use crate::{
    bank::error::BankError,
    bank::redeem::{RedeemError, Redeemed, redeemed},
    node::failover::pin_node,
    payee::{Payee, pending::PendingTx},
    protocol::{
        amount::Amount, receive::position::Position, signature::SigningKey, terms::DepositId,
    },
    store::{Swap, Table, async_store::AsyncStore, keys::received_key},
    tx::{
        outbox::{self, Kept},
        wallet::{Call, MinedTx, Wallet},
    },
};
use alloy_primitives::{Address, Bytes};
use cheque_bindings::{Outcome, Redemption};
use std::collections::HashSet;

/// Where a payout goes, and by whose consent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedeemOptions {
    /// Zero: to the payee's balance in the bank. Else straight out.
    pub to: Address,
    /// The payee's signature over [`Bank::consent_digest`](crate::Bank::consent_digest), for a sender that is not the
    /// payee. `None`: it is made with the payee's key, if that is there.
    pub consent: Option<Bytes>,
}

/// A redemption that the bank would pay now.
#[derive(Clone, Debug)]
pub struct PlannedRedemption {
    /// The transaction.
    pub call: Call,
    /// What it would pay, in token units.
    pub payout: Amount,
}

impl Payee {
    /// What the bank says to the payee's newest cheque of a deposit now, and what it would pay where that is known.
    pub async fn outcome(&self, id: DepositId) -> Result<(Outcome, Amount), RedeemError> {
        let redemption = self.redemption(id, Address::ZERO, Bytes::new()).await?;
        let caller = self.policy.payee;
        self.reader.outcome(&redemption, caller).await
    }

    /// All that it takes to redeem the newest cheque of a deposit, the proof of the seed included where it is not
    /// recorded and the draw block is there. Anybody can send it with the payee's consent.
    pub async fn redemption(
        &self,
        id: DepositId,
        to: Address,
        consent: Bytes,
    ) -> Result<Redemption, RedeemError> {
        let position = self.position(id).await?;
        let seed = self.reader.seed(position.deposit().drawBlock).await?;
        let header = seed.map_or_else(Bytes::new, |(_, header)| header);
        Ok(position.redemption(to, consent, header))
    }

    /// The payee's consent that anybody may redeem its newest cheque of a deposit, paid to `to` (zero: to its balance).
    ///
    /// It is for exactly the total of now, and stays good for that total: whoever has it could redeem the older cheque
    /// even after a later payment, and so close the deposit for less. So it is refused as
    /// [`RedeemError::ConsentTooEarly`] before the draw block; nobody could redeem before it anyway. The blocks since the
    /// policy's cutoff are for payments that were judged by a view which was behind: they are in the store by then, as far
    /// as the cutoff keeps payments from coming after the draw at all.
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
        let safe_from = self.position(id).await?.deposit().drawBlock;
        let head = self.certain_head().await?;
        if head < safe_from {
            return Err(RedeemError::ConsentTooEarly { head, safe_from });
        }
        // Read after the head: nothing can be added any more.
        let total = self.position(id).await?.total();
        let digest = self.reader.bank().consent_digest(id, total, to);
        Ok(Bytes::copy_from_slice(key.sign(digest).as_bytes()))
    }

    /// The transaction that redeems, without sending it; or the bank's reason why it would not pay.
    ///
    /// # Errors
    ///
    /// [`RedeemError::NotPayable`] with the bank's reason, and [`RedeemError::NoWallet`] without a wallet.
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

    /// The packed redemption of a deposit and its payout, if the bank would pay it now. Signs the consent that `wallet`
    /// needs, where the payee has its key.
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

    /// Redeems the newest cheque of a deposit. Asks the bank first, and sends nothing that it would refuse. After a
    /// restart or [`NotMined`](crate::tx::TxError::NotMined), calling it again goes on with the same transaction,
    /// for a higher fee where the first one waits for long; `options` are those of the first call then.
    pub async fn redeem(
        &self,
        id: DepositId,
        options: &RedeemOptions,
    ) -> Result<Redeemed, RedeemError> {
        let wallet = self.wallet.as_ref().ok_or(RedeemError::NoWallet)?;
        let key = self.redemption_key(id).await?;
        let head = self.reader.head().await?.number;
        // Before the bank is asked: once this one is mined, the bank would refuse another.
        if let Some(sent) =
            outbox::resume(wallet, &self.store, &key, (head, Kept::UntilMined)).await?
        {
            return redeemed(self.reader.bank(), id, self.policy.payee, sent);
        }
        let planned = self.plan_redeem(id, options).await?;
        let sent = outbox::send_once(wallet, &self.store, &key, &planned.call, head).await?;
        redeemed(self.reader.bank(), id, self.policy.payee, sent)
    }

    /// Makes the seed of a draw block known for ever, so that redeeming does not depend on the chain's memory of 8191
    /// blocks. `None`: it is recorded already.
    pub async fn record_seed(&self, block: u64) -> Result<Option<MinedTx>, RedeemError> {
        let wallet = self.wallet.as_ref().ok_or(RedeemError::NoWallet)?;
        match self.reader.record_seed(block).await? {
            Some(call) => Ok(Some(wallet.send(&call).await?)),
            None => Ok(None),
        }
    }

    /// Forgets what can never be redeemed any more: deposits whose last block to redeem is as deep as a deposit has to
    /// be to count. What is [under way](Payee::pending_txs) keeps its deposits: it may wait at the node still, and what redeems
    /// several of them is one transaction, of which others may be open. [`Payee::done`] and [`Payee::give_up`] end it.
    /// Returns how many were forgotten.
    pub async fn prune(&self) -> Result<usize, RedeemError> {
        self.prune_before(u64::MAX).await
    }

    /// The same, but only deposits whose last block to redeem is before `block`.
    pub async fn prune_before(&self, block: u64) -> Result<usize, RedeemError> {
        Ok(self.forget_before(block).await?.len())
    }

    /// The same, and returns which.
    pub(crate) async fn forget_before(&self, block: u64) -> Result<Vec<DepositId>, RedeemError> {
        let before = self.reader.confirmed(self.certain_head().await?).min(block);
        let pending_txs = self.pending_txs().await?;
        let pending_txs: HashSet<_> = pending_txs.iter().flat_map(PendingTx::deposits).collect();
        let mut forgotten = Vec::new();
        for position in self.positions().await? {
            let id = position.deposit_id();
            if position.deposit().lastRedeemBlock < before && !pending_txs.contains(&id) {
                if forget(&self.store, &position).await? {
                    forgotten.push(id);
                }
                self.book().await?.remove(id, position.deposit());
            }
        }
        Ok(forgotten)
    }

    /// The newest block, to do by it what cannot be undone: one that can be true, and that is a block of the node's chain.
    async fn certain_head(&self) -> Result<u64, BankError> {
        let look = async {
            let head = self.reader.checked_head().await?;
            self.reader.check_still(&head).await?;
            Ok(head.number)
        };
        pin_node(look).await
    }

    async fn position(&self, id: DepositId) -> Result<Position, RedeemError> {
        let position = self.holding(id).await?;
        position.ok_or(RedeemError::UnknownDeposit(id))
    }
}

/// Removes a meta. `false`: somebody else has just changed it.
async fn forget(store: &AsyncStore, position: &Position) -> Result<bool, RedeemError> {
    let id = position.deposit_id();
    let key = received_key(position.bank().address(), id, position.payee()).to_vec();
    let old = Some(position.to_bytes());
    let swap = store.set(Table::Received, key, old, None).await?;
    Ok(swap == Swap::Done)
}
