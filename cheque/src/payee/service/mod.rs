//! The payee's service: follows every deposit that the payee has a cheque of, and redeems its wins.

mod execute;
mod health;
mod holdings;
mod list;
mod observation;
mod plan;
mod receive;
mod report;
mod scan;
mod settings;
mod state;
mod track;
mod urgent;
mod wins;

pub use list::{HoldingPage, HoldingQuery};
pub use plan::{Plan, RedeemableWin, WaitReason, Waiting, plan};
pub use report::{HoldingChange, HoldingStatus, LastError, PayeeServiceError, PayeeStepReport};
pub use settings::PayeeSettings;
pub use state::{HoldingState, MissReason};

use crate::{
    bank::{
        error::BankError,
        head::{HeadCheckError, check_clock},
    },
    payee::{Payee, error::ReceiveError, service::holdings::Holdings, snapshot::ChainSnapshot},
    service::{
        follower::Follower, health_tracker::HealthTracker, metrics as names, store_probe::probe,
    },
    store::async_store::StoredError,
    sys::unix_now,
};
use metrics::gauge;
use std::{
    future::Future,
    pin::pin,
    sync::{Arc, Mutex},
};
use tokio::{
    sync::{broadcast, watch},
    time::Instant,
};

/// Number of changes of state by which a subscriber may lag.
const MAX_UNREAD_CHANGES: usize = 1024;

/// A payee that runs for months. Cheap to clone; clones are the same service.
///
/// The service keeps a fresh snapshot of the chain, and payments do not wait for the node. It computes every draw once
/// the beacon's round is verified, redeems wins if the gas price allows, in batches if cheaper, and checks its
/// transactions until they are confirmed. All of its knowledge follows from the store, the beacon and the chain, so the
/// operator can kill and restart the service at any moment.
///
/// The work at each head depends on the number of changes, not of deposits: open ones are read once, closed ones never.
///
/// Run one service per payee. Two would send the same redemption twice, and the second transaction would cost gas for
/// nothing. The service does not check this.
///
/// # Examples
///
/// ```no_run
/// use alloy::{network::EthereumWallet, primitives::address, signers::local::PrivateKeySigner};
/// use cheque::{
///     Policy,
///     bank::Reader,
///     beacon::BeaconClient,
///     node::connect,
///     payee::{Payee, PayeeService, PayeeSettings},
///     store::Redb,
///     tx::Wallet,
/// };
/// use std::sync::Arc;
///
/// #[tokio::main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let provider = connect("ws://127.0.0.1:8546").await?;
///     let bank = address!("0x5FbDB2315678afecb367f032d93F642f64180aa3"); // printed by `cheque deploy`
///     let reader = Reader::open(provider.clone(), bank).await?;
///     let account = PrivateKeySigner::random(); // an account with coin for gas
///     let policy = Policy::new(account.address(), *reader.bank(), reader.profile());
///     let wallet = Wallet::new(provider, EthereumWallet::from(account), reader.bank().chain_id());
///     let mut settings = PayeeSettings::new(&policy, reader.profile());
///     settings.batch_size = 20;
///     let store = Arc::new(Redb::open("payee.redb")?);
///     let payee = Payee::new(reader, policy, store)?.with_beacon(BeaconClient::quicknet()?)?.with_wallet(wallet);
///     let service = PayeeService::new(payee, settings);
///
///     // A server gets a clone, and calls `receive_payment` for each request.
///     let server = tokio::spawn(serve(service.clone()));
///     service.run(async { drop(server.await) }).await?;
///     Ok(())
/// }
///
/// async fn serve(service: PayeeService) {
///     // A single request, in place of a server's loop.
///     let text = std::env::args().nth(1);
///     if let Some(Ok(proof)) = text.map(|text| text.parse()) {
///         match service.receive_payment(None, &proof).await {
///             Ok(accepted) => println!("{} units", accepted.value),
///             Err(error) => println!("{error}"),
///         }
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct PayeeService {
    payee: Payee,
    settings: PayeeSettings,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    holdings: Mutex<Holdings>,
    health: Mutex<HealthTracker>,
    stepping: tokio::sync::Mutex<()>,
    recalled: tokio::sync::OnceCell<()>,
    /// The reorganisations seen: the generation of the exposure index, and the number of deep ones.
    reorgs: Mutex<(u64, u64)>,
    changes: Changes,
    /// The last scan of the whole store.
    rescanned: Mutex<Option<Instant>>,
    /// The time of the last removal of old rounds.
    forgot_rounds: Mutex<u64>,
}

