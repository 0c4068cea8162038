//! Follows deposits: reads the chain, and stores and reports changes of state.

use crate::{
    bank::{
        error::BankError,
        head::{Head, HeadCheckError, check_clock},
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
        snapshot::{ChainSnapshot, KnownWinner},
        state::{Facts, may_be_closed, state},
    },
    protocol::{
        amount::Amount,
        draw::{Seed, payout, roll},
        terms::{DepositId, Purse},
    },
    store::{async_store::OwnedChange, change::Swap, keys::deposit_key, table::Table},
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
    /// Subscribes to changes of state, as [`Payer::poll`] finds them. A subscriber that lags by more than 1024
    /// events gets the number of missed events; [`Payer::deposits`] always has the current states.
    pub fn subscribe_deposit_events(&self) -> broadcast::Receiver<DepositEvent> {
        self.shared.events.subscribe()
    }

    /// Reads the chain once, stores changes of state and notifies subscribers. Sends no transaction. The result
    /// depends on the chain alone. An error about one deposit is part of the report, and does not hold up the
    /// others.
    ///
    /// # Errors
    ///
    /// [`PayerError::StaleView`] or [`PayerError::Bank`] if the head or the purses cannot be read or are
    /// implausible, [`PayerError::Stored`] if the store cannot be read. After an error the last snapshot is
    /// discarded, so that no cheque is written by it.
    pub async fn poll(&self) -> Result<PollReport, PayerError> {
        let take = async || self.take_snapshot().await;
        Ok(self.shared.snapshot.refresh(take).await?.1)
    }

    /// Returns the last snapshot, or takes a new one if the last is a block old.
    pub(super) async fn fresh_snapshot(&self) -> Result<Arc<ChainSnapshot>, PayerError> {
        let block = Duration::from_secs(self.reader.profile().block_time.max(1));
        let take = async || self.take_snapshot().await;
        self.shared.snapshot.fresh(block, take).await
    }

    /// Like [`Payer::fresh_snapshot`], and checks that the head is as new as the clock requires. By an older
    /// head, a cheque might be written after the draw, when payees know the winner.
    pub(super) async fn live_snapshot(&self) -> Result<Arc<ChainSnapshot>, PayerError> {
        let snapshot = self.fresh_snapshot().await?;
        let checked = check_clock(&snapshot.head, unix_now(), self.reader.profile());
        checked.map_err(|error| stale(error.into()))?;
        Ok(snapshot)
    }

    /// True if cheques can be written from a deposit according to `snapshot`.
    pub(super) fn is_active(snapshot: &ChainSnapshot, id: DepositId) -> bool {
        snapshot.states.get(&id) == Some(&DepositState::Active)
    }

    async fn take_snapshot(&self) -> Result<(ChainSnapshot, PollReport), PayerError> {
        let snapshot = pin_node(self.read_snapshot()).await;
        if snapshot.is_err() {
            // No cheque is written by the previous snapshot after an error.
            self.shared.snapshot.clear();
        }
        snapshot
    }

    async fn read_snapshot(&self) -> Result<(ChainSnapshot, PollReport), PayerError> {
        let head = self.checked_head().await?;
        let deposits = stored_deposits(&self.store, self.reader.bank()).await?;
        let mut states: HashMap<_, _> = deposits
            .iter()
            .map(|(id, record)| (*id, record.state))
            .collect();
        let unsettled: Vec<_> = deposits
            .into_iter()
            .filter(|(_, record)| !record.settled)
            .collect();
        let confirmed = self.reader.confirmed(head.number);
        let keys: Vec<(PurseKey, u64)> = unsettled
            .iter()
            .flat_map(|(_, record)| {
                let terms = &record.deposit;
                let purse = (terms.payer, terms.token, terms.lane);
                [(purse, head.number), (purse, confirmed)]
            })
            .collect();
        let purses = self.reader.purses(&keys).await;
        let purses = self.reader.fail_over_on_err(purses)?;
        self.reader.check_canonical(&head).await?;

        let mut report = PollReport::default();
        let mut draws = HashMap::new();
        for ((id, record), purses) in unsettled.into_iter().zip(purses.chunks_exact(2)) {
            let at = (head.number, confirmed);
            match self
                .follow(id, &record, at, purses, &mut draws, &mut report)
                .await
            {
                Ok(state) => {
                    states.insert(id, state);
                }
                Err(error) => {
                    // Unknown counts as not active.
                    states.remove(&id);
                    report.errors.push((id, error));
                }
            }
        }
        self.drop_unused_trees(&states);
        self.winners()
            .retain(|id, _| matches!(states.get(id), Some(DepositState::Drawn { .. })));
        Ok((ChainSnapshot { head, states }, report))
    }

    /// Returns the newest block, if the node's answer is plausible. The caller reads everything combined with
    /// this head in the same scope of [`pin_node`], and ends with [`Reader::check_still`](crate::bank::Reader).
    pub(super) async fn checked_head(&self) -> Result<Head, PayerError> {
        self.reader.checked_head().await.map_err(stale)
    }

    /// Computes a deposit's state from its purse at the head and at the confirmed block. Stores and reports a
    /// change.
    async fn follow(
        &self,
        id: DepositId,
        record: &DepositRecord,
        (head, confirmed): (u64, u64),
        purses: &[Purse],
        draws: &mut HashMap<u64, Option<DrawBlock>>,
        report: &mut PollReport,
    ) -> Result<DepositState, PayerError> {
        let winner = self
            .winner(id, record, (head, confirmed), purses[0], draws)
            .await;
        // An unknown winner does not stop a reclaim. The winner known before stays.
        let winner = winner.unwrap_or_else(|error| {
            report.errors.push((id, error));
            match record.state {
                DepositState::Drawn { winner } => Some(winner),
                _ => None,
            }
        });
        let facts = Facts {
            head,
            last_final: head.saturating_sub(self.reader.profile().final_depth),
            purse_now: purses[0],
            purse_confirmed: purses[1],
            closed: self.find_closing(id, record, head, purses).await?,
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
            // From here on others may see the new state, so no payment may be decided by the previous snapshot.
            self.shared.snapshot.clear();
        }
        if changed != *record
            && self.store_state(id, record, &changed).await?
            && new != record.state
        {
            let event = DepositEvent {
                id,
                before: record.state,
                state: new,
            };
            // Sent at once, because a later step may fail. A missing subscriber is fine.
            let _ = self.shared.events.send(event);
            report.events.push(event);
            // A pending or never-opened deposit may still be opened by its stored transaction.
            if !matches!(new, DepositState::Pending | DepositState::NeverOpened) {
                self.remove_if_mined(&open_key(id)).await?;
            }
        }
        if settled && !record.settled {
            self.remove_if_mined(&reclaim_key(id)).await?;
        }
        Ok(new)
    }

    /// Finds the event that closed a deposit. A deposit that was open and has no such event is an error: the
    /// node's logs are incomplete.
    async fn find_closing(
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
        // The bank allows neither redemption nor reclaim before this block.
        let from = terms.drawBlock + 1;
        let closed = self.reader.closed(id, from, head).await?;
        if closed.is_none() && (purses[1] == Purse::Open(id) || self.was_open(id, record).await?) {
            let to = head;
            let missing = Err(BankError::NoEvent { id, from, to });
            self.reader.fail_over_on_err(missing)?;
        }
        Ok(closed)
    }

    /// True if the deposit was opened: its purse held the deposit at the draw block, before which nothing can
    /// close a deposit. A node that has pruned the purse's history is asked for the event instead, unless the
    /// store already has the deposit as opened.
    async fn was_open(&self, id: DepositId, record: &DepositRecord) -> Result<bool, PayerError> {
        let terms = &record.deposit;
        let purse = (terms.payer, terms.token, terms.lane);
        match self.reader.purse(purse, terms.drawBlock).await {
            Ok(purse) => Ok(purse == Purse::Open(id)),
            Err(BankError::Node(NodeError::Rpc(error))) if error.is_error_resp() => {
                let maybe_unopened = matches!(
                    record.state,
                    DepositState::Pending | DepositState::NeverOpened
                );
                let found = self.reader.find_deposit(id, record.since, terms.drawBlock);
                Ok(!maybe_unopened || found.await?.is_some())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Computes the winner once the draw block is confirmed. `None`: not drawn yet, or no longer open. The
    /// winner is computed again until no reorganisation can replace the draw block, and once more then.
    async fn winner(
        &self,
        id: DepositId,
        record: &DepositRecord,
        (head, confirmed): (u64, u64),
        purse_now: Purse,
        draws: &mut HashMap<u64, Option<DrawBlock>>,
    ) -> Result<Option<Option<Address>>, PayerError> {
        let terms = &record.deposit;
        let is_reclaimable = record.state == DepositState::Reclaimable;
        if purse_now != Purse::Open(id) || confirmed < terms.drawBlock || is_reclaimable {
            return Ok(None);
        }
        let known = self.winners().get(&id).copied();
        if let Some(known) = known
            && known.is_final
        {
            return Ok(Some(known.winner));
        }
        let draw = match draws.entry(terms.drawBlock) {
            Entry::Occupied(read) => read.into_mut(),
            Entry::Vacant(unread) => unread.insert(self.reader.draw_block(terms.drawBlock).await?),
        };
        let Some(draw) = draw else {
            return Ok(None);
        };
        let winner = match known {
            Some(known) if known.draw_hash == draw.hash => known.winner,
            _ => self.compute_winner(id, terms, draw.seed).await?,
        };
        let depth = head.saturating_sub(terms.drawBlock);
        let known = KnownWinner {
            winner,
            draw_hash: draw.hash,
            is_final: depth >= self.reader.profile().final_depth,
        };
        self.winners().insert(id, known);
        Ok(Some(winner))
    }

    /// Discards a computed winner, because an account of the deposit has changed.
    pub(super) async fn discard_winner(&self, id: DepositId) {
        // A snapshot in progress may have read the account before the change.
        let _no_snapshot_meanwhile = self.shared.snapshot.pause().await;
        self.winners().remove(&id);
    }

    fn winners(&self) -> MutexGuard<'_, HashMap<DepositId, KnownWinner>> {
        let winners = self.shared.winners.lock();
        winners.unwrap_or_else(PoisonError::into_inner)
    }

    /// Computes the winner for a seed. `None` if the roll selects no payee, or a payee that was paid too little.
    async fn compute_winner(
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

    /// Stores a new state. `false` if another task or process has changed the record meanwhile.
    async fn store_state(
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
