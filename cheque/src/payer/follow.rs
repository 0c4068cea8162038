//! Following deposits through their life.

use crate::{
    bank::{
        error::BankError,
        head::{Head, HeadCheckError, check_clock},
        heads::Follower,
        history::Closed,
        reader::{DrawBlock, PurseKey},
    },
    node::{error::NodeError, failover::pin_node},
    payer::{
        Payer,
        create::{open_key, reclaim_key},
        cutoff,
        error::PayerError,
        event::{DepositEvent, PollReport},
        records::{DepositRecord, DepositState, stored_deposits},
        snapshot::{ChainSnapshot, Won},
        state::{Facts, may_be_closed, state},
    },
    protocol::{
        amount::Amount,
        draw::{Seed, payout, roll},
        terms::{DepositId, Purse},
    },
    store::{Swap, Table, async_store::OwnedChange, keys::deposit_key},
    sys::unix_now,
};
use alloy_primitives::Address;
use cheque_bindings::Deposit;
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::broadcast;

impl Payer {
    /// Changes of state from now on, as [`Payer::poll`] finds them. A subscriber that lags far behind is told how many
    /// it has missed; [`Payer::deposits`] always knows the present.
    pub fn subscribe_deposit_events(&self) -> broadcast::Receiver<DepositEvent> {
        self.shared.events.subscribe()
    }

    /// Looks at the chain once, stores what has changed, and tells the subscribers. Sends no transaction. What it finds
    /// depends on the chain alone. What is wrong with one deposit is in the result, and does not hold up the others.
    pub async fn poll(&self) -> Result<PollReport, PayerError> {
        let take = async || self.take_snapshot().await;
        Ok(self.shared.snapshot.refresh(take).await?.1)
    }

    /// What waits for new heads, from where the store says that this payer was.
    pub(crate) fn follower(&self) -> Follower {
        Follower::new(&self.reader, &self.store, "payer")
    }

    /// The last snapshot of the chain, or a new one if it is a block old.
    pub(super) async fn fresh_snapshot(&self) -> Result<Arc<ChainSnapshot>, PayerError> {
        let block = Duration::from_secs(self.reader.profile().block_time.max(1));
        let take = async || self.take_snapshot().await;
        self.shared.snapshot.fresh(block, take).await
    }

    /// Like [`Payer::fresh_snapshot`], and the node's newest block is as new as the clock says it should be. Who writes cheques
    /// by an old view may write them after the draw, when payees know which one wins.
    pub(super) async fn live_snapshot(&self) -> Result<Arc<ChainSnapshot>, PayerError> {
        let snapshot = self.fresh_snapshot().await?;
        let checked = check_clock(&snapshot.head, unix_now(), self.reader.profile());
        checked.map_err(|error| stale(error.into()))?;
        Ok(snapshot)
    }

    /// Whether cheques can be written from a deposit, as far as `snapshot` can tell.
    pub(super) fn is_active(snapshot: &ChainSnapshot, id: DepositId) -> bool {
        snapshot.states.get(&id) == Some(&DepositState::Active)
    }

    async fn take_snapshot(&self) -> Result<(ChainSnapshot, PollReport), PayerError> {
        let taken = pin_node(self.take_snapshot_of_one_node()).await;
        if taken.is_err() {
            // After an error no cheque is written by the snapshot before it.
            self.shared.snapshot.clear();
        }
        taken
    }

    async fn take_snapshot_of_one_node(&self) -> Result<(ChainSnapshot, PollReport), PayerError> {
        let head = self.believed_head().await?;
        let deposits = stored_deposits(&self.store, self.reader.bank()).await?;
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
        let purses = self.reader.purses(&asked).await;
        let purses = self.reader.trusting(purses)?;
        self.reader.check_still(&head).await?;

        let mut polled = PollReport::default();
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
        Ok((ChainSnapshot { head, states }, polled))
    }

    /// The newest block, if what the node says of it can be true. What is concluded from it has to be read in the same
    /// scope of [`pin_node`], and ends with [`Reader::check_still`](crate::bank::Reader).
    pub(super) async fn believed_head(&self) -> Result<Head, PayerError> {
        self.reader.checked_head().await.map_err(stale)
    }

