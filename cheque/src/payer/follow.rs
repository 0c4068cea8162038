//! Follows deposits: reads the chain, and stores and reports changes of state.

use crate::{
    bank::{head::Head, purses::PurseKey},
    node::failover::pin_node,
    payer::{
        Payer,
        create::{open_key, reclaim_key},
        error::PayerError,
        event::{DepositEvent, PollReport},
        records::{DepositRecord, DepositState, OpenAt},
        snapshot::ChainSnapshot,
        state::{Facts, Limits, Moment, is_due, state},
        stored::stored_deposits,
        task::detached,
    },
    protocol::{
        now::Now,
        terms::{DepositId, Purse},
    },
    store::{async_store::OwnedChange, change::Swap, keys::deposit_key, table::Table},
    sys::unix_now,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio::sync::broadcast;

/// A look at the chain, the same for all deposits of a poll.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) head: Head,
    pub(super) confirmed: Head,
    pub(super) moment: Moment,
    pub(super) limits: Limits,
}

impl Payer {
    /// Subscribes to changes of state, as [`Payer::poll`] finds them. A subscriber that lags by more than 1024
    /// events gets the number of missed events; [`Payer::deposits`] always has the current states.
    pub fn subscribe_deposit_events(&self) -> broadcast::Receiver<DepositEvent> {
        self.shared.events.subscribe()
    }

    /// Reads the chain once, then the rounds of draws that are due. Stores changes of state and notifies
    /// subscribers. Sends no transaction. An error about one deposit is part of the report, and does not hold up
    /// the others.
    ///
    /// A deposit past its cutoff is looked at every `confirm` seconds of the chain's profile, all others each
    /// time. The purse of a confirmed deposit is read again only from its draw on, or after a reorganisation of confirmed
    /// blocks. A poll goes on if the caller drops the future.
    ///
    /// # Errors
    ///
    /// [`PayerError::Bank`] if the head or the purses cannot be read or the head is off the clock,
    /// [`PayerError::Stored`] if the store cannot be read. After an error the last snapshot is discarded, so that
    /// no cheque is written by it.
    pub async fn poll(&self) -> Result<PollReport, PayerError> {
        Ok(self.poll_head().await?.1)
    }

    /// Polls like [`Payer::poll`], and returns the head, too.
    pub(super) async fn poll_head(&self) -> Result<(Head, PollReport), PayerError> {
        let payer = self.clone();
        // A poll that ended between a stored state and its event would leave subscribers without the event.
        detached(async move {
            let take = async || payer.take_snapshot().await;
            let (snapshot, mut report) = payer.shared.snapshot.refresh(take).await?;
            // Payments have a new snapshot by now, and do not wait for the beacon.
            payer.draw_due(&snapshot, &mut report).await;
            Ok((snapshot.head, report))
        })
        .await
    }

    /// Returns the last snapshot, or takes a new one if the last is older than the time between two polls. From half that age on,
    /// the next is taken meanwhile: payments that come one after the other wait for none, however far the node.
    pub(super) async fn fresh_snapshot(&self) -> Result<Arc<ChainSnapshot>, PayerError> {
        let (snapshots, max_age) = (&self.shared.snapshot, self.reader.profile().poll);
        if let Some(snapshot) = snapshots.younger_than(max_age) {
            if snapshots.is_due(max_age) {
                // A failure clears the snapshot, and so reaches the next payment.
                tokio::spawn(self.clone().take_if_older(max_age / 2));
            }
            return Ok(snapshot);
        }
        // As in `poll_head`: the caller may be a request whose sender has gone.
        detached(self.clone().take_if_older(max_age)).await
    }

    async fn take_if_older(self, max_age: Duration) -> Result<Arc<ChainSnapshot>, PayerError> {
        let take = async || self.take_snapshot().await;
        self.shared.snapshot.fresh(max_age, take).await
    }

    /// Returns a fresh snapshot, and the time to judge cutoffs by. Checks the three clocks against each other: by
    /// a slow clock, a cheque might be written after the draw, when payees know the winner.
    pub(super) async fn live_snapshot(&self) -> Result<(Arc<ChainSnapshot>, u64), PayerError> {
        let snapshot = self.fresh_snapshot().await?;
        let now = self.check_clocks(&snapshot.head).await?;
        Ok((snapshot, now))
    }

