//! The payee's service: follows every deposit that it holds a cheque of, and cashes what it wins.

mod execute;
mod holdings;
mod observation;
mod plan;
mod report;
mod scan;
mod settings;
mod state;
mod track;

pub use plan::{Plan, RedeemableWin, WaitReason, Waiting, plan};
pub use report::{HoldingChange, HoldingStatus, LastError, PayeeServiceError, PayeeStepReport};
pub use settings::PayeeSettings;
pub use state::{HoldingState, MissReason};

use crate::{
    bank::error::BankError,
    bank::{cost::GasPrices, head::Head, heads::Follower},
    payee::{Payee, error::ReceiveError, receive::Accepted, service::holdings::Holdings},
    protocol::proof::Proof,
    service::{health::Health, health_tracker::HealthTracker, metrics as names},
    store::async_store::StoredError,
};
use alloy_primitives::Address;
use metrics::{counter, gauge};
use std::{
    future::Future,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{sync::watch, time::Instant};

/// A payee that runs for months. Cheap to clone; clones are the same service.
///
/// It keeps a fresh view of the chain, so that payments do not wait for the node; computes every draw once its block is deep
/// enough; redeems wins by the live gas price, several at once where that pays; and looks after its transactions until
/// they are deep in the chain. All that it knows follows from the store and the chain, so it can be killed at any moment,
/// and catches up on what happened meanwhile.
///
/// One service at a time cashes for a payee: two of them would send the same redemption twice, and the second one would
/// cost gas for nothing.
#[derive(Clone, Debug)]
pub struct PayeeService {
    payee: Payee,
    settings: PayeeSettings,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    holdings: Mutex<Holdings>,
    vitals: Mutex<HealthTracker>,
    stepping: tokio::sync::Mutex<()>,
    recalled: tokio::sync::OnceCell<()>,
}

impl PayeeService {
    /// A service that has not looked at anything yet. Without a wallet it follows, and redeems nothing.
    pub fn new(payee: Payee, settings: PayeeSettings) -> Self {
        Self {
            payee,
            settings,
            shared: Arc::default(),
        }
    }

    /// The payee.
    pub const fn payee(&self) -> &Payee {
        &self.payee
    }

    /// Takes over from the store which head was seen last, so that no payment is taken by a much older one. Payments and
    /// [`PayeeService::run`] do so first; call it where a store that cannot be read has to show before anything begins.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub async fn recall(&self) -> Result<(), StoredError> {
        let recalled = &self.shared.recalled;
        let recall = || async { self.payee.follower().recall().await };
        recalled.get_or_try_init(recall).await?;
        Ok(())
    }

    /// Judges a payment and keeps it, as [`Payee::receive_payment`] does, and counts it.
    pub async fn receive_payment(
        &self,
        from: Option<Address>,
        proof: &Proof,
    ) -> Result<Accepted, ReceiveError> {
        let received = async {
            self.recall().await?;
            self.payee.receive_payment(from, proof).await
        };
        let received = received.await;
        match &received {
            Ok(_) => counter!(names::PAYEE_PAYMENTS).increment(1),
            Err(error) => {
                let reason = match error {
                    ReceiveError::Rejected(rejection) => rejection.code(),
                    ReceiveError::Bank(_) => "chain",
                    ReceiveError::Stored(_) => "store",
                };
                counter!(names::PAYEE_REFUSED, "reason" => reason).increment(1);
            }
        }
        received
    }

    /// Looks at every block and does what is to be done, until `stop` resolves; then it finishes the step in hand. Whatever
    /// fails is logged, shown in [`PayeeService::status`] and [`PayeeService::health`], and tried again.
    pub async fn run(&self, stop: impl Future<Output = ()>) -> Result<(), PayeeServiceError> {
        let mut stop = pin!(stop);
        let (looks, mut look) = watch::channel(None);
        // Apart from the work, which may take longer than a block, and payments need the view.
        let view = async {
            let mut follower = self.payee.follower();
            loop {
                if let Err(error) = self.follow_on(&mut follower, &looks).await {
                    self.look_failed(&error.into());
                }
            }
        };
        let work = async {
            loop {
                tokio::select! {
                    biased;
                    () = &mut stop => return,
                    changed = look.changed() => if changed.is_err() { return },
                }
                let seen = *look.borrow_and_update();
                if let Some((head, prices)) = seen
                    && let Err(error) = self.step_at(head, &prices).await
                {
                    self.step_failed(&error);
                }
            }
        };
        tokio::select! {
            () = view => {}
            () = work => {}
        }
        Ok(())
    }

    /// Waits for news of the chain, and looks at it.
    async fn follow_on(
        &self,
        follower: &mut Follower,
        looks: &watch::Sender<Option<(Head, GasPrices)>>,
    ) -> Result<(), ReceiveError> {
        let (new, reorganised) = follower.next::<ReceiveError>().await?;
        if let Some(error) = reorganised {
            self.look_failed(&ReceiveError::from(BankError::from(error)).into());
        }
        let seen = self.payee.poll().await?;
        self.saw(seen.0);
        looks.send_replace(Some(seen));
        Ok(follower.done(&new).await?)
    }

    /// One turn: looks at the chain and the store, and does what is to be done now. Waits for no transaction. What fails for
    /// one deposit is part of its status, and does not hold up the others.
    pub async fn step(&self) -> Result<PayeeStepReport, PayeeServiceError> {
        let (head, prices) = match self.payee.poll().await {
            Ok(seen) => seen,
            Err(error) => {
                let error = error.into();
                self.look_failed(&error);
                return Err(error);
            }
        };
        self.saw(head);
        let stepped = self.step_at(head, &prices).await;
        if let Err(error) = &stepped {
            self.step_failed(error);
        }
        stepped
    }

    /// Looks like [`PayeeService::step`], but sends nothing and forgets nothing.
    pub async fn look(&self) -> Result<PayeeStepReport, PayeeServiceError> {
        let (head, prices) = self.payee.poll().await?;
        self.saw(head);
        let _one_at_a_time = self.shared.stepping.lock().await;
        let (look, _) = self.observe(head, &prices).await?;
        Ok(self.keep(look))
    }

    /// How the service is. It is well while it sees the chain and goes through its deposits; what single ones wait for is in
    /// [`PayeeService::status`].
    pub fn health(&self) -> Health {
        let limit = HealthTracker::limit(self.payee.reader().profile());
        self.vitals().health(Instant::now(), limit)
    }

    async fn step_at(
        &self,
        head: Head,
        prices: &GasPrices,
    ) -> Result<PayeeStepReport, PayeeServiceError> {
        let _one_at_a_time = self.shared.stepping.lock().await;
        let (mut look, plan) = self.observe(head, prices).await?;
        self.act(&mut look, plan, prices).await;
        let stepped = self.keep(look);
        if let Err(error) = self.count_stuck(head.number).await {
            tell("count", &error);
            self.vitals().failed(error.to_string());
        }
        self.forget_old(head.number).await?;
        self.vitals().stepped(head.hash, Instant::now());
        Ok(stepped)
    }

    /// Remembers that the chain was seen.
    fn saw(&self, head: Head) {
        self.vitals().saw(head, Instant::now());
        gauge!(names::PAYEE_HEAD).set(u32::try_from(head.number).unwrap_or(u32::MAX));
    }

    /// Remembers that a look at the chain has failed.
    fn look_failed(&self, error: &PayeeServiceError) {
        self.vitals().look_failed(error.to_string());
        tell("view", error);
    }

    /// Remembers that a step has failed for all deposits.
    fn step_failed(&self, error: &PayeeServiceError) {
        self.vitals().step_failed(error.to_string());
        tell("step", error);
    }

    fn vitals(&self) -> MutexGuard<'_, HealthTracker> {
        let vitals = self.shared.vitals.lock();
        vitals.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts and logs what concerns all deposits.
fn tell(step: &'static str, error: &PayeeServiceError) {
    counter!(names::PAYEE_ERRORS, "step" => step).increment(1);
    tracing::warn!(event = "step_failed", step, reason = %error);
}