/// The channel of changes of state.
#[derive(Debug)]
struct Changes(broadcast::Sender<HoldingChange>);

impl Default for Changes {
    fn default() -> Self {
        Self(broadcast::Sender::new(MAX_UNREAD_CHANGES))
    }
}

impl PayeeService {
    /// Creates a service. Reads nothing yet. Without a wallet, the service follows deposits and redeems nothing.
    #[must_use]
    pub fn new(payee: Payee, settings: PayeeSettings) -> Self {
        payee.shared.want_news();
        Self {
            payee,
            settings,
            shared: Arc::default(),
        }
    }

    /// The payee.
    #[must_use]
    pub const fn payee(&self) -> &Payee {
        &self.payee
    }

    /// Creates the follower of new heads, starting from the payee's head in the store.
    fn follower(&self) -> Follower {
        Follower::new(&self.payee.reader, &self.payee.store, "payee")
    }

    /// Reads the last head from the store, so that no payment is judged by a much older one. Payments and
    /// [`PayeeService::run`] do this first. Call it before starting a server, to detect an unreadable store early.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub async fn recall(&self) -> Result<(), StoredError> {
        let recalled = &self.shared.recalled;
        let recall = || async { self.follower().load_cursor().await };
        recalled.get_or_try_init(recall).await?;
        Ok(())
    }

    /// Takes a step at each new head until `stop` resolves, then finishes the current step. Logs every error, shows it
    /// in [`PayeeService::status`] and [`PayeeService::health`], and retries.
    ///
    /// While the newest block is off the own clock, takes no step, but redeems the wins whose window is about to close. A
    /// block more than an hour in the future counts for nothing.
    ///
    /// # Errors
    ///
    /// Never at present. Reserved for errors that no retry can mend.
    pub async fn run(&self, stop: impl Future<Output = ()>) -> Result<(), PayeeServiceError> {
        let mut stop = pin!(stop);
        let (sender, mut receiver) = watch::channel(None);
        // Polls the chain beside the steps: a step may take longer than a poll, and payments need a fresh snapshot.
        let poll = async {
            let mut follower = self.follower();
            loop {
                if let Err(error) = self.poll_next(&mut follower, &sender).await {
                    self.report_poll_error(&error.into());
                    self.warn_of_closing().await;
                }
            }
        };
        let steps = async {
            loop {
                tokio::select! {
                    biased;
                    () = &mut stop => return,
                    changed = receiver.changed() => if changed.is_err() { return },
                }
                let polled = receiver.borrow_and_update().clone();
                let stepped = match polled {
                    None => Ok(()),
                    Some(Polled::Head(snapshot)) => self.step_at(&snapshot).await.map(drop),
                    Some(Polled::OffClock(snapshot)) => self.redeem_urgent(&snapshot).await,
                };
                if let Err(error) = stepped {
                    self.report_step_error(&error);
                    self.warn_of_closing().await;
                }
            }
        };
        tokio::select! {
            () = poll => {}
            () = steps => {}
            () = probe(&self.payee.store, "payee") => {}
        }
        Ok(())
    }

    /// Waits for the next head, and takes a snapshot of the chain. Takes one by a head that is off the clock, too, for urgent
    /// wins.
    async fn poll_next(
        &self,
        follower: &mut Follower,
        polled: &watch::Sender<Option<Polled>>,
    ) -> Result<(), ReceiveError> {
        let news = match follower.next::<ReceiveError>().await {
            Err(ReceiveError::Bank(BankError::Head(error))) if Self::may_redeem_by(&error) => {
                let snapshot = self.payee.poll_snapshot().await?;
                polled.send_replace(Some(Polled::OffClock(snapshot)));
                return Err(BankError::Head(error).into());
            }
            news => news?,
        };
        if let Some(error) = news.reorganised {
            self.payee.shared.deep_reorgs.count();
            self.report_poll_error(&ReceiveError::from(BankError::from(error)).into());
        }
        let snapshot = self.payee.poll_snapshot().await?;
        if let Err(error) = self.record_head(&snapshot) {
            // Another node may have given this head.
            if Self::may_redeem_by(&error) {
                polled.send_replace(Some(Polled::OffClock(snapshot)));
            }
            return Err(BankError::Head(error).into());
        }
        polled.send_replace(Some(Polled::Head(snapshot)));
        Ok(follower.advance(&news).await?)
    }

    /// Takes a step: polls the chain, scans the deposits, and executes the due actions. Does not wait for transactions.
    /// An error of a single deposit is part of its status, and does not delay others.
    ///
    /// # Errors
    ///
    /// [`PayeeServiceError::View`] if the chain cannot be polled; [`PayeeServiceError::Redeem`] if the draws cannot be
    /// followed; [`PayeeServiceError::Stored`] if the store fails.
    pub async fn step(&self) -> Result<PayeeStepReport, PayeeServiceError> {
        let polled = self.payee.poll_snapshot().await;
        let polled = polled.and_then(|snapshot| {
            self.record_head(&snapshot).map_err(BankError::from)?;
            Ok(snapshot)
        });
        let snapshot = match polled {
            Ok(polled) => polled,
            Err(error) => {
                let error = error.into();
                self.report_poll_error(&error);
                self.warn_of_closing().await;
                return Err(error);
            }
        };
        let report = self.step_at(&snapshot).await;
        if let Err(error) = &report {
            self.report_step_error(error);
            self.warn_of_closing().await;
        }
        report
    }

    /// Polls and scans like [`PayeeService::step`], but sends no transaction and removes no deposit.
    ///
    /// # Errors
    ///
    /// Those of [`PayeeService::step`].
    pub async fn observe(&self) -> Result<PayeeStepReport, PayeeServiceError> {
        let snapshot = self.payee.poll_snapshot().await?;
        let on_clock = self.record_head(&snapshot).map_err(BankError::from);
        on_clock.map_err(ReceiveError::from)?;
        let _one_at_a_time = self.shared.stepping.lock().await;
        let (observed, _) = self.scan(&snapshot).await?;
        Ok(self.record(observed))
    }

    async fn step_at(
        &self,
        snapshot: &ChainSnapshot,
    ) -> Result<PayeeStepReport, PayeeServiceError> {
        let _one_at_a_time = self.shared.stepping.lock().await;
        let (mut observed, plan) = self.scan(snapshot).await?;
        let now = observed.now;
        self.execute(&mut observed, plan, &snapshot.prices).await;
        let undone = self.undone(&observed);
        self.health_tracker().set_undone(undone, Instant::now());
        let report = self.record(observed);
        if let Err(error) = self.record_stuck(now).await {
            self.report_count_error(&error);
        }
        self.remove_old(snapshot, now).await?;
        self.health_tracker()
            .record_step(snapshot.head.hash, Instant::now());
        Ok(report)
    }

    /// Records the head of a snapshot. Fails if it is off the clock: no step acts upon it.
    fn record_head(&self, snapshot: &ChainSnapshot) -> Result<(), HeadCheckError> {
        let head = snapshot.head;
        if let Some(ahead) = snapshot.ahead {
            return Err(ahead);
        }
        check_clock(&head, unix_now(), self.payee.reader().profile())?;
        self.health_tracker().record_head(head, Instant::now());
        gauge!(names::PAYEE_HEAD).set(u32::try_from(head.number).unwrap_or(u32::MAX));
        Ok(())
    }
}

/// A snapshot for the next step.
#[derive(Clone, Debug)]
enum Polled {
    /// Of a head to act upon.
    Head(Arc<ChainSnapshot>),
    /// Of a head that is off the clock, by which urgent wins are redeemed and nothing else is done.
    OffClock(Arc<ChainSnapshot>),
}
