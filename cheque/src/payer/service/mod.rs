//! The payer's service: follows deposits, opens round after round, and reclaims money.

mod decide;
mod error;
mod execute;
mod gauges;
mod pay;
mod pending;
mod prune;
mod retry;
mod rounds;
mod run;
mod settle_tx;
mod status;

pub use error::PayerServiceError;
pub use rounds::{ListError, NextList, RoundList, Rounds, RoundsError};
pub use status::{DepositStatus, RoundStatus};

use crate::{
    bank::head::Head,
    payer::{
        Payer,
        error::PayerError,
        event::DepositEvent,
        service::{
            decide::{Situation, TrackedDeposit},
            retry::Retries,
        },
    },
    protocol::terms::DepositId,
    service::{health_tracker::HealthTracker, store_probe::probe},
    sys::unix_now,
    tx::wallet::Wallet,
};
use alloy_primitives::{Address, TxHash};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
    time::Duration,
};
use tokio::sync::{OnceCell, watch};

/// Drives every deposit of a store through its life: opens stored deposits, follows all of them, opens the next
/// round in time, and reclaims deposits that nobody redeemed. Cheap to clone; clones are one service.
///
/// Every action follows from the store and the chain. The service may be killed at any moment: the next one
/// resumes pending transactions, and does nothing twice. A wallet must belong to one service only: two services
/// do not know each other's nonces and rounds, and this is not checked.
///
/// ```no_run
/// use alloy_primitives::Address;
/// use cheque::{Amount, payer::{Payer, PayerService, Rounds}};
///
/// # async fn example(payer: Payer, payee: Address) -> Result<(), Box<dyn std::error::Error>> {
/// // A deposit for one payee, drawn after a day; then the next, without end.
/// let list = Rounds::same_list(vec![(payee, Amount::new(1_000_000_000_000_000_000))]);
/// let service = PayerService::new(payer, Some(Rounds::new(list, 86_400)));
/// let paying = service.clone();
/// tokio::spawn(async move {
///     // Any active deposit of native coin (token zero) may cover a payment, or several together.
///     for payment in paying.pay(payee, Address::ZERO, Amount::new(5_000)).await? {
///         println!("{}", payment.proof);
///     }
///     Ok::<_, cheque::payer::PayerError>(())
/// });
/// service.run(async { let _ = tokio::signal::ctrl_c().await; }).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct PayerService {
    payer: Payer,
    rounds: Option<Rounds>,
    /// Retention: seconds for which a settled deposit is kept after its redemption window, if set.
    retention: Option<u64>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    recalled: OnceCell<()>,
    acting: tokio::sync::Mutex<()>,
    retries: Mutex<Retries>,
    seen: Mutex<Seen>,
    /// Time at which old deposits are pruned again.
    next_prune: AtomicU64,
}

/// Results of the last poll and the last step.
#[derive(Debug, Default)]
struct Seen {
    vitals: HealthTracker,
    /// Deposits that could not be followed, with the error.
    unfollowed: HashMap<DepositId, String>,
    /// Deposits with a stuck transaction, and the time since which it has been pending.
    stuck: BTreeMap<DepositId, u64>,
    /// Mined transactions already counted, and still checked for reorganisations.
    counted: HashSet<TxHash>,
}

/// Report of one step.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PayerStepReport {
    /// The newest block.
    pub head: Head,
    /// Changes of state found by the poll.
    pub events: Vec<DepositEvent>,
    /// Completed actions: their transactions are mined.
    pub completed: Vec<Completed>,
}

/// A completed action of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Completed {
    /// A deposit was opened.
    Opened(DepositId),
    /// A deposit was reclaimed.
    Reclaimed(DepositId),
}

