//! Receiving payments: judged by a fresh view, counted as exposure, and stored before they count.

use crate::{
    bank::error::BankError,
    payee::{
        Payee,
        accepted::{Accepted, Credit},
        counted::{Counted, Written},
        error::ReceiveError,
        exposure::{Sight, Sums},
        positions::{Replaced, StoredPosition},
        snapshot::ChainSnapshot,
    },
    protocol::{
        proof::Proof,
        receive::{
            judge::{PositionKey, Received, receive_payment},
            policy::View,
            position::Position,
            rejection::Rejection,
        },
        terms::{DepositId, Purse},
    },
    store::{async_store::StoredError, interface::Store},
};
use alloy_primitives::Address;
use cheque_bindings::Deposit;
use std::sync::Arc;

/// The view by which to judge a payment, and the block at which its purse held the deposit.
#[derive(Clone, Debug)]
pub(super) struct Looked {
    pub(super) view: View,
    pub(super) sight: Sight,
}

impl Looked {
    pub(super) const fn sums(&self) -> Sums {
        Sums {
            exposure: self.view.exposure,
            unsettled: self.view.unsettled,
        }
    }
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
    /// [`ReceiveError::Busy`] if too many openings of unknown deposits are being judged; [`ReceiveError::Stored`] if the
    /// store fails.
    pub async fn receive_payment(
        &self,
        from: Option<Address>,
        proof: &Proof,
    ) -> Result<Accepted, ReceiveError> {
        self.receive(from, proof, None).await
    }

    pub(super) async fn receive(
        &self,
        from: Option<Address>,
        proof: &Proof,
        credit: Option<Arc<dyn Credit>>,
    ) -> Result<Accepted, ReceiveError> {
        let id = proof.deposit_id();
        let key = self.position_key(id);
        let mut cached = self.shared.positions.recent(&key);
        let mut has_decided = false;
        loop {
            let from_cache = cached.is_some();
            let stored = match cached.take() {
                Some(cached) => Some(cached),
                None => self.read_position(key).await?,
            };
            let old = stored.as_ref().map(StoredPosition::position);
            let (received, counted) = match self.judge_and_count(from, id, proof, old).await {
                // Another process may have stored a newer position than the cache has.
                Err(ReceiveError::Rejected(_)) if from_cache => continue,
                // A draw since the last look may have freed exposure.
                Err(ReceiveError::Rejected(
                    Rejection::ExposureTooLarge { .. } | Rejection::UnsettledTooLarge { .. },
                )) if !has_decided => {
                    has_decided = true;
                    let snapshot = self.fresh_snapshot().await?;
                    self.decide_draws(&snapshot, self.max_age()).await?;
                    continue;
                }
                judged => judged?,
            };
            let accepted = Accepted::new(id, &received);
            let replaced = match &credit {
                None => {
                    let position = accepted.position.clone();
                    self.store_position(key, stored, position, counted).await?
                }
                Some(credit) => {
                    let new = accepted.clone();
                    self.store_with(key, stored, new, credit.clone(), counted)
                        .await?
                }
            };
            match replaced {
                Replaced::Done => return Ok(accepted),
                Replaced::Conflict => cached = self.shared.positions.recent(&key),
            }
        }
    }

    async fn read_position(&self, key: PositionKey) -> Result<Option<StoredPosition>, StoredError> {
        let shared = self.shared.clone();
        let read = move |store: &dyn Store| Ok(shared.positions.read(store, &key)?);
        self.store.blocking(read).await
    }

    /// Judges a payment, and counts it as exposure. Judges again if another payment of the signer was counted meanwhile, so
    /// that two together never exceed a limit.
    async fn judge_and_count(
        &self,
        from: Option<Address>,
        id: DepositId,
        proof: &Proof,
        old: Option<&Position>,
    ) -> Result<(Received, Counted), ReceiveError> {
        loop {
            let looked = self.look(from, id, proof, old).await?;
            let received = receive_payment(from, proof, old, &looked.view, &self.policy)?;
            let (terms, total) = (received.position().deposit(), received.position().total());
            let mut index = self.index();
            let reservation = index.reserve(id, terms, total, looked.sight, looked.sums());
            drop(index);
            if reservation.is_some() {
                let counted = Counted {
                    shared: self.shared.clone(),
                    reservation,
                    written: self.written(id, terms, old.is_none()),
                };
                return Ok((received, counted));
            }
        }
    }