    /// Where one deposit stands now, by its purse at the head and at the confirmed block. A change is stored and told.
    async fn follow(
        &self,
        id: DepositId,
        record: &DepositRecord,
        (head, confirmed): (u64, u64),
        purses: &[Purse],
        draws: &mut HashMap<u64, Option<DrawBlock>>,
        polled: &mut PollReport,
    ) -> Result<DepositState, PayerError> {
        let winner = self
            .winner(id, record, (head, confirmed), purses[0], draws)
            .await;
        // Money can be taken back even where nobody knows who might have won. What was known before stays.
        let winner = winner.unwrap_or_else(|error| {
            polled.errors.push((id, error));
            match record.state {
                DepositState::Drawn { winner } => Some(winner),
                _ => None,
            }
        });
        let facts = Facts {
            head,
            last_final: head.saturating_sub(self.reader.profile().final_depth),
            now: purses[0],
            before: purses[1],
            closed: self.closed(id, record, head, purses).await?,
            winner,
        };
        let cutoff = cutoff(self.reader.profile());
        let (new, settled) = state(id, &record.deposit, cutoff, self.reader.min_lead(), &facts);
        let changed = DepositRecord {
            state: new,
            settled,
            ..record.clone()
        };
        if changed != *record {
            // No payment is judged by what was seen before, from when others can see this.
            self.shared.snapshot.clear();
        }
        if changed != *record && self.keep(id, record, &changed).await? && new != record.state {
            let event = DepositEvent {
                id,
                before: record.state,
                state: new,
            };
            // At once, for what comes next may fail. Nobody listening is fine.
            let _ = self.shared.events.send(event);
            polled.events.push(event);
            // Pending and lost ones may still be opened by what was sent, as far as one can know.
            if !matches!(new, DepositState::Pending | DepositState::NeverOpened) {
                self.forget_used(&open_key(id)).await?;
            }
        }
        if settled && !record.settled {
            self.forget_used(&reclaim_key(id)).await?;
        }
        Ok(new)
    }

    async fn closed(
        &self,
        id: DepositId,
        record: &DepositRecord,
        head: u64,
        purses: &[Purse],
    ) -> Result<Option<Closed>, PayerError> {
        let terms = &record.deposit;
        if !may_be_closed(id, terms, head, purses[0]) {
            return Ok(None);
        }
        // Neither redemption nor reclaim is possible before.
        let from = terms.drawBlock + 1;
        let closed = self.reader.closed(id, from, head).await?;
        if closed.is_none() && (purses[1] == Purse::Open(id) || self.was_open(id, record).await?) {
            let to = head;
            let missing = Err(BankError::NoEvent { id, from, to });
            self.reader.trusting(missing)?;
        }
        Ok(closed)
    }

    /// Whether a deposit was opened, as the purse tells it as of the draw block, before which nothing can close it. Nodes
    /// forget purses of long ago; then, as the store or the event tells it.
    async fn was_open(&self, id: DepositId, record: &DepositRecord) -> Result<bool, PayerError> {
        let terms = &record.deposit;
        let purse = (terms.payer, terms.token, terms.lane);
        match self.reader.purse(purse, terms.drawBlock).await {
            Ok(holds) => Ok(holds == Purse::Open(id)),
            Err(BankError::Node(NodeError::Rpc(error))) if error.is_error_resp() => {
                let unseen = matches!(
                    record.state,
                    DepositState::Pending | DepositState::NeverOpened
                );
                let found = self.reader.find_deposit(id, record.since, terms.drawBlock);
                Ok(!unseen || found.await?.is_some())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Who has won, once the draw block is deep enough. It is looked up again until no reorganisation can replace it, and
    /// once more then.
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
        let known = self.winners().get(&id).copied();
        if let Some(known) = known
            && known.is_final
        {
            return Ok(Some(known.winner));
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
        let winner = match known {
            Some(known) if known.by == draw.hash => known.winner,
            _ => self.winner_by(id, terms, draw.seed).await?,
        };
        let depth = head.saturating_sub(terms.drawBlock);
        let won = Won {
            winner,
            by: draw.hash,
            is_final: depth >= self.reader.profile().final_depth,
        };
        self.winners().insert(id, won);
        Ok(Some(winner))
    }

    /// Has the winner of a deposit computed again, because what was paid from it is known better now.
    pub(super) async fn forget_winner(&self, id: DepositId) {
        // A snapshot that is being taken may have read the account before it changed.
        let _none_is_taken = self.shared.snapshot.pause().await;
        self.winners().remove(&id);
    }

    fn winners(&self) -> MutexGuard<'_, HashMap<DepositId, Won>> {
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
        let payout = payout(account.total(), account.allowance(), terms);
        let wins = match (start, payout) {
            (Some(start), Some(payout)) => payout.wins(start, roll),
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
        Ok(self.store.swap(vec![change]).await? == Swap::Done)
    }
}

fn stale(error: BankError) -> PayerError {
    match error {
        BankError::Head(HeadCheckError::OffClock { time, now, limit }) => PayerError::StaleView {
            head_time: time,
            now,
            limit,
        },
        error => error.into(),
    }
}