impl PayerService {
    /// Creates a service for the payer's deposits, and for rounds that the service opens itself.
    pub fn new(mut payer: Payer, rounds: Option<Rounds>) -> Self {
        // A stuck transaction must not hold up the other actions: transaction methods return without waiting for a
        // block, and the service checks again at every head.
        let without_timeout = |wallet: Wallet| wallet.with_timeout(Duration::ZERO);
        payer.wallet = payer.wallet.map(without_timeout);
        Self {
            retention: None,
            payer,
            rounds,
            shared: Arc::default(),
        }
    }

    /// Returns the payer. Its transaction methods do not wait: each returns before its transaction is mined.
    pub const fn payer(&self) -> &Payer {
        &self.payer
    }

    /// Reads the last known head from the store, so that no payment is made by a much older head. Every poll and
    /// payment does so first; call this method to detect an unreadable store before anything else starts.
    ///
    /// # Errors
    ///
    /// [`PayerError::Stored`] if the store cannot be read.
    pub async fn recall(&self) -> Result<(), PayerError> {
        let recalled = &self.shared.recalled;
        let recall = || async { self.follower().load_cursor().await };
        recalled.get_or_try_init(recall).await?;
        Ok(())
    }

    /// Runs until `stop` resolves, then completes the current poll or step and returns. A failed action is
    /// retried later.
    ///
    /// # Errors
    ///
    /// [`RoundsError`] if the requested rounds cannot follow one another. Errors of the node, of the store and
    /// of transactions do not end the service: see [`PayerService::health`] and [`PayerService::status`].
    pub async fn run(&self, stop: impl Future<Output = ()>) -> Result<(), PayerServiceError> {
        self.check_rounds()?;
        let (stopped, stopping) = watch::channel(false);
        let (heads, new_heads) = watch::channel(None);
        let stop = async {
            stop.await;
            stopped.send_replace(true);
        };
        let mut probing = stopping.clone();
        let probe = async {
            tokio::select! {
                _ = probing.changed() => {}
                () = probe(&self.payer.store, "payer") => {}
            }
        };
        // Concurrent, because following must go on while a transaction takes its time.
        tokio::join!(
            stop,
            probe,
            self.follow_heads(heads, stopping.clone()),
            self.act_on_heads(new_heads, stopping)
        );
        Ok(())
    }

    /// Does one step: polls the chain, and acts at the head unless a step at the same head has succeeded.
    ///
    /// # Errors
    ///
    /// [`PayerServiceError::Rounds`] if the requested rounds cannot follow one another;
    /// [`PayerServiceError::Payer`] if the poll failed or the actions could not be decided. The error of a
    /// single action is in [`PayerService::status`] instead.
    pub async fn step(&self) -> Result<PayerStepReport, PayerServiceError> {
        self.check_rounds()?;
        let (head, events) = self.observe().await?;
        let completed = self.act_at(&head).await?;
        Ok(PayerStepReport {
            head,
            events,
            completed,
        })
    }

    fn check_rounds(&self) -> Result<(), RoundsError> {
        match &self.rounds {
            Some(rounds) => rounds.check(&self.payer),
            None => Ok(()),
        }
    }

    /// Applies `read` to the current situation. `None` if there is no wallet, or no head yet.
    fn with_situation<T>(
        &self,
        deposits: &[TrackedDeposit],
        read: impl FnOnce(&Situation<'_>) -> T,
    ) -> Option<T> {
        let account = self.payer.wallet_address()?;
        let head = self.seen().vitals.newest()?;
        let now = unix_now().max(head.time);
        Some(read(&self.situation(&head, now, account, deposits)))
    }

    fn situation<'a>(
        &self,
        head: &Head,
        now: u64,
        account: Address,
        deposits: &'a [TrackedDeposit],
    ) -> Situation<'a> {
        Situation {
            head_time: head.time,
            now,
            limits: self.payer.limits(),
            account,
            signer: self.payer.signer().unwrap_or_default(),
            deposits,
        }
    }

    fn retries(&self) -> MutexGuard<'_, Retries> {
        let retries = self.shared.retries.lock();
        retries.unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        let seen = self.shared.seen.lock();
        seen.unwrap_or_else(PoisonError::into_inner)
    }
}
