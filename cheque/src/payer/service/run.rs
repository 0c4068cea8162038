//! The loop of a payer's service: polls the chain at new heads, and acts at them.

use crate::{
    bank::{error::BankError, head::Head},
    payer::{
        error::PayerError,
        event::DepositEvent,
        service::{Completed, PayerService},
    },
    service::{
        follower::{Follower, News},
        metrics::PAYER_ERRORS,
    },
};
use metrics::counter;
use std::collections::HashMap;
use tokio::{sync::watch, time::Instant};

impl PayerService {
    /// Creates the follower of new heads, starting from the payer's head in the store.
    pub(super) fn follower(&self) -> Follower {
        Follower::new(&self.payer.reader, &self.payer.store, "payer")
    }

    /// Polls the chain at every new head, and passes the head to [`Self::act_on_heads`].
    pub(super) async fn follow_heads(
        &self,
        heads: watch::Sender<Option<Head>>,
        mut stopping: watch::Receiver<bool>,
    ) {
        let mut follower = self.follower();
        while !*stopping.borrow() {
            tokio::select! {
                _ = stopping.changed() => {}
                news = follower.next() => self.on_head(news, &mut follower, &heads).await,
            }
        }
    }

    /// Polls the chain after the follower's news.
    async fn on_head(
        &self,
        news: Result<News, PayerError>,
        follower: &mut Follower,
        heads: &watch::Sender<Option<Head>>,
    ) {
        let news = match news {
            Ok(news) => news,
            Err(error) => {
                self.observe_failed(&error);
                return;
            }
        };
        if let Some(error) = news.reorganised {
            self.observe_failed(&BankError::from(error).into());
            // Without this, the follower would forget the reorganisation with the next place in the store.
            if let Err(error) = self.look_again().await {
                self.observe_failed(&error);
                return;
            }
        }
        let Ok((head, _)) = self.observe().await else {
            return;
        };
        // A step that failed at this head is retried.
        if !self.seen().vitals.has_stepped_at(head.hash) {
            heads.send_replace(Some(head));
        }
        if let Err(error) = follower.advance(&news).await {
            self.observe_failed(&error.into());
        }
    }

    /// Looks again at all settled deposits, since final blocks were replaced.
    async fn look_again(&self) -> Result<(), PayerError> {
        let deposits = self.payer.unsettle().await?;
        tracing::warn!(event = "deposits_unsettled", deposits);
        Ok(())
    }

    /// Acts at new heads.
    pub(super) async fn act_on_heads(
        &self,
        mut heads: watch::Receiver<Option<Head>>,
        mut stopping: watch::Receiver<bool>,
    ) {
        while !*stopping.borrow() {
            tokio::select! {
                _ = stopping.changed() => {}
                new = heads.changed() => {
                    let head = *heads.borrow_and_update();
                    if let (Ok(()), Some(head)) = (new, head) {
                        let _failed = self.act_at(&head).await;
                    }
                }
            }
        }
    }

    /// Acts at a head, unless a step at this head has succeeded. Records and logs an error.
    pub(super) async fn act_at(&self, head: &Head) -> Result<Vec<Completed>, PayerError> {
        // Two concurrent steps would decide the same actions.
        let _one_at_a_time = self.shared.acting.lock().await;
        if self.seen().vitals.has_stepped_at(head.hash) {
            return Ok(Vec::new());
        }
        let acted = self.act(head).await;
        match &acted {
            Ok(_) => self.seen().vitals.record_step(head.hash, Instant::now()),
            Err(error) => {
                report_error("act", error);
                self.seen().vitals.record_step_error(error.to_string());
            }
        }
        acted
    }

    /// Polls chain and beacon once, prunes the store and sets the gauges. Errors of single deposits, of pruning and of
    /// gauges are recorded and logged, and do not fail the poll.
    pub(super) async fn observe(&self) -> Result<(Head, Vec<DepositEvent>), PayerError> {
        let poll = async {
            self.recall().await?;
            self.payer.poll_head().await
        };
        let (head, polled) = match poll.await {
            Ok(polled) => polled,
            Err(error) => {
                self.observe_failed(&error);
                return Err(error);
            }
        };
        for event in &polled.events {
            let (before, state) = (event.before.name(), event.state.name());
            tracing::info!(event = "deposit_state", deposit = %event.id, before, state);
        }
        let mut unfollowed = HashMap::new();
        for (id, error) in polled.errors {
            counter!(PAYER_ERRORS, "step" => "follow").increment(1);
            unfollowed.insert(id, error.to_string());
        }
        {
            let mut seen = self.seen();
            for (id, error) in &unfollowed {
                if seen.unfollowed.get(id) != Some(error) {
                    tracing::warn!(event = "step_failed", step = "follow", deposit = %id, reason = error);
                }
                seen.vitals.record_error(error.clone());
            }
            let now = Instant::now();
            seen.vitals.record_head(head, now);
            seen.vitals.record_idle(now);
            seen.unfollowed = unfollowed;
        }
        if let Err(error) = self.prune_old(&head).await {
            report_error("prune", &error);
            self.seen().vitals.record_error(error.to_string());
        }
        if let Err(error) = self.set_gauges(&head).await {
            report_error("gauges", &error);
            self.seen().vitals.record_error(error.to_string());
        }
        Ok((head, polled.events))
    }

    /// Records and logs a failed poll.
    fn observe_failed(&self, error: &PayerError) {
        report_error("observe", error);
        self.seen().vitals.record_poll_error(error.to_string());
    }
}

/// Counts and logs an error that concerns all deposits.
fn report_error(step: &'static str, error: &PayerError) {
    counter!(PAYER_ERRORS, "step" => step).increment(1);
    tracing::warn!(event = "step_failed", step, reason = %error);
}
