//! Taking payments.

use crate::{
    payee::{
        Payee,
        error::ReceiveError,
        positions::{PositionCacheError, Replaced, StoredPosition},
    },
    protocol::{
        amount::Amount,
        proof::{Opening, Proof},
        receive::{
            judge::{PositionKey, Received, receive_payment},
            policy::View,
            position::Position,
            rejection::Rejection,
        },
        terms::{DepositId, Purse},
    },
    store::{Store, async_store::StoredError, error::StoreError},
};
use alloy_primitives::Address;
use cheque_bindings::Deposit;
use std::sync::PoisonError;
use tokio::sync::OwnedMutexGuard;

/// A payment that is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The deposit it came from.
    pub deposit: DepositId,
    /// Whose account to credit: the deposit's signer.
    pub credit_to: Address,
    /// What this payment adds, in token units.
    pub value: Amount,
    /// What the payer has spent in all, in token units.
    pub total: Amount,
    /// All that the payee knows of the deposit now.
    pub position: Position,
}

impl Payee {
    /// Judges a payment and keeps it. `from` is whom the host has authenticated as the sender, if anybody.
    ///
    /// It is on disk before this returns. The same proof shown by two clients at once is taken once.
    pub async fn receive_payment(
        &self,
        from: Option<Address>,
        proof: &Proof,
    ) -> Result<Accepted, ReceiveError> {
        let id = proof.deposit_id();
        let key = self.position_key(id);
        let mut remembered = self.shared.positions.recent(&key);
        loop {
            let from_memory = remembered.is_some();
            let held = match remembered.take() {
                Some(held) => Some(held),
                None => self.stored_meta(key).await?,
            };
            let (received, turn) = match (held.as_ref().map(StoredPosition::position), proof) {
                (None, Proof::Opening(opening)) => {
                    let (received, turn) = self.judge_first(from, id, proof, opening).await?;
                    (received, Some(turn))
                }
                (old, _) => match self.judge_next(from, id, proof, old).await {
                    // Another worker may know more than what is remembered here.
                    Err(ReceiveError::Rejected(_)) if from_memory => continue,
                    judged => (judged?, None),
                },
            };
            let position = received.position().clone();
            match self.keep(key, held, position, turn).await? {
                Replaced::Done => return Ok(accepted(id, &received)),
                Replaced::Conflict => remembered = self.shared.positions.recent(&key),
            }
        }
    }

    async fn stored_meta(&self, key: PositionKey) -> Result<Option<StoredPosition>, StoredError> {
        let shared = self.shared.clone();
        let read = move |store: &dyn Store| Ok(shared.positions.read(store, &key)?);
        self.store.blocking(read).await
    }

    /// Stores a meta and counts its deposit if it may be stored, even if nobody waits for it any more. A first payment's turn
    /// lasts until then.
    async fn keep(
        &self,
        key: PositionKey,
        old: Option<StoredPosition>,
        position: Position,
        turn: Option<OwnedMutexGuard<()>>,
    ) -> Result<Replaced, StoredError> {
        let (id, terms) = (position.deposit_id(), position.deposit());
        let is_counted = self.book().await?.contains(id, terms);
        if is_counted && turn.is_none() {
            let (store, old) = (self.store.store(), old.as_ref());
            let begun = self
                .shared
                .positions
                .begin_replace(store, key, old, position.clone());
            if let Some(replaced) = begun {
                return Ok(replaced.await?);
            }
        }
        let shared = self.shared.clone();
        let work = move |store: &dyn Store| {
            let _until_it_is_counted = turn;
            let replaced = shared
                .positions
                .replace(store, &key, old.as_ref(), position.clone());
            // Also where it is not the first payment: another worker may have taken that, or nobody knew whether it was
            // written. What may have been written counts, at the worst until the payee is made anew.
            if let Ok(Replaced::Done) | Err(PositionCacheError::Store(StoreError::Unknown { .. })) =
                replaced
                && let Some(book) = shared.book.get()
            {
                let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
                book.insert(position.deposit_id(), position.deposit());
            }
            Ok(replaced?)
        };
        self.store.blocking(work).await
    }

    /// Judges the first payment of a deposit, and takes its turn: until that ends, no other first payment counts.
    ///
    /// The node was asked before. A turn waits for nothing but the store, because strangers send openings too, and any
    /// number of them, of deposits that a slow node looks up in vain.
    async fn judge_first(
        &self,
        from: Option<Address>,
        id: DepositId,
        proof: &Proof,
        opening: &Opening,
    ) -> Result<(Received, OwnedMutexGuard<()>), ReceiveError> {
        let view = self.view_for(from, id, proof, None).await?;
        // What is refused whatever came before takes no turn.
        let _would_do = receive_payment(from, proof, None, &view, &self.policy)?;
        let turn = self.shared.opening.clone().lock_owned().await;
        let exposure = self.book().await?.exposure_beside(id, &opening.deposit);
        let view = View { exposure, ..view };
        let received = receive_payment(from, proof, None, &view, &self.policy)?;
        Ok((received, turn))
    }

    async fn judge_next(
        &self,
        from: Option<Address>,
        id: DepositId,
        proof: &Proof,
        old: Option<&Position>,
    ) -> Result<Received, ReceiveError> {
        let view = self.view_for(from, id, proof, old).await?;
        Ok(receive_payment(from, proof, old, &view, &self.policy)?)
    }

    /// The view to judge a payment by. What is wrong with it whatever the node says is an error already.
    pub(super) async fn view_for(
        &self,
        from: Option<Address>,
        id: DepositId,
        proof: &Proof,
        old: Option<&Position>,
    ) -> Result<View, ReceiveError> {
        let (deposit, depth) = match (proof, old) {
            (Proof::Opening(opening), _) => (&opening.deposit, opening.allowance.siblings.len()),
            // The cost of redeeming is fixed by the first payment.
            (_, Some(old)) => (old.deposit(), 0),
            (_, None) => return Err(Rejection::UnknownDeposit(id).into()),
        };
        let mut snapshot = self.fresh_snapshot().await?;
        let purse = purse_key(deposit);
        let mut _permit = None;
        if snapshot.purse(purse).is_none() {
            // Whatever is wrong without asking the node is not worth asking it: strangers send openings too.
            let open = Purse::Open(id);
            let view = self.view(&snapshot, id, deposit, open, depth).await?;
            let _would_do = receive_payment(from, proof, old, &view, &self.policy)?;
            if old.is_none() {
                // Never closed, so never refused.
                _permit = self.shared.unknown_deposits.acquire().await;
                snapshot = self.fresh_snapshot().await?;
            }
        }
        let holds = self.purse(&snapshot, purse).await?;
        Ok(self.view(&snapshot, id, deposit, holds, depth).await?)
    }
}

const fn purse_key(deposit: &Deposit) -> (Address, Address, u64) {
    (deposit.payer, deposit.token, deposit.lane)
}

fn accepted(deposit: DepositId, received: &Received) -> Accepted {
    let position = received.position().clone();
    Accepted {
        deposit,
        credit_to: received.credit_to(),
        value: received.value(),
        total: position.total(),
        position,
    }
}
