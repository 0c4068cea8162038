//! The payee's view of the chain, kept so that payments do not wait for the node.

use crate::{
    bank::error::BankError,
    bank::{
        cost::GasPrices,
        heads::Follower,
        reader::{Head, PurseKey},
    },
    node::failover::pin_node,
    payee::Payee,
    protocol::{
        receive::policy::{View, redeem_gas},
        terms::{DepositId, Purse},
    },
    store::async_store::StoredError,
    sys::unix_now,
};
use alloy_primitives::U256;
use cheque_bindings::Deposit;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// One look at the chain: everything in it is as of the same head.
#[derive(Debug)]
pub(super) struct ChainSnapshot {
    pub(super) head: Head,
    prices: GasPrices,
    at: Instant,
    /// The words of purses at the confirmed block. There may be a million: a tree of words is less than half as large as a
    /// table of purses.
    purses: Mutex<BTreeMap<PurseKey, U256>>,
    /// Deposits in the store that are still to be drawn, and that the bank did not hold at the confirmed block.
    unconfirmed: BTreeSet<DepositId>,
}

impl ChainSnapshot {
    pub(super) fn purse(&self, purse: PurseKey) -> Option<Purse> {
        let purses = self.purses.lock();
        let purses = purses.unwrap_or_else(PoisonError::into_inner);
        purses.get(&purse).copied().map(Purse::from_word)
    }

    fn learn(&self, purse: PurseKey, holds: Purse) {
        let purses = self.purses.lock();
        let mut purses = purses.unwrap_or_else(PoisonError::into_inner);
        purses.insert(purse, holds.word());
    }
}

impl Payee {
    /// Looks at the chain once: head, prices, and the purses of all deposits that can still be paid from. Payments are
    /// judged by this view until it is two blocks old. Returns its head, and what the chain charges.
    pub async fn poll(&self) -> Result<(Head, GasPrices), crate::payee::receive::ReceiveError> {
        let _one_at_a_time = self.shared.looking.lock().await;
        let cached = self.look().await?;
        Ok((cached.head, cached.prices))
    }

    /// Of the deposits that are still to be drawn, those that the bank did not hold at the confirmed block of the last
    /// look: a reorganisation has taken them away, or moved them. Payments of them are refused meanwhile.
    pub fn unconfirmed(&self) -> BTreeSet<DepositId> {
        let view = self.shared.view.lock();
        let view = view.unwrap_or_else(PoisonError::into_inner);
        let cached = view.as_ref();
        cached.map_or_else(BTreeSet::new, |cached| cached.unconfirmed.clone())
    }

    /// What waits for new heads, from where the store says that this payee was.
    pub(crate) fn follower(&self) -> Follower {
        Follower::new(&self.reader, &self.store, "payee")
    }

    /// Polls at every block until it is dropped, so that payments do not wait for the node. Errors go to `on_error`, and
    /// the next block is another try. A reorganisation deeper than the chain's confirmations is such an error too.
    pub async fn run(&self, mut on_error: impl FnMut(crate::payee::receive::ReceiveError)) {
        let mut follower = self.follower();
        loop {
            let (head, reorganised) = match follower.next().await {
                Ok(next) => next,
                Err(error) => {
                    on_error(error);
                    continue;
                }
            };
            reorganised
                .into_iter()
                .for_each(|error| on_error(BankError::from(error).into()));
            let done = match self.poll().await {
                Ok(_) => follower.done(&head).await.map_err(Into::into),
                Err(error) => Err(error),
            };
            if let Err(error) = done {
                on_error(error);
            }
        }
    }

    /// The last look, or a new one if that is too old.
    pub(super) async fn fresh_look(
        &self,
    ) -> Result<Arc<ChainSnapshot>, crate::payee::receive::ReceiveError> {
        if let Some(cached) = self.recent_look() {
            return Ok(cached);
        }
        let _one_at_a_time = self.shared.looking.lock().await;
        // Somebody else may have looked meanwhile.
        if let Some(cached) = self.recent_look() {
            return Ok(cached);
        }
        self.look().await
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

    fn recent_look(&self) -> Option<Arc<ChainSnapshot>> {
        let two_blocks = Duration::from_secs(2 * self.reader.profile().block_time.max(1));
        let view = self.shared.view.lock();
        let view = view.unwrap_or_else(PoisonError::into_inner).clone();
        view.filter(|cached| cached.at.elapsed() < two_blocks)
    }

    async fn look(&self) -> Result<Arc<ChainSnapshot>, crate::payee::receive::ReceiveError> {
        pin_node(self.look_at_one_node()).await
    }

    async fn look_at_one_node(
        &self,
    ) -> Result<Arc<ChainSnapshot>, crate::payee::receive::ReceiveError> {
        let at = Instant::now();
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
        let cached = Arc::new(ChainSnapshot {
            head,
            prices,
            at,
            purses: Mutex::new(purses.collect()),
            unconfirmed,
        });
        let mut view = self
            .shared
            .view
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *view = Some(cached.clone());
        Ok(cached)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Address;

    /// With the book's 220 and what the store keeps in memory, below 400 bytes for each open deposit.
    #[test]
    fn a_look_takes_less_than_95_bytes_for_each_purse() {
        const PURSES: u64 = 100_000;
        let words = |number: u64| {
            let payer = Address::left_padding_from(&number.reverse_bits().to_be_bytes());
            ((payer, Address::ZERO, 1), U256::from(number))
        };
        let mut purses = BTreeMap::new();
        let taken = allocation_counter::measure(|| purses = (0..PURSES).map(words).collect());
        assert_eq!(purses.len() as u64, PURSES);
        let each = taken.bytes_current / PURSES as i64;
        assert!((64..95).contains(&each), "{each} bytes");
    }
}
