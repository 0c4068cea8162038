//! The payee's view of the chain: a snapshot of recent answers. Most payments need no request to the node.

use crate::{
    bank::{
        cost::GasPrices,
        error::BankError,
        head::{Head, is_behind},
    },
    node::failover::pin_node,
    payee::{
        Payee,
        error::ReceiveError,
        exposure::Sight,
        snapshot::{ChainSnapshot, Reference},
    },
    protocol::{
        amount::Amount,
        now::Now,
        receive::policy::{View, redeem_gas},
        terms::{DepositId, Purse},
    },
    sys::unix_now,
};
use alloy_primitives::{Address, B256};
use cheque_bindings::Deposit;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

/// The part of the last snapshot that is no longer in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Replaced {
    Nothing,
    Confirmed,
    Final,
}

impl Payee {
    /// Takes a snapshot of the chain: head, gas prices, confirmed and final block. Reads the purses of deposits before their
    /// draw that were not read yet, and decides the draws whose seed is known. Payments are judged by the snapshot for two
    /// intervals of the profile's `poll`, and for a second at least. Returns its head and gas prices.
    ///
    /// A head in the future is not acted upon: nothing is decided, and payments are refused.
    ///
    /// The number of requests does not depend on the number of deposits, but for those whose purse is to be read: all before
    /// their draw after a start, and after a reorganisation of confirmed blocks. Reads as many of them as a pause between two
    /// polls allows, thousands at a time; the next poll goes on.
    ///
    /// # Errors
    ///
    /// [`ReceiveError::Bank`] if the node fails, is behind, or reports an implausible head; [`ReceiveError::Stored`] if
    /// the store cannot be read. The newest snapshot then stays in use.
    pub async fn poll(&self) -> Result<(Head, GasPrices), ReceiveError> {
        let snapshot = self.poll_snapshot().await?;
        Ok((snapshot.head, snapshot.prices))
    }

    /// Like [`Payee::poll`], but returns the snapshot.
    pub(super) async fn poll_snapshot(&self) -> Result<Arc<ChainSnapshot>, ReceiveError> {
        let take = async || self.take_snapshot().await;
        let (snapshot, ()) = self.shared.snapshots.refresh(take).await?;
        if snapshot.ahead.is_some() {
            return Ok(snapshot);
        }
        let now = self.now(snapshot.head.time).await.latest();
        self.read_unread(&snapshot, now).await?;
        self.decide_draws(&snapshot, Duration::ZERO).await?;
        Ok(snapshot)
    }

    /// The deposits before their draw that the bank did not hold at the confirmed block when their purse was read last,
    /// because a reorganisation removed or moved them. Their payments are refused meanwhile.
    #[must_use]
    pub fn unconfirmed(&self) -> BTreeSet<DepositId> {
        self.index().missing()
    }

    /// The three clocks that payments are judged by.
    pub(super) async fn now(&self, head_time: u64) -> Now {
        self.seeds.now(unix_now(), head_time).await
    }

    /// The last snapshot if fresh, else a new one. From half of its life on, the next is taken meanwhile: payments that come
    /// one after the other wait for none, however far the node.
    pub(super) async fn fresh_snapshot(&self) -> Result<Arc<ChainSnapshot>, ReceiveError> {
        let (snapshots, max_age) = (&self.shared.snapshots, self.max_age());
        if let Some(snapshot) = snapshots.younger_than(max_age) {
            if snapshots.is_due(max_age) {
                let payee = self.clone();
                // Without a new snapshot, the first payment after this one's life asks again, and tells the failure.
                tokio::spawn(async move { payee.take_if_older(max_age / 2).await });
            }
            return Ok(snapshot);
        }
        self.take_if_older(max_age).await
    }

    async fn take_if_older(&self, max_age: Duration) -> Result<Arc<ChainSnapshot>, ReceiveError> {
        let take = async || self.take_snapshot().await;
        self.shared.snapshots.fresh(max_age, take).await
    }

    /// How long a snapshot is fresh.
    pub(super) fn max_age(&self) -> Duration {
        let two_polls = self.reader.profile().poll.saturating_mul(2);
        two_polls.max(Duration::from_secs(1))
    }

    /// The cost to redeem a cheque at the present price of gas, in units of its token: of the longest stream that the policy
    /// accepts, and an allowance proof of `depth` levels. `None` for a token without a rate.
    ///
    /// # Errors
    ///
    /// [`ReceiveError::Bank`] if the chain cannot be read, [`ReceiveError::Stored`] if the store cannot.
    pub async fn redeem_cost(
        &self,
        token: Address,
        depth: usize,
    ) -> Result<Option<Amount>, ReceiveError> {
        let snapshot = self.fresh_snapshot().await?;
        Ok(self.cost_of(&snapshot, token, depth))
    }

    fn cost_of(&self, snapshot: &ChainSnapshot, token: Address, depth: usize) -> Option<Amount> {
        let gas = redeem_gas(depth, self.policy.max_steps);
        let rate = self.rates.of(token).ok()?;
        Some(rate.units_up(snapshot.prices.wei(gas)))
    }

