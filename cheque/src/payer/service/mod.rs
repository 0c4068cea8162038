//! The payer's service: follows its deposits, opens one round after the other, and takes money back.

mod decide;
mod error;
mod execute;
mod gauges;
mod prune;
mod retry;
mod rounds;
mod settle_tx;
mod status;

pub use error::PayerServiceError;
pub use rounds::{ListError, NextList, Rounds, RoundsError};
pub use status::{DepositStatus, RoundStatus};

use crate::{
    bank::error::BankError,
    bank::{head::Head, head::HeadCheckError, heads::Follower},
    payer::{
        Payer,
        error::PayerError,
        event::DepositEvent,
        pay::Payment,
        service::{
            decide::{Situation, TrackedDeposit, blocks_of_a_day},
            retry::Notes,
        },
    },
    protocol::{amount::Amount, terms::DepositId},
    service::{health_tracker::HealthTracker, metrics as names},
};
use alloy_primitives::{Address, TxHash};
use metrics::counter;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
};
use tokio::{
    sync::{OnceCell, watch},
    time::Instant,
};

/// Drives every deposit of a store through its life: opens what is stored and not opened, follows all, opens the next
/// round in time, takes back what nobody redeemed. Cheap to clone; clones are one service.
///
/// What it does follows from the store and the chain. It can be killed at any moment: what was begun is gone on with,
/// and nothing is done twice. Let one service alone use a wallet: two do not know of each other's nonces and rounds.
#[derive(Clone, Debug)]
pub struct PayerService {
    payer: Payer,
    rounds: Option<Rounds>,
    /// How many blocks after its last block to redeem a settled deposit is kept.
    keep: u64,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    recalled: OnceCell<()>,
    acting: tokio::sync::Mutex<()>,
    notes: Mutex<Notes>,
    seen: Mutex<Seen>,
    /// The block from which on old deposits are forgotten again.
    next_to_forget: AtomicU64,
}

/// What is known of the last look at the chain, and of what was done then.
#[derive(Debug, Default)]
struct Seen {
    vitals: HealthTracker,
    /// Deposits that could not be followed, and why.
    unfollowed: HashMap<DepositId, String>,
    /// Deposits for which something of the wallet waits for very long, and since which block.
    stuck: BTreeMap<DepositId, u64>,
    /// Transactions in blocks that were counted, and that are still looked at.
    counted: HashSet<TxHash>,
}

/// What one turn of the loop came to.
#[derive(Clone, Debug)]
pub struct PayerStepReport {
    /// The newest block.
    pub head: Head,
    /// The changes of state that were found.
    pub events: Vec<DepositEvent>,
    /// What was done and is in a block.
    pub done: Vec<Completed>,
}

/// What a service has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completed {
    /// A deposit was opened.
    Opened(DepositId),
    /// A deposit was taken back.
    Reclaimed(DepositId),
}

impl PayerService {
    /// A service for the payer's deposits, and for rounds that it opens itself.
    pub fn new(payer: Payer, rounds: Option<Rounds>) -> Self {
        let block_time = payer.reader().profile().block_time;
        Self {
            keep: Self::usual_keep(block_time),
            // A stuck transaction must not hold up the others.
            payer: payer.without_waiting(),
            rounds,
            shared: Arc::default(),
        }
    }

    /// The payer. It does not wait for its transactions, so verbs that send one return before it is mined.
    pub const fn payer(&self) -> &Payer {
        &self.payer
    }

