//! The payee's view of the chain: a snapshot of recent answers. Most payments need no request to the node.

use crate::{
    bank::{cost::GasPrices, error::BankError, head::Head, reader::PurseKey},
    node::failover::pin_node,
    payee::{Payee, error::ReceiveError, snapshot::ChainSnapshot},
    protocol::{
        receive::policy::{View, redeem_gas},
        terms::{DepositId, Purse},
    },
    store::async_store::StoredError,
    sys::unix_now,
};
use cheque_bindings::Deposit;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

impl Payee {
    /// Takes a snapshot of the chain: head, gas prices, and the purses of all deposits that are not drawn yet. Payments
    /// are judged by this snapshot for two block times. Returns its head and gas prices.
    ///
    /// # Errors
    ///
    /// [`ReceiveError::Bank`] if the node fails, is behind, or reports an implausible head; [`ReceiveError::Stored`] if
    /// the store cannot be read. The previous snapshot then stays in use.
    pub async fn poll(&self) -> Result<(Head, GasPrices), ReceiveError> {
        let take = async || self.take_snapshot().await;
        let (snapshot, ()) = self.shared.snapshots.refresh(take).await?;
        Ok((snapshot.head, snapshot.prices))
    }

    /// The deposits before their draw that the bank did not hold at the confirmed block of the last snapshot, because a
    /// reorganisation removed or moved them. Their payments are refused meanwhile. Empty before the first snapshot.
    #[must_use]
    pub fn unconfirmed(&self) -> BTreeSet<DepositId> {
        let newest = self.shared.snapshots.newest();
        newest.map_or_else(BTreeSet::new, |snapshot| snapshot.unconfirmed.clone())
    }

    /// The last snapshot if younger than two block times, else a new one.
    pub(super) async fn fresh_snapshot(&self) -> Result<Arc<ChainSnapshot>, ReceiveError> {
        let two_blocks = Duration::from_secs(2 * self.reader.profile().block_time.max(1));
        let take = async || self.take_snapshot().await;
        self.shared.snapshots.fresh(two_blocks, take).await
    }

    /// The contents of a purse at the confirmed block of `snapshot`. Asks the node if the snapshot lacks the purse.
    pub(super) async fn purse(
        &self,
        snapshot: &ChainSnapshot,
        purse: PurseKey,
    ) -> Result<Purse, BankError> {
        if let Some(contents) = snapshot.purse(purse) {
            return Ok(contents);
        }
        let confirmed = self.reader.confirmed(snapshot.head.number);
        let contents = self.reader.purse(purse, confirmed).await?;
        snapshot.insert_purse(purse, contents);
        Ok(contents)
    }

    /// The view by which a payment of `deposit` is judged. `depth` is the number of levels in its allowance proof.
    pub(super) async fn view(
        &self,
        snapshot: &ChainSnapshot,
        id: DepositId,
        deposit: &Deposit,
        purse: Purse,
        depth: usize,
    ) -> Result<View, StoredError> {
        let gas = redeem_gas(depth, self.policy.max_steps);
        let rate = self.rates.of(deposit.token);
        Ok(View {
            head: snapshot.head.number,
            head_time: snapshot.head.time,
            now: unix_now(),
            purse: purse.word(),
            redeem_cost: rate.map(|rate| rate.units_up(snapshot.prices.wei(gas))),
            exposure: self.exposure().await?.of_others(id, deposit),
        })
    }

    async fn take_snapshot(&self) -> Result<(ChainSnapshot, ()), ReceiveError> {
        pin_node(self.take_snapshot_of_one_node()).await
    }

    async fn take_snapshot_of_one_node(&self) -> Result<(ChainSnapshot, ()), ReceiveError> {
        // Does not compare the head's time with the clock: each payment does, at the time of its arrival.
        let head = self.reader.steady_head().await?;
        let prices = self.reader.prices().await?;
        let confirmed = self.reader.confirmed(head.number);
        let undrawn: Vec<_> = self
            .exposure()
            .await?
            .purses_drawn_after(head.number)
            .collect();
        let queries: Vec<_> = undrawn
            .iter()
            .map(|(_, purse)| (*purse, confirmed))
            .collect();
        let purses = self.reader.purses(&queries).await;
        let purses = self.reader.fail_over_on_err(purses)?;
        self.reader.check_canonical(&head).await?;
        let unconfirmed = undrawn
            .iter()
            .zip(&purses)
            .filter(|((id, _), contents)| **contents != Purse::Open(*id))
            .map(|((id, _), _)| *id);
        let unconfirmed = unconfirmed.collect();
        let purses = undrawn
            .iter()
            .map(|(_, purse)| *purse)
            .zip(purses.into_iter().map(Purse::word));
        let snapshot = ChainSnapshot {
            head,
            prices,
            purses: Mutex::new(purses.collect()),
            unconfirmed,
        };
        Ok((snapshot, ()))
    }
}