    /// The view by which a payment of `deposit` is judged. `depth` is the number of levels in its allowance proof; `sight`
    /// the block at which the purse is known to have held the deposit, if any.
    pub(super) async fn view(
        &self,
        snapshot: &ChainSnapshot,
        (id, deposit): (DepositId, &Deposit),
        purse: Purse,
        sight: Option<Sight>,
        depth: usize,
    ) -> View {
        let now = self.now(snapshot.head.time).await;
        let index = self.index();
        let settled = sight.is_some_and(|sight| index.is_settled(sight.open_at));
        let sums = index.of_others(id, deposit, settled);
        View {
            now,
            final_time: snapshot.final_time(),
            purse: purse.word(),
            settled,
            redeem_cost: self.cost_of(snapshot, deposit.token, depth),
            exposure: sums.exposure,
            unsettled: sums.unsettled,
        }
    }

    async fn take_snapshot(&self) -> Result<(ChainSnapshot, ()), ReceiveError> {
        pin_node(self.take_snapshot_of_one_node()).await
    }

    async fn take_snapshot_of_one_node(&self) -> Result<(ChainSnapshot, ()), ReceiveError> {
        // A head of before is good enough: each payment compares its time with the clock, at the time of its arrival.
        let head = self.reader.steady_head().await?;
        let ahead = self.reader.check_not_ahead(&head).err();
        let tip = self.wallet.as_ref().and_then(|wallet| wallet.tip());
        let prices = self.reader.prices_with_tip(tip).await?;
        self.rates.refresh(self.reader.provider()).await;
        let confirmed = self.reader.confirmed_block(&head).await?;
        let final_block = self.reader.final_block(&head).await?;
        let before = self.shared.snapshots.newest();
        let before = before.and_then(|before| before.reference);
        let reference = if ahead.is_some() {
            before
        } else {
            let (last_final, time) = (final_block, head.time);
            let new = Reference {
                confirmed,
                last_final,
            };
            let (replaced, reference) = match before {
                Some(before) => self.replaced(before, &head, new).await?,
                None => (Replaced::Nothing, new),
            };
            self.reader.check_canonical(&head).await?;
            self.follow_chain(replaced, &reference, before, time)
                .await?;
            Some(reference)
        };
        let snapshot = ChainSnapshot {
            head,
            prices,
            confirmed,
            final_block,
            reference,
            ahead,
            generation: self.index().generation(),
            unknown: Mutex::default(),
        };
        Ok((snapshot, ()))
    }

    /// Acts upon a head of time `head_time`: moves the final block on, or forgets what replaced blocks have shown.
    async fn follow_chain(
        &self,
        replaced: Replaced,
        reference: &Reference,
        before: Option<Reference>,
        head_time: u64,
    ) -> Result<(), ReceiveError> {
        let last_final = reference.last_final.number;
        // The state of a block that is still in the chain is as it was read.
        let kept = match (replaced, before) {
            (Replaced::Confirmed, Some(before)) => before.last_final.number,
            _ => 0,
        };
        if replaced == Replaced::Nothing {
            self.index().set_final(last_final);
        } else {
            self.index().forget_purses(kept, last_final);
        }
        if before.is_none() || replaced != Replaced::Nothing {
            // Brings back what was freed by blocks that are no longer in the chain.
            self.load_exposure(head_time).await?;
        }
        if replaced == Replaced::Final {
            self.shared.deep_reorgs.count();
        }
        Ok(())
    }

    /// Finds out which blocks of the reference are no longer in the chain of `head`, and the reference for later snapshots.
    /// A block that the node has not come to yet is not replaced.
    async fn replaced(
        &self,
        before: Reference,
        head: &Head,
        new: Reference,
    ) -> Result<(Replaced, Reference), BankError> {
        let (last, last_final) = (&before.confirmed, &before.last_final);
        let place = (last.number, last.time);
        let is_behind = is_behind(head, place, self.reader.profile());
        if is_behind
            || self
                .is_in_chain(last.number, last.hash, &new.confirmed)
                .await?
        {
            return Ok((Replaced::Nothing, before.higher(new)));
        }
        let in_chain = self.is_in_chain(last_final.number, last_final.hash, &new.confirmed);
        Ok(if in_chain.await? {
            (Replaced::Confirmed, before.higher_final(new))
        } else {
            (Replaced::Final, new)
        })
    }

    async fn is_in_chain(
        &self,
        number: u64,
        hash: B256,
        confirmed: &Head,
    ) -> Result<bool, BankError> {
        if number == confirmed.number {
            return Ok(hash == confirmed.hash);
        }
        Ok(self.reader.hash_of(number).await? == Some(hash))
    }
}

impl ChainSnapshot {
    /// The time of the final block, if the node has named it.
    fn final_time(&self) -> Option<u64> {
        let block = &self.final_block;
        block.tagged.then_some(block.time)
    }
}