    /// Checks the three clocks against each other, if the chain's profile demands it. Returns the latest.
    pub(super) async fn check_clocks(&self, head: &Head) -> Result<u64, PayerError> {
        let now = self.now_at(head).await;
        if let Some(bounds) = &self.reader.profile().freshness {
            now.check(bounds)?;
        }
        Ok(now.latest())
    }

    /// Reads the three clocks.
    pub(super) async fn now_at(&self, head: &Head) -> Now {
        self.seeds.now(unix_now(), head.time).await
    }

    /// Looks again at all settled deposits: the next poll reads them like all others. For reorganisations that
    /// replaced final blocks. Returns the number of these deposits.
    ///
    /// # Errors
    ///
    /// [`PayerError::Stored`]. The call can be repeated.
    pub async fn unsettle(&self) -> Result<usize, PayerError> {
        let mut unsettled = 0;
        for (id, record) in self.deposits().await? {
            if record.settled {
                let changed = DepositRecord {
                    settled: false,
                    ..record.clone()
                };
                unsettled += usize::from(self.store_record(id, &record, &changed).await?);
            }
        }
        let mut memory = self.memory();
        memory.looked.clear();
        memory.ends.clear();
        memory.held.clear();
        Ok(unsettled)
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
        let head = self.reader.checked_head().await?;
        let look = self.look_at(head).await?;
        let deposits = stored_deposits(&self.store, self.reader.bank()).await?;
        let (due, others): (Vec<_>, Vec<_>) = {
            let memory = self.memory();
            deposits.into_iter().partition(|(id, record)| {
                let looked = memory.looked.get(id).copied();
                !record.settled && is_due(record, &look.limits, &look.moment, looked)
            })
        };
        let purses = self.purses_of(&due, &look).await?;
        self.reader.check_canonical(&head).await?;

        let mut report = PollReport::default();
        let mut followed: HashMap<DepositId, DepositRecord> = others.into_iter().collect();
        let held = due.iter().zip(&purses);
        let held = held.filter(|((id, _), [_, confirmed])| *confirmed == Purse::Open(*id));
        let held = held.map(|((id, _), _)| *id);
        self.memory().held.add(look.confirmed, held);
        for ((id, record), purses) in due.into_iter().zip(purses) {
            let result = self.follow(id, record, &look, purses, &mut report).await;
            match result {
                Ok(record) => {
                    self.memory().looked.insert(id, look.moment.now);
                    followed.insert(id, record);
                }
                Err(error) => {
                    if matches!(error, PayerError::Bank(_)) {
                        // Another node may have what this one lacks.
                        self.reader.leave_node();
                    }
                    // An unknown state counts as not active.
                    self.memory().looked.remove(&id);
                    report.errors.push((id, error));
                }
            }
        }
        self.remember_only(&followed);
        Ok((snapshot_of(head, look.moment.now, followed), report))
    }

    /// Returns the contents of the purses of deposits, at the head and at the confirmed block. Reads only those that no earlier
    /// look has shown.
    async fn purses_of(
        &self,
        due: &[(DepositId, DepositRecord)],
        look: &Look,
    ) -> Result<Vec<[Purse; 2]>, PayerError> {
        self.forget_replaced(&look.confirmed).await?;
        let known: Vec<_> = {
            let memory = self.memory();
            let known = |(id, record): &(DepositId, DepositRecord)| {
                memory.held.purses(*id, record, look.head.time)
            };
            due.iter().map(known).collect()
        };
        let unknown = due.iter().zip(&known).filter(|(_, known)| known.is_none());
        let keys: Vec<(PurseKey, u64)> = unknown
            .flat_map(|((_, record), _)| {
                let terms = &record.deposit;
                let purse = (terms.payer, terms.token, terms.lane);
                [(purse, look.head.number), (purse, look.confirmed.number)]
            })
            .collect();
        let read = self.reader.purses(&keys).await;
        let read = self.reader.fail_over_on_err(read)?;
        let mut read = read.as_chunks::<2>().0.iter().copied();
        let purses = known.into_iter().map(|known| known.or_else(|| read.next()));
        // The reader answers every question.
        Ok(purses.flatten().collect())
    }

    /// Forgets which purses hold their deposits if the chain of a confirmed block does not have the block that showed it.
    async fn forget_replaced(&self, confirmed: &Head) -> Result<(), PayerError> {
        let Some(at) = self.memory().held.at() else {
            return Ok(());
        };
        let hash = match at.number == confirmed.number {
            true => Some(confirmed.hash),
            false => self.reader.hash_of(at.number).await?,
        };
        if hash != Some(at.hash) {
            self.memory().held.clear();
        }
        Ok(())
    }