    pub(super) const fn written(&self, id: DepositId, terms: &Deposit, is_first: bool) -> Written {
        let cutoff = terms.drawTime.saturating_sub(self.policy.cutoff);
        Written {
            id,
            is_first,
            cutoff,
        }
    }

    /// Stores a position. The write goes on even if the caller drops the future, and the payment stays in flight until its
    /// end.
    async fn store_position(
        &self,
        key: PositionKey,
        old: Option<StoredPosition>,
        position: Position,
        counted: Counted,
    ) -> Result<Replaced, StoredError> {
        let (store, shared) = (self.store.clone(), self.shared.clone());
        let write = async move {
            let (blocking, positions) = (store.store(), &shared.positions);
            if let Some(begun) =
                positions.begin_replace(blocking, key, old.as_ref(), position.clone())
            {
                let replaced = begun.await;
                counted.finish(&replaced);
                return Ok(replaced?);
            }
            let shared = shared.clone();
            let work = move |store: &dyn Store| {
                let replaced = shared
                    .positions
                    .replace(store, &key, old.as_ref(), position);
                counted.finish(&replaced);
                Ok(replaced?)
            };
            store.blocking(work).await
        };
        match tokio::spawn(write).await {
            Ok(written) => written,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(StoredError::ShuttingDown),
            },
        }
    }

    /// The view by which to judge a payment. Fails early with a rejection that no answer of the node could change.
    ///
    /// Asks the node about the purse only if it was not read since the last reorganisation of confirmed blocks.
    pub(super) async fn look(
        &self,
        from: Option<Address>,
        id: DepositId,
        proof: &Proof,
        old: Option<&Position>,
    ) -> Result<Looked, ReceiveError> {
        let (deposit, depth) = match (proof, old) {
            (Proof::Opening(opening), _) => (&opening.deposit, opening.allowance.siblings.len()),
            // The first payment fixes the cost of redeeming, so the depth does not matter.
            (_, Some(old)) => (old.deposit(), 0),
            (_, None) => return Err(Rejection::UnknownDeposit(id).into()),
        };
        let mut snapshot = self.fresh_snapshot().await?;
        // Judges the payment as if the purse held the deposit.
        let judge_open = async |snapshot: &ChainSnapshot| {
            let open = Some(Sight {
                open_at: 0,
                generation: snapshot.generation,
            });
            let view = self.view(snapshot, (id, deposit), Purse::Open(id), open, depth);
            receive_payment(from, proof, old, &view.await, &self.policy)
        };
        if let Some(ahead) = snapshot.ahead {
            let _acceptable = judge_open(&snapshot).await?;
            return Err(BankError::from(ahead).into());
        }
        let known = self.index().sight(id, deposit);
        if let Some(sight) = known {
            let view = self.view(
                &snapshot,
                (id, deposit),
                Purse::Open(id),
                Some(sight),
                depth,
            );
            let view = view.await;
            return Ok(Looked { view, sight });
        }
        let purse = purse_key(deposit);
        let seen = match snapshot.unknown_purse(purse) {
            Some(seen) => seen,
            None => {
                // A payment that is invalid even then is not worth a request, because any stranger can send openings.
                let _acceptable = judge_open(&snapshot).await?;
                if old.is_some() {
                    self.read_purse(&snapshot, purse).await?
                } else {
                    let (at, seen) = self.read_unknown(purse, deposit.signer).await?;
                    snapshot = at;
                    seen
                }
            }
        };
        let sight = Sight {
            open_at: seen.open_at(id).unwrap_or(u64::MAX),
            generation: snapshot.generation,
        };
        let view = self.view(&snapshot, (id, deposit), seen.contents, Some(sight), depth);
        let view = view.await;
        Ok(Looked { view, sight })
    }
}

const fn purse_key(deposit: &Deposit) -> (Address, Address, u64) {
    (deposit.payer, deposit.token, deposit.lane)
}
