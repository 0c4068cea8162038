//! Following deposits through their life.

use super::{
    Payer, PayerError,
    create::open_key,
    cutoff,
    state::{Facts, may_be_closed, state},
};
use crate::{
    Amount, Deposit, DepositId, Purse, Seed,
    chain::{Closed, DrawBlock, Head, PurseKey, machine::unix_now, outbox, stored::OwnedChange},
    prize, roll,
    store::{DepositRecord, DepositState, Swap, Table, deposit_key},
};
use alloy_primitives::{Address, B256};
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::broadcast,
    time::{Instant, sleep},
};

/// The blocks after which a draw block is not looked at again: two epochs of Ethereum, after which a block is final.
const FINAL_DEPTH: u64 = 64;

/// A deposit has changed its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DepositEvent {
    /// The deposit.
    pub id: DepositId,
    /// Where it stood before.
    pub before: DepositState,
    /// Where it stands now.
    pub state: DepositState,
}

/// What a poll has found.
#[derive(Debug, Default)]
#[must_use = "deposits that could not be followed are among the errors"]
pub struct Polled {
    /// What has changed.
    pub events: Vec<DepositEvent>,
    /// Deposits that could not be followed to the end, and why. Others are not held up by them. Nothing is paid from one
    /// whose state is unknown.
    pub errors: Vec<(DepositId, PayerError)>,
}

/// What one look at the chain has shown.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) head: Head,
    at: Instant,
    states: HashMap<DepositId, DepositState>,
}

impl Payer {
    /// Changes of state from now on, as [`Payer::poll`] finds them. A subscriber that lags far behind is told how many
    /// it has missed; [`Payer::deposits`] always knows the present.
    pub fn subscribe_deposit_events(&self) -> broadcast::Receiver<DepositEvent> {
        self.shared.events.subscribe()
    }

    /// Looks at the chain once, stores what has changed, and tells the subscribers. Sends no transaction. What it finds
    /// depends on the chain alone. What is wrong with one deposit is in the result, and does not hold up the others.
    pub async fn poll(&self) -> Result<Polled, PayerError> {
        let _one_at_a_time = self.shared.looking.lock().await;
        Ok(self.look_again().await?.1)
    }

    /// Polls at every block until it is dropped. Errors go to `on_error`, and the next block is another try.
    pub async fn run(&self, mut on_error: impl FnMut(PayerError)) {
        let pause = Duration::from_secs(self.reader.profile().block_time.max(1));
        loop {
            match self.poll().await {
                Ok(polled) => polled
                    .errors
                    .into_iter()
                    .for_each(|(_, error)| on_error(error)),
                Err(error) => on_error(error),
            }
            sleep(pause).await;
        }
    }

    /// The last look at the chain, or a new one if that is older than a block.
    pub(super) async fn fresh_look(&self) -> Result<Arc<Look>, PayerError> {
        if let Some(look) = self.recent_look() {
            return Ok(look);
        }
        let _one_at_a_time = self.shared.looking.lock().await;
        // Somebody else may have looked meanwhile.
        if let Some(look) = self.recent_look() {
            return Ok(look);
        }
        Ok(self.look_again().await?.0)
    }

    /// Like [`Payer::fresh_look`], and the node's newest block is as new as the clock says it should be. Who writes cheques
    /// by an old view may write them after the draw, when payees know which one wins.
    pub(super) async fn live_look(&self) -> Result<Arc<Look>, PayerError> {
        let look = self.fresh_look().await?;
        let now = unix_now();
        match self.reader.profile().stale_after {
            Some(limit) if look.head.time.abs_diff(now) > limit => Err(PayerError::StaleView {
                head_time: look.head.time,
                now,
                limit,
            }),
            _ => Ok(look),
        }
    }

    /// Whether cheques can be written from a deposit, as far as `look` can tell.
    pub(super) fn is_active(look: &Look, id: DepositId) -> bool {
        look.states.get(&id) == Some(&DepositState::Active)
    }

    fn recent_look(&self) -> Option<Arc<Look>> {
        let block = Duration::from_secs(self.reader.profile().block_time.max(1));
        let look = self.shared.look.lock();
        let look = look.unwrap_or_else(PoisonError::into_inner).clone();
        look.filter(|look| look.at.elapsed() < block)
    }

    async fn look_again(&self) -> Result<(Arc<Look>, Polled), PayerError> {
        let at = Instant::now();
        let head = self.reader.head().await?;
        let deposits = self.stored.deposits(self.reader.bank()).await?;
        let mut states: HashMap<_, _> = deposits
            .iter()
            .map(|(id, record)| (*id, record.state))
            .collect();
        let live: Vec<_> = deposits
            .into_iter()
            .filter(|(_, record)| !record.settled)
            .collect();
        let confirmed = self.reader.confirmed(head.number);
        let asked: Vec<(PurseKey, u64)> = live
            .iter()
            .flat_map(|(_, record)| {
                let terms = &record.deposit;
                let purse = (terms.payer, terms.token, terms.lane);
                [(purse, head.number), (purse, confirmed)]
            })
            .collect();
        let purses = self.reader.purses(&asked).await?;

        let mut polled = Polled::default();
        let mut draws = HashMap::new();
        for ((id, record), purses) in live.into_iter().zip(purses.chunks_exact(2)) {
            let at = (head.number, confirmed);
            match self
                .follow(id, &record, at, purses, &mut draws, &mut polled)
                .await
            {
                Ok(state) => {
                    states.insert(id, state);
                }
                Err(error) => {
                    // Not active, whatever it was before.
                    states.remove(&id);
                    polled.errors.push((id, error));
                }
            }
        }
        self.forget_trees(&states);
        self.winners()
            .retain(|id, _| matches!(states.get(id), Some(DepositState::Drawn { .. })));
        let look = Arc::new(Look { head, at, states });
        *self
            .shared
            .look
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(look.clone());
        Ok((look, polled))
    }

