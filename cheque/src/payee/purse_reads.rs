//! Reads of purses: those of deposits that the payee holds cheques of, and of those that a caller names.

use crate::{
    bank::{error::BankError, purses::PurseKey},
    node::failover::pin_node,
    payee::{
        Payee,
        snapshot::{ChainSnapshot, SeenPurse},
    },
    protocol::{amount::Amount, terms::Purse},
};
use std::{collections::BTreeSet, sync::PoisonError, time::Duration};
use tokio::time::Instant;

/// The number of purses that are read together: by one node, with one check of the block.
const MAX_PURSES: usize = 4_000;

/// How long a node that has no old state is not asked for it again.
const NO_OLD_STATE: Duration = Duration::from_secs(600);

impl Payee {
    /// Reads the purse of a deposit that the payee knows, at the confirmed block of `snapshot`, and keeps it there.
    pub(super) async fn read_purse(
        &self,
        snapshot: &ChainSnapshot,
        purse: PurseKey,
    ) -> Result<SeenPurse, BankError> {
        let read = self.read_purses(snapshot, &[purse], true).await?;
        let empty = SeenPurse {
            contents: Purse::Idle(Amount::ZERO),
            since: u64::MAX,
        };
        let seen = read.first().copied().unwrap_or(empty);
        snapshot.insert_unknown(purse, seen);
        Ok(seen)
    }

    /// Reads the purses of deposits before their draw that are not known to be open. Stops after the time of a pause between
    /// two polls, so that a slow node does not hold up the draws; the next call goes on.
    pub(super) async fn read_unread(
        &self,
        snapshot: &ChainSnapshot,
        now: u64,
    ) -> Result<(), BankError> {
        let mut left = self.index().count_unread(now);
        let begun = Instant::now();
        while left > 0 {
            let unread = self.index().unread(now, left.min(MAX_PURSES));
            left = left.saturating_sub(MAX_PURSES);
            let purses: Vec<_> = unread.iter().map(|(_, _, purse)| *purse).collect();
            let read = self.read_purses(snapshot, &purses, true).await?;
            let mut index = self.index();
            for ((key, id, _), seen) in unread.into_iter().zip(read) {
                index.record_purse((key, id), seen.open_at(id), snapshot.generation);
            }
            drop(index);
            if begun.elapsed() >= self.max_age() / 2 {
                break;
            }
        }
        Ok(())
    }

    /// Reads purses at the confirmed block, and at the final block if the node has its state. If it has not, looks for the
    /// openings of deposits that the payee knows: a stranger's openings are not worth a search.
    pub(super) async fn read_purses(
        &self,
        snapshot: &ChainSnapshot,
        purses: &[PurseKey],
        are_known: bool,
    ) -> Result<Vec<SeenPurse>, BankError> {
        pin_node(self.read_purses_of_one_node(snapshot, purses, are_known)).await
    }

    async fn read_purses_of_one_node(
        &self,
        snapshot: &ChainSnapshot,
        purses: &[PurseKey],
        are_known: bool,
    ) -> Result<Vec<SeenPurse>, BankError> {
        let at = |number: u64| -> Vec<_> { purses.iter().map(|purse| (*purse, number)).collect() };
        let (confirmed, last_final) = (snapshot.confirmed.number, snapshot.final_block.number);
        let contents = self.reader.purses(&at(confirmed)).await;
        let contents = self.reader.fail_over_on_err(contents)?;
        let open = contents.iter().filter_map(|purse| match purse {
            Purse::Open(id) => Some(*id),
            Purse::Idle(_) => None,
        });
        let open: BTreeSet<_> = open.collect();
        let is_asked = last_final < confirmed && !open.is_empty();
        let finals = if is_asked && self.has_old_state() {
            // Full nodes have the state of 128 blocks only.
            let finals = self.reader.purses(&at(last_final)).await.ok();
            self.record_old_state(finals.is_some());
            finals
        } else {
            None
        };
        // A deposit that is open, and was opened by a final block, was open there. Without an event it settles later.
        let opened = if is_asked && are_known && finals.is_none() {
            self.reader.opened_until(&open, last_final).await
        } else {
            BTreeSet::new()
        };
        self.reader.check_canonical(&snapshot.confirmed).await?;
        let seen = contents.into_iter().enumerate().map(|(index, contents)| {
            let final_contents = finals.as_ref().and_then(|finals| finals.get(index));
            let was_opened = matches!(contents, Purse::Open(id) if opened.contains(&id));
            let is_final = was_opened || final_contents.is_some_and(|same| *same == contents);
            SeenPurse {
                contents,
                since: if is_final { last_final } else { confirmed },
            }
        });
        Ok(seen.collect())
    }

    fn has_old_state(&self) -> bool {
        let refused = self.shared.no_old_state.lock();
        let refused = refused.unwrap_or_else(PoisonError::into_inner);
        refused.is_none_or(|at| at.elapsed() >= NO_OLD_STATE)
    }

    fn record_old_state(&self, answered: bool) {
        let refused = self.shared.no_old_state.lock();
        let mut refused = refused.unwrap_or_else(PoisonError::into_inner);
        *refused = (!answered).then(Instant::now);
    }
}
