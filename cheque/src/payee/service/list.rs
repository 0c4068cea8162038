//! Lists of the payee's holdings, and the stream of their changes.

use crate::{
    payee::{
        positions::stored_positions_at,
        service::{
            PayeeService,
            holdings::Holdings,
            report::{HoldingChange, HoldingStatus, PayeeServiceError},
            state::{HoldingState, before_draw},
        },
    },
    protocol::{receive::position::Position, terms::DepositId},
};
use std::{collections::BTreeSet, sync::PoisonError};
use tokio::sync::broadcast;

/// The part of the list to return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldingQuery {
    /// The only state to list, by its [name](HoldingState::name). `None`: all.
    pub state: Option<&'static str>,
    /// The deposit after which the list continues.
    pub after: Option<DepositId>,
    /// The longest list.
    pub max: usize,
}

/// A part of the list, in the order of ids.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HoldingPage {
    /// The deposits.
    pub holdings: Vec<HoldingStatus>,
    /// The deposit after which the list continues. `None` at its end.
    pub next: Option<DepositId>,
}

impl PayeeService {
    /// The status of all deposits that the payee has a cheque of, as of the last step. Includes deposits with a first
    /// payment since then. Reads the whole store: see [`PayeeService::status_page`].
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub async fn status(&self) -> Result<Vec<HoldingStatus>, PayeeServiceError> {
        let positions = self.payee.positions().await?;
        self.statuses(positions).await
    }

    /// A part of [`PayeeService::status`]. Reads no other deposits.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub async fn status_page(
        &self,
        query: &HoldingQuery,
    ) -> Result<HoldingPage, PayeeServiceError> {
        let max = query.max.max(1);
        let mut positions = match self.page_of_ids(query, max) {
            Some(ids) => {
                let (bank, payee) = (self.payee.reader().bank(), self.payee.policy().payee);
                let read = stored_positions_at(&self.payee.store, bank.address(), payee, ids);
                read.await?.into_iter().flatten().collect()
            }
            None => self.payee.positions().await?,
        };
        positions.retain(|position| {
            query
                .after
                .is_none_or(|after| position.deposit_id() > after)
        });
        let has_more = positions.len() > max;
        positions.truncate(max);
        let last = positions.last().filter(|_| has_more);
        let next = last.map(Position::deposit_id);
        let mut holdings = self.statuses(positions).await?;
        // The state of a new deposit follows from its terms.
        holdings.retain(|status| query.state.is_none_or(|state| status.state.name() == state));
        Ok(HoldingPage { holdings, next })
    }

    /// The number of deposits in each state, as of the last step, by name.
    #[must_use]
    pub fn counts(&self) -> Vec<(&'static str, usize)> {
        let holdings = self.holdings();
        let count = |state| (state, holdings.count_in(state));
        HoldingState::NAMES.into_iter().map(count).collect()
    }

    /// Subscribes to changes of state. A subscriber that lags behind by 1,024 changes misses some.
    #[must_use]
    pub fn subscribe_changes(&self) -> broadcast::Receiver<HoldingChange> {
        self.shared.changes.0.subscribe()
    }

    /// The deposits of a page and one more, if there is one, among them the new ones, whose state is not known yet. `None` if the
    /// store was not scanned yet.
    fn page_of_ids(&self, query: &HoldingQuery, max: usize) -> Option<Vec<DepositId>> {
        let scanned = self.shared.rescanned.lock();
        (*scanned.unwrap_or_else(PoisonError::into_inner))?;
        let news = self.payee.shared.news_deposits().clone();
        let holdings = self.holdings();
        let max = max.saturating_add(1);
        let known = holdings.page(query.state, query.after, max);
        let new = news.union(&holdings.news).copied();
        let new = new.filter(|id| holdings.get(*id).is_none());
        let after = new.filter(|id| query.after.is_none_or(|after| *id > after));
        let ids: BTreeSet<_> = known.into_iter().chain(after).collect();
        Some(ids.into_iter().take(max).collect())
    }

    async fn statuses(
        &self,
        positions: Vec<Position>,
    ) -> Result<Vec<HoldingStatus>, PayeeServiceError> {
        let head = self.health_tracker().newest();
        let now = self.payee.now(head.map_or(0, |head| head.time)).await;
        let now = now.latest();
        let holdings = self.holdings();
        let statuses = positions
            .into_iter()
            .map(|position| self.status_of(&holdings, position, now));
        Ok(statuses.collect())
    }

    fn status_of(&self, holdings: &Holdings, position: Position, now: u64) -> HoldingStatus {
        let id = position.deposit_id();
        match holdings.get(id) {
            Some(tracked) => HoldingStatus {
                state: tracked.state,
                last_error: tracked.last_error.as_deref().cloned(),
                closes_at: tracked.closing.then_some(tracked.redeem_until),
                stuck_since: holdings.stuck_since(id),
                position,
            },
            None => HoldingStatus {
                state: before_draw(position.deposit().drawTime, now, self.payee.policy(), false),
                last_error: None,
                closes_at: None,
                stuck_since: None,
                position,
            },
        }
    }
}