    /// Where one deposit stands now, by its purse at the head and at the confirmed block. A change is stored and told.
    async fn follow(
        &self,
        id: DepositId,
        record: &DepositRecord,
        (head, confirmed): (u64, u64),
        purses: &[Purse],
        draws: &mut HashMap<u64, Option<DrawBlock>>,
        polled: &mut Polled,
    ) -> Result<DepositState, PayerError> {
        let winner = self
            .winner(id, record, (head, confirmed), purses[0], draws)
            .await;
        // Money can be taken back even where nobody knows who might have won.
        let winner = winner.unwrap_or_else(|error| {
            polled.errors.push((id, error));
            None
        });
        let facts = Facts {
            head,
            confirmed,
            now: purses[0],
            before: purses[1],
            closed: self.closed(id, record, head, purses[0]).await?,
            winner,
        };
        let cutoff = cutoff(self.reader.profile());
        let (new, settled) = state(id, &record.deposit, cutoff, self.reader.min_lead(), &facts);
        let changed = DepositRecord {
            state: new,
            settled,
            ..record.clone()
        };
        if changed != *record && self.keep(id, record, &changed).await? && new != record.state {
            let event = DepositEvent {
                id,
                before: record.state,
                state: new,
            };
            // At once, for what comes next may fail. Nobody listening is fine.
            let _ = self.shared.events.send(event);
            polled.events.push(event);
            if new == DepositState::Active {
                outbox::done(&self.stored, &open_key(id)).await?;
            }
        }
        Ok(new)
    }

    async fn closed(
        &self,
        id: DepositId,
        record: &DepositRecord,
        head: u64,
        now: Purse,
    ) -> Result<Option<Closed>, PayerError> {
        if !may_be_closed(id, &record.deposit, head, now) {
            return Ok(None);
        }
        // Neither redemption nor reclaim is possible before.
        let from = record.deposit.drawBlock + 1;
        Ok(self.reader.closed(id, from, head).await?)
    }

    /// Who has won, once the draw block is deep enough. It is looked up again until no reorganisation can replace it.
    async fn winner(
        &self,
        id: DepositId,
        record: &DepositRecord,
        (head, confirmed): (u64, u64),
        now: Purse,
        draws: &mut HashMap<u64, Option<DrawBlock>>,
    ) -> Result<Option<Option<Address>>, PayerError> {
        let terms = &record.deposit;
        let over = record.state == DepositState::Reclaimable;
        if now != Purse::Open(id) || confirmed < terms.drawBlock || over {
            return Ok(None);
        }
        if let DepositState::Drawn { winner } = record.state
            && head.saturating_sub(terms.drawBlock) >= FINAL_DEPTH
        {
            return Ok(Some(winner));
        }
        let draw = match draws.entry(terms.drawBlock) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                unknown.insert(self.reader.draw_block(terms.drawBlock).await?)
            }
        };
        let Some(draw) = draw else {
            return Ok(None);
        };
        if let Some((hash, winner)) = self.winners().get(&id)
            && *hash == draw.hash
        {
            return Ok(Some(*winner));
        }
        let winner = self.winner_by(id, terms, draw.seed).await?;
        self.winners().insert(id, (draw.hash, winner));
        Ok(Some(winner))
    }

    fn winners(&self) -> MutexGuard<'_, HashMap<DepositId, (B256, Option<Address>)>> {
        let winners = self.shared.winners.lock();
        winners.unwrap_or_else(PoisonError::into_inner)
    }

    /// Who wins a deposit by a seed: nobody, if the payee of the point that it selects was paid too little.
    async fn winner_by(
        &self,
        id: DepositId,
        terms: &Deposit,
        seed: Seed,
    ) -> Result<Option<Address>, PayerError> {
        let roll = roll(seed, id, Amount::new(terms.amount));
        let tree = self.tree(id).await?;
        let Some(payee) = tree.payee_at(roll) else {
            return Ok(None);
        };
        let (_, account) = self.account(id, payee).await?;
        let start = tree
            .proof(payee)
            .and_then(|proof| proof.start(payee, terms).ok());
        let prize = prize(account.total(), account.allowance(), terms);
        let wins = match (start, prize) {
            (Some(start), Some(prize)) => prize.wins(start, roll),
            _ => false,
        };
        Ok(wins.then_some(payee))
    }

    /// Stores a new state, unless somebody else has just done so.
    async fn keep(
        &self,
        id: DepositId,
        old: &DepositRecord,
        new: &DepositRecord,
    ) -> Result<bool, PayerError> {
        let change = OwnedChange {
            table: Table::Deposits,
            key: deposit_key(self.reader.bank(), id).to_vec(),
            old: Some(old.to_bytes()),
            new: Some(new.to_bytes()),
        };
        Ok(self.stored.swap(vec![change]).await? == Swap::Done)
    }

    /// Trees of deposits that nothing is written from any more need no memory.
    fn forget_trees(&self, states: &HashMap<DepositId, DepositState>) {
        let trees = self.shared.trees.lock();
        let mut trees = trees.unwrap_or_else(PoisonError::into_inner);
        trees.retain(|id, _| {
            matches!(
                states.get(id),
                None | Some(DepositState::Pending | DepositState::Active)
            )
        });
    }
}