    /// Takes over from the store which head was seen last, so that no payment is made by a much older one. Whatever looks
    /// at the chain does so first; call it where a store that cannot be read has to show before anything begins.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub async fn recall(&self) -> Result<(), PayerError> {
        let recalled = &self.shared.recalled;
        let recall = || async { self.payer.follower().recall().await };
        recalled.get_or_try_init(recall).await?;
        Ok(())
    }

    /// Works until `stop` resolves, and then ends what it is at. What fails is tried again at later blocks.
    ///
    /// # Errors
    /// Where the rounds asked for cannot follow one another.
    pub async fn run(&self, stop: impl Future<Output = ()>) -> Result<(), PayerServiceError> {
        self.check()?;
        let (stopped, stopping) = watch::channel(false);
        let (heads, new_heads) = watch::channel(None);
        let stop = async {
            stop.await;
            stopped.send_replace(true);
        };
        // Apart from each other, for following must go on while a transaction takes its time.
        tokio::join!(
            stop,
            self.follow(heads, stopping.clone()),
            self.act_on(new_heads, stopping)
        );
        Ok(())
    }

    /// One turn of the loop: looks at the chain, and does what is to be done at a head where it was not done yet.
    pub async fn step(&self) -> Result<PayerStepReport, PayerServiceError> {
        self.check()?;
        let (head, events) = self.look().await?;
        let done = self.act_at(&head).await?;
        Ok(PayerStepReport { head, events, done })
    }

    /// Pays `amount` token units like [`Payer::pay`], and counts it. The new total is on disk before this returns.
    pub async fn pay(
        &self,
        payee: Address,
        token: Address,
        amount: Amount,
    ) -> Result<Vec<Payment>, PayerError> {
        let paid = async {
            self.recall().await?;
            self.payer.pay(payee, token, amount).await
        };
        let paid = paid.await;
        match &paid {
            Ok(parts) => {
                counter!(names::PAYER_PAYMENTS).increment(1);
                tracing::debug!(event = "paid", %payee, %token, %amount, parts = parts.len());
            }
            Err(error) => {
                counter!(names::PAYER_REFUSED, "reason" => refusal(error)).increment(1);
                tracing::warn!(event = "payment_refused", %payee, %token, %amount, %error);
            }
        }
        paid
    }

    fn check(&self) -> Result<(), RoundsError> {
        match &self.rounds {
            Some(rounds) => rounds.check(&self.payer),
            None => Ok(()),
        }
    }

    /// Looks at the chain at every new head, and tells of it.
    async fn follow(
        &self,
        heads: watch::Sender<Option<Head>>,
        mut stopping: watch::Receiver<bool>,
    ) {
        let mut follower = self.payer.follower();
        while !*stopping.borrow() {
            tokio::select! {
                _ = stopping.changed() => {}
                news = follower.next() => self.follow_on(news, &mut follower, &heads).await,
            }
        }
    }

    /// Looks at the chain because of news.
    async fn follow_on(
        &self,
        news: Result<(Head, Option<HeadCheckError>), PayerError>,
        follower: &mut Follower,
        heads: &watch::Sender<Option<Head>>,
    ) {
        let (new, reorganised) = match news {
            Ok(news) => news,
            Err(error) => {
                self.look_failed(&error);
                return;
            }
        };
        if let Some(error) = reorganised {
            self.look_failed(&BankError::from(error).into());
        }
        let Ok((head, _)) = self.look().await else {
            return;
        };
        // What failed at this head is tried again.
        if !self.seen().vitals.has_stepped_at(head.hash) {
            heads.send_replace(Some(head));
        }
        if let Err(error) = follower.done(&new).await {
            self.look_failed(&error.into());
        }
    }

    /// Acts at new heads.
    async fn act_on(
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

    /// Does what is to be done at a head, unless that was done. What fails is told.
    async fn act_at(&self, head: &Head) -> Result<Vec<Completed>, PayerError> {
        // Two at once would decide the same.
        let _one_at_a_time = self.shared.acting.lock().await;
        if self.seen().vitals.has_stepped_at(head.hash) {
            return Ok(Vec::new());
        }
        let acted = self.act(head.number).await;
        match &acted {
            Ok(_) => self.seen().vitals.stepped(head.hash, Instant::now()),
            Err(error) => {
                tell("act", error);
                self.seen().vitals.step_failed(error.to_string());
            }
        }
        acted
    }

    /// Looks at the chain once.
    async fn look(&self) -> Result<(Head, Vec<DepositEvent>), PayerError> {
        let looked = async {
            self.recall().await?;
            let polled = self.payer.poll().await?;
            // The one that the poll was made at, and found plausible.
            Ok((self.payer.last_head().await?, polled))
        };
        let (head, polled) = match looked.await {
            Ok(looked) => looked,
            Err(error) => {
                self.look_failed(&error);
                return Err(error);
            }
        };
        for event in &polled.events {
            let (before, state) = (event.before.name(), event.state.name());
            tracing::info!(event = "deposit_state", deposit = %event.id, before, state);
        }
        let mut unfollowed = HashMap::new();
        for (id, error) in polled.errors {
            counter!(names::PAYER_ERRORS, "step" => "follow").increment(1);
            unfollowed.insert(id, error.to_string());
        }
        {
            let mut seen = self.seen();
            for (id, error) in &unfollowed {
                if seen.unfollowed.get(id) != Some(error) {
                    tracing::warn!(event = "step_failed", step = "follow", deposit = %id, reason = error);
                }
                seen.vitals.failed(error.clone());
            }
            let now = Instant::now();
            seen.vitals.saw(head, now);
            seen.vitals.rest(now);
            seen.unfollowed = unfollowed;
        }
        if let Err(error) = self.forget_old(head.number).await {
            tell("forget", &error);
            self.seen().vitals.failed(error.to_string());
        }
        if let Err(error) = self.count(&head).await {
            tell("count", &error);
            self.seen().vitals.failed(error.to_string());
        }
        Ok((head, polled.events))
    }

    /// Remembers that a look at the chain has failed.
    fn look_failed(&self, error: &PayerError) {
        tell("look", error);
        self.seen().vitals.look_failed(error.to_string());
    }

    /// What `read` makes of the situation. `None`: there is no wallet, or no head yet.
    fn with_situation<T>(
        &self,
        deposits: &[TrackedDeposit],
        read: impl FnOnce(&Situation<'_>) -> T,
    ) -> Option<T> {
        let account = self.payer.wallet_address()?;
        let head = self.seen().vitals.head()?;
        Some(read(&self.situation(head, account, deposits)))
    }

    fn situation<'a>(
        &self,
        head: u64,
        account: Address,
        deposits: &'a [TrackedDeposit],
    ) -> Situation<'a> {
        Situation {
            head,
            cutoff: self.payer.cutoff(),
            day: blocks_of_a_day(self.payer.reader().profile().block_time),
            account,
            signer: self.payer.signer().unwrap_or_default(),
            deposits,
        }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        let notes = self.shared.notes.lock();
        notes.unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        let seen = self.shared.seen.lock();
        seen.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts and logs what concerns all deposits.
fn tell(step: &'static str, error: &PayerError) {
    counter!(names::PAYER_ERRORS, "step" => step).increment(1);
    tracing::warn!(event = "step_failed", step, reason = %error);
}

/// A stable name for why a payment was refused.
const fn refusal(error: &PayerError) -> &'static str {
    match error {
        PayerError::NotCovered { .. } => "not_covered",
        PayerError::StaleView { .. } => "stale_view",
        PayerError::Write(_) => "bad_amount",
        PayerError::Stored(_) => "store",
        PayerError::Bank(_) => "chain",
        _ => "other",
    }
}
