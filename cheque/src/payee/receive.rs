//! Receiving payments: judged by a fresh view, and stored before they count.

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
    store::{async_store::StoredError, error::StoreError, interface::Store},
};
use alloy_primitives::Address;
use cheque_bindings::Deposit;
use std::sync::PoisonError;
use tokio::sync::OwnedMutexGuard;

/// An accepted payment, on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accepted {
    /// The paying deposit.
    pub deposit: DepositId,
    /// The account to credit: the deposit's signer.
    pub credit_to: Address,
    /// The value to credit for this payment, in token units. May be zero.
    pub value: Amount,
    /// The total paid from the deposit, in token units.
    pub total: Amount,
    /// The payee's new position in the deposit.
    pub position: Position,
}

impl Payee {
    /// Judges a payment, and stores it durably. `from` is the sender authenticated by the host, if any; another sender
    /// than the deposit's signer is rejected.
    ///
    /// The payment is on disk before this method returns. A proof shown by two clients at the same time counts once. If
    /// the caller drops the future, the payment may still be stored; showing the proof again is then a
    /// [`Rejection::Replay`].
    ///
    /// # Errors
    ///
    /// [`ReceiveError::Rejected`] with the reason; [`ReceiveError::Bank`] if the chain cannot be read;
    /// [`ReceiveError::Stored`] if the store fails.
    pub async fn receive_payment(
        &self,
        from: Option<Address>,
        proof: &Proof,
    ) -> Result<Accepted, ReceiveError> {
        let id = proof.deposit_id();
        let key = self.position_key(id);
        let mut cached = self.shared.positions.recent(&key);
        loop {
            let from_cache = cached.is_some();
            let stored = match cached.take() {
                Some(cached) => Some(cached),
                None => self.read_position(key).await?,
            };
            let (received, guard) = match (stored.as_ref().map(StoredPosition::position), proof) {
                (None, Proof::Opening(opening)) => {
                    let (received, guard) = self.judge_first(from, id, proof, opening).await?;
                    (received, Some(guard))
                }
                (old, _) => match self.judge_next(from, id, proof, old).await {
                    // Another process may have stored a newer position than the cache has.
                    Err(ReceiveError::Rejected(_)) if from_cache => continue,
                    judged => (judged?, None),
                },
            };
            let position = received.position().clone();
            match self.store_position(key, stored, position, guard).await? {
                Replaced::Done => return Ok(accepted(id, &received)),
                Replaced::Conflict => cached = self.shared.positions.recent(&key),
            }
        }
    }

    async fn read_position(&self, key: PositionKey) -> Result<Option<StoredPosition>, StoredError> {
        let shared = self.shared.clone();
        let read = move |store: &dyn Store| Ok(shared.positions.read(store, &key)?);
        self.store.blocking(read).await
    }

    /// Stores a position, and counts its deposit as exposure unless nothing was written. Both happen even if the caller
    /// drops the future. Holds the guard of a first payment until then.
    async fn store_position(
        &self,
        key: PositionKey,
        old: Option<StoredPosition>,
        position: Position,
        guard: Option<OwnedMutexGuard<()>>,
    ) -> Result<Replaced, StoredError> {
        let (id, terms) = (position.deposit_id(), position.deposit());
        let is_counted = self.exposure().await?.contains(id, terms);
        if is_counted && guard.is_none() {
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
            let _until_counted = guard;
            let replaced = shared
                .positions
                .replace(store, &key, old.as_ref(), position.clone());
            // Later payments count as well: another process may have stored the first one, or its write may have had an
            // unknown result. A position with a failed write counts until a new payee reads the store.
            if let Ok(Replaced::Done) | Err(PositionCacheError::Store(StoreError::Unknown { .. })) =
                replaced
                && let Some(index) = shared.exposure.get()
            {
                let mut index = index.lock().unwrap_or_else(PoisonError::into_inner);
                index.insert(position.deposit_id(), position.deposit());
            }
            Ok(replaced?)
        };
        self.store.blocking(work).await
    }

    /// Judges the first payment of a deposit. Returns a guard; while the caller holds the guard, no other first payment
    /// counts.
    ///
    /// Asks the node before taking the guard, and only the store after that. Any stranger can send openings of invented
    /// deposits, and a slow node must not delay all first payments for each of them.
    async fn judge_first(
        &self,
        from: Option<Address>,
        id: DepositId,
        proof: &Proof,
        opening: &Opening,
    ) -> Result<(Received, OwnedMutexGuard<()>), ReceiveError> {
        let view = self.view_for(from, id, proof, None).await?;
        // A payment rejected at any exposure does not wait for the guard.
        let _acceptable = receive_payment(from, proof, None, &view, &self.policy)?;
        let guard = self.shared.first_payments.clone().lock_owned().await;
        let exposure = self.exposure().await?.of_others(id, &opening.deposit);
        let view = View { exposure, ..view };
        let received = receive_payment(from, proof, None, &view, &self.policy)?;
        Ok((received, guard))
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

    /// The view by which to judge a payment. Fails early with a rejection that no answer of the node could change.
    pub(super) async fn view_for(
        &self,
        from: Option<Address>,
        id: DepositId,
        proof: &Proof,
        old: Option<&Position>,
    ) -> Result<View, ReceiveError> {
        let (deposit, depth) = match (proof, old) {
            (Proof::Opening(opening), _) => (&opening.deposit, opening.allowance.siblings.len()),
            // The first payment fixes the cost of redeeming, so the depth does not matter.
            (_, Some(old)) => (old.deposit(), 0),
            (_, None) => return Err(Rejection::UnknownDeposit(id).into()),
        };
        let mut snapshot = self.fresh_snapshot().await?;
        let purse = purse_key(deposit);
        let mut _permit = None;
        if snapshot.purse(purse).is_none() {
            // Assumes an open deposit: a payment that is invalid even then is not worth a request, because any stranger
            // can send openings.
            let open = Purse::Open(id);
            let view = self.view(&snapshot, id, deposit, open, depth).await?;
            let _acceptable = receive_payment(from, proof, old, &view, &self.policy)?;
            if old.is_none() {
                _permit = self.shared.unknown_deposits.acquire().await;
                snapshot = self.fresh_snapshot().await?;
            }
        }
        let contents = self.purse(&snapshot, purse).await?;
        Ok(self.view(&snapshot, id, deposit, contents, depth).await?)
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
