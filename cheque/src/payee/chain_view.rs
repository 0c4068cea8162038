//! The payee's view of the chain, kept so that payments do not wait for the node.

use crate::{
    bank::{cost::GasPrices, error::BankError, head::Head, heads::Follower, reader::PurseKey},
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
    /// Looks at the chain once: head, prices, and the purses of all deposits that can still be paid from. Payments are
    /// judged by this view until it is two blocks old. Returns its head, and what the chain charges.
    pub async fn poll(&self) -> Result<(Head, GasPrices), ReceiveError> {
        let take = async || self.take_snapshot().await;
        let (snapshot, ()) = self.shared.view.refresh(take).await?;
        Ok((snapshot.head, snapshot.prices))
    }

    /// Of the deposits that are still to be drawn, those that the bank did not hold at the confirmed block of the last
    /// look: a reorganisation has taken them away, or moved them. Payments of them are refused meanwhile.
    pub fn unconfirmed(&self) -> BTreeSet<DepositId> {
        let newest = self.shared.view.newest();
        newest.map_or_else(BTreeSet::new, |snapshot| snapshot.unconfirmed.clone())
    }

    /// What waits for new heads, from where the store says that this payee was.
    pub(crate) fn follower(&self) -> Follower {
        Follower::new(&self.reader, &self.store, "payee")
    }

    /// The last snapshot, or a new one if it is two blocks old.
    pub(super) async fn fresh_snapshot(&self) -> Result<Arc<ChainSnapshot>, ReceiveError> {
        let two_blocks = Duration::from_secs(2 * self.reader.profile().block_time.max(1));
        let take = async || self.take_snapshot().await;
        self.shared.view.fresh(two_blocks, take).await
    }

    /// What a deposit's purse held at the confirmed block.
    pub(super) async fn purse(
        &self,
        cached: &ChainSnapshot,
        purse: PurseKey,
    ) -> Result<Purse, BankError> {
        if let Some(holds) = cached.purse(purse) {
            return Ok(holds);
        }
        let confirmed = self.reader.confirmed(cached.head.number);
        let holds = self.reader.purse(purse, confirmed).await?;
        cached.learn(purse, holds);
        Ok(holds)
    }

    /// The view to judge a payment of `deposit` by, with `depth` levels in its allowance proof.
    pub(super) async fn view(
        &self,
        cached: &ChainSnapshot,
        id: DepositId,
        deposit: &Deposit,
        purse: Purse,
        depth: usize,
    ) -> Result<View, StoredError> {
        let gas = redeem_gas(depth, self.policy.max_steps);
        let rate = self.rates.of(deposit.token);
        Ok(View {
            head: cached.head.number,
            head_time: cached.head.time,
            now: unix_now(),
            purse: purse.word(),
            redeem_cost: rate.map(|rate| rate.units_up(cached.prices.wei(gas))),
            exposure: self.book().await?.exposure_beside(id, deposit),
        })
    }

    async fn take_snapshot(&self) -> Result<(ChainSnapshot, ()), ReceiveError> {
        pin_node(self.take_snapshot_of_one_node()).await
    }

    async fn take_snapshot_of_one_node(&self) -> Result<(ChainSnapshot, ()), ReceiveError> {
        // Payments are judged by the clock when they come.
        let head = self.reader.steady_head().await?;
        let prices = self.reader.prices().await?;
        let confirmed = self.reader.confirmed(head.number);
        let held: Vec<_> = self.book().await?.purses_after(head.number).collect();
        let asked: Vec<_> = held.iter().map(|(_, purse)| (*purse, confirmed)).collect();
        let purses = self.reader.purses(&asked).await;
        let purses = self.reader.trusting(purses)?;
        self.reader.check_still(&head).await?;
        let unconfirmed = held
            .iter()
            .zip(&purses)
            .filter(|((id, _), holds)| **holds != Purse::Open(*id))
            .map(|((id, _), _)| *id);
        let unconfirmed = unconfirmed.collect();
        let purses = held
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