    async fn look_at(&self, head: Head) -> Result<Look, PayerError> {
        let now = self.now_at(&head).await.latest();
        let last_final = self.reader.final_block(&head).await?;
        Ok(Look {
            head,
            confirmed: self.reader.confirmed_block(&head).await?,
            moment: Moment {
                head_time: head.time,
                now,
                final_number: last_final.number,
                final_time: last_final.time,
            },
            limits: self.limits(),
        })
    }

    /// The settings that decide states.
    pub(super) const fn limits(&self) -> Limits {
        Limits {
            cutoff: self.cutoff,
            min_lead: self.reader.min_lead(),
            confirm: self.reader.profile().confirm,
        }
    }

    /// Computes a deposit's state from its purse at the head and at the confirmed block. Stores and reports a
    /// change. Returns the record with that state.
    async fn follow(
        &self,
        id: DepositId,
        record: DepositRecord,
        look: &Look,
        purses: [Purse; 2],
        report: &mut PollReport,
    ) -> Result<DepositRecord, PayerError> {
        let facts = Facts {
            moment: look.moment,
            purse_now: purses[0],
            purse_confirmed: purses[1],
            closed: self.find_end(id, &record, look, &purses).await?,
            winner: record.draw.map(|draw| draw.winner),
        };
        let (new, settled) = state(id, &record.deposit, &look.limits, &facts);
        if (new, settled) == (record.state, record.settled) {
            return Ok(record);
        }
        let mut changed = DepositRecord {
            state: new,
            settled,
            ..record.clone()
        };
        if new != record.state && facts.purse_confirmed == Purse::Open(id) {
            changed.open_at = Some(OpenAt {
                block: look.confirmed.number,
                hash: look.confirmed.hash,
            });
        }
        // From here on others may see the new state, so no payment may be decided by the previous snapshot.
        self.shared.snapshot.clear();
        let is_stored = self.store_record(id, &record, &changed).await?;
        if is_stored && new != record.state {
            self.report_change(id, record.state, new, report);
            // A pending or never-opened deposit may still be opened by its stored transaction.
            if !matches!(new, DepositState::Pending | DepositState::NeverOpened) {
                self.remove_if_mined(&open_key(id)).await?;
            }
        }
        if settled {
            self.remove_if_mined(&reclaim_key(id)).await?;
        }
        Ok(changed)
    }

    /// Tells subscribers of a change. Sent at once, because a later step may fail.
    pub(super) fn report_change(
        &self,
        id: DepositId,
        before: DepositState,
        state: DepositState,
        report: &mut PollReport,
    ) {
        let event = DepositEvent { id, before, state };
        // A missing subscriber is fine.
        let _ = self.shared.events.send(event);
        report.events.push(event);
    }

    /// Stores a new record. `false` if another task or process has changed the record meanwhile.
    pub(super) async fn store_record(
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

    /// Remembers which deposits are not drawn, and drops what is remembered of deposits that need it no more.
    fn remember_only(&self, followed: &HashMap<DepositId, DepositRecord>) {
        self.shared.trees.drop_unused(followed);
        let is_followed = |id: &DepositId| followed.get(id).is_some_and(|record| !record.settled);
        let mut memory = self.memory();
        memory.undrawn.update(followed);
        memory.looked.retain(|id, _| is_followed(id));
        memory.ends.retain(|id, _| is_followed(id));
        memory.held.retain(is_followed);
    }
}

fn snapshot_of(head: Head, now: u64, followed: HashMap<DepositId, DepositRecord>) -> ChainSnapshot {
    let (mut active, mut undrawn) = (BTreeMap::new(), Vec::new());
    for (id, record) in followed {
        match record.state {
            DepositState::Active => {
                active.insert((record.deposit.drawTime, id), record.deposit);
            }
            DepositState::PastCutoff if now >= record.deposit.drawTime => {
                undrawn.push((id, record));
            }
            _ => {}
        }
    }
    undrawn.sort_unstable_by_key(|(id, record)| (record.deposit.drawTime, *id));
    ChainSnapshot {
        head,
        active,
        undrawn,
    }
}

#[cfg(test)]
#[cfg(feature = "local-beacon")]
mod tests;
