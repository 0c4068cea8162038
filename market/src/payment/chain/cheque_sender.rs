//! Composing and opening deposits for payments by cheques.

use super::cheque_record::{Opening, SenderRecord};
use crate::compose::{
    error::{ComposeError, OpenedError},
    record::LoadComposerError,
    types::{Changes, Credit, Due},
};
use alloy_primitives::Address;
use cheque::{
    Amount, DepositId,
    bank::{BankError, NativeRate},
    payer::{DepositRequest, DepositState, Payer, PayerError},
    store::{AppChange, AppRecordsError, StoredError},
    tx::Cancellation,
};
use std::{
    collections::BTreeMap,
    num::{NonZeroU64, NonZeroU128},
};
use tokio::sync::Mutex;

/// Terms of the next deposit; see [`ChequeSender::compose`].
#[derive(Clone, Debug)]
pub struct NextDeposit {
    /// Sum of all allowances, in token units.
    pub size: NonZeroU128,
    /// Minimum sum of prior weights.
    pub threshold: NonZeroU64,
    /// Candidates for an allowance, with their prior weights.
    pub priors: BTreeMap<Address, u64>,
    /// Terms of the deposit. The composition replaces payees and token.
    pub request: DepositRequest,
}

/// Progress of a composed deposit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpeningStatus {
    /// No deposit is being opened.
    Idle,
    /// The deposit is not confirmed yet; or the deposit is too late, and its transaction is being cancelled.
    Waiting(DepositId),
    /// The deposit is open: payments can be made from it.
    Opened(DepositId, Changes<Address>),
    /// The deposit was never opened, or is too late for payments. The next can be composed in half an hour.
    Failed(DepositId),
}

/// An error of composing or opening a deposit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChequeSenderError {
    /// The stored record cannot be read.
    #[error(transparent)]
    Load(#[from] LoadComposerError),
    /// The deposit was not composed.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// The outcome of the last composed deposit is unknown, although the composer has abandoned the deposit.
    #[error("deposit {0} may still be opened; call follow first")]
    OpeningUnresolved(DepositId),
    /// The composer does not expect the deposit.
    #[error(transparent)]
    Opened(#[from] OpenedError),
    /// The payer failed.
    #[error(transparent)]
    Payer(#[from] PayerError),
    /// The chain cannot be queried.
    #[error(transparent)]
    Chain(#[from] BankError),
    /// A transaction.
    #[error(transparent)]
    Tx(#[from] cheque::tx::TxError),
    /// The store failed.
    #[error(transparent)]
    Stored(#[from] StoredError),
    /// The composer was changed meanwhile, by another process or by a call that was dropped before its end.
    #[error("the composer was changed meanwhile; try again")]
    Changed,
}

impl From<AppRecordsError> for ChequeSenderError {
    fn from(error: AppRecordsError) -> Self {
        match error {
            AppRecordsError::Stored(error) => error.into(),
            _ => Self::Changed,
        }
    }
}

/// The client's end of payment by cheques: deposits of one payer in one token, divided by a
/// [`Composer`](crate::compose::Composer).
///
/// The composer is a record in the payer's store. It changes in one transaction with the accounts of cheques, before
/// a proof leaves the process, and with the terms of a deposit, before the deposit is opened. So spending and future
/// credit survive a kill at any moment.
///
/// No other program may pay from its deposits. The host runs or polls the payer, calls [`ChequeSender::compose`] when
/// the next deposit is [due](ChequeSender::due), and [`ChequeSender::follow`] after every poll and after a restart.
/// All times are those of the payer's clocks.
#[derive(Debug)]
pub struct ChequeSender {
    pub(super) payer: Payer,
    pub(super) token: Address,
    rate: NativeRate,
    key: Vec<u8>,
    pub(super) state: Mutex<State>,
}

/// The record, and its stored bytes for compare-and-set.
#[derive(Debug)]
pub(super) struct State {
    pub(super) record: SenderRecord,
    pub(super) stored: Option<Vec<u8>>,
}

impl State {
    async fn load(payer: &Payer, key: &[u8]) -> Result<Self, ChequeSenderError> {
        let stored = payer.app_records().get(key).await?;
        let record = stored
            .as_deref()
            .map(SenderRecord::from_bytes)
            .transpose()?;
        Ok(Self {
            record: record.unwrap_or_default(),
            stored,
        })
    }
}

impl ChequeSender {
    /// Loads the record under `key` from the payer's store. `rate` is the value in `token` of the native coin, in
    /// which fees are paid. The payer has a wallet and the key of its deposits.
    ///
    /// # Errors
    ///
    /// [`ChequeSenderError`] if the record cannot be read.
    pub async fn open(
        payer: Payer,
        token: Address,
        rate: NativeRate,
        key: &[u8],
    ) -> Result<Self, ChequeSenderError> {
        let state = State::load(&payer, key).await?;
        Ok(Self {
            payer,
            token,
            rate,
            key: key.to_vec(),
            state: Mutex::new(state),
        })
    }

    /// Returns the payer.
    pub const fn payer(&self) -> &Payer {
        &self.payer
    }

    /// Returns the reason for composing the next deposit: see [`Composer::due`](crate::compose::Composer::due).
    ///
    /// # Errors
    ///
    /// [`ChequeSenderError`] if the payer fails.
    pub async fn due(&self) -> Result<Option<Due>, ChequeSenderError> {
        let now_s = self.now_s().await?;
        Ok(self.state.lock().await.record.composer.due(now_s))
    }

    /// Returns the credit of a payee: see [`Composer::credit`](crate::compose::Composer::credit).
    ///
    /// # Errors
    ///
    /// [`ChequeSenderError`] if the payer fails.
    pub async fn credit(&self, payee: Address) -> Result<Credit, ChequeSenderError> {
        let now_s = self.now_s().await?;
        let state = self.state.lock().await;
        Ok(state.record.composer.credit(&payee, now_s))
    }

    /// Returns the latest of the payer's three clocks, in seconds since 1970: the payer stops writing cheques by it.
    pub(super) async fn now_s(&self) -> Result<u64, PayerError> {
        Ok(self.payer.last_now().await?.latest())
    }

    /// Returns the charged part of the newest deposit's fee: see
    /// [`Composer::charged`](crate::compose::Composer::charged).
    pub async fn charged(&self) -> Option<(u128, u128)> {
        self.state.lock().await.record.composer.charged()
    }

    /// Composes a deposit, opens it, and waits until its transaction is mined. Payments can be made once
    /// [`follow`](Self::follow) returns [`OpeningStatus::Opened`]. Does not check that a deposit is due.
    ///
    /// Terms, payees and composition are stored together before the transaction is sent. After an error or a restart,
    /// `follow` continues from there.
    ///
    /// # Errors
    ///
    /// [`ChequeSenderError::Compose`] if it is too early or there are too few candidates: no deposit was opened.
    /// After any other error the deposit may have been opened.
    pub async fn compose(&self, next: &NextDeposit) -> Result<DepositId, ChequeSenderError> {
        let id = self.prepare(next).await?;
        self.open_deposit(id).await?;
        Ok(id)
    }

    /// Follows a composed deposit, by the payer's last view of the chain, and opens a deposit whose transaction was
    /// never sent, for example after a kill.
    ///
    /// # Errors
    ///
    /// [`ChequeSenderError`]; the next call continues.
    pub async fn follow(&self) -> Result<OpeningStatus, ChequeSenderError> {
        let now_s = self.now_s().await?;
        let mut state = self.state.lock().await;
        let Some(opening) = state.record.opening else {
            return Ok(OpeningStatus::Idle);
        };
        let id = opening.deposit;
        let record = self.payer.deposit(id).await?;
        let confirm_s = self.payer.reader().profile().confirm;
        let active_from_s = now_s.saturating_add(confirm_s);
        match record.state {
            // The deposit would lock its money without allowing a cheque. Its transaction blocks later nonces of the
            // wallet until its own nonce is used.
            DepositState::Pending if active_from_s >= self.payer.end_time(&record.deposit) => {
                drop(state);
                let _stands = self.payer.cancel_opening(id).await?;
                Ok(OpeningStatus::Waiting(id))
            }
            DepositState::Pending => {
                // Payments continue meanwhile.
                drop(state);
                match self.open_deposit(id).await {
                    Ok(()) | Err(ChequeSenderError::Payer(PayerError::IsOpen(_))) => {
                        Ok(OpeningStatus::Waiting(id))
                    }
                    Err(error) => Err(error),
                }
            }
            DepositState::Active => {
                let mut next = state.record.clone();
                let end_s = self.payer.end_time(&record.deposit);
                let Opening { round, fee, .. } = opening;
                let changes = next.composer.opened(round, id.0.0, fee, end_s)?;
                next.opening = None;
                self.store_record(&mut state, next).await?;
                Ok(OpeningStatus::Opened(id, changes))
            }
            other => {
                if other == DepositState::NeverOpened {
                    drop(state);
                    match self.payer.cancel_opening(id).await? {
                        Cancellation::Nothing => state = self.state.lock().await,
                        _ => return Ok(OpeningStatus::Waiting(id)),
                    }
                }
                if state.record.opening != Some(opening) {
                    // Another call has finished first.
                    return Ok(OpeningStatus::Failed(id));
                }
                let mut next = state.record.clone();
                next.composer.failed(opening.round, now_s)?;
                next.opening = None;
                self.store_record(&mut state, next).await?;
                Ok(OpeningStatus::Failed(id))
            }
        }
    }

    /// Stores the next composition together with its deposit.
    async fn prepare(&self, next: &NextDeposit) -> Result<DepositId, ChequeSenderError> {
        let now_s = self.now_s().await?;
        let mut state = self.state.lock().await;
        let mut next_record = state.record.clone();
        next_record.composer.prune(now_s);
        let candidates = next.priors.keys().copied();
        let prior = |id: &Address| next.priors.get(id).copied().unwrap_or_default();
        let composed =
            next_record
                .composer
                .compose(next.size, next.threshold, candidates, prior, now_s);
        let composition = match composed {
            Ok(composition) => composition,
            Err(error) => {
                // Store the time of the next attempt.
                self.store_record(&mut state, next_record).await?;
                return Err(error.into());
            }
        };
        if let Some(opening) = state.record.opening {
            return Err(ChequeSenderError::OpeningUnresolved(opening.deposit));
        }
        let allowances = composition.allowances.iter();
        let request = DepositRequest {
            allowances: allowances
                .map(|(payee, amount)| (*payee, Amount::new(*amount)))
                .collect(),
            token: self.token,
            ..next.request.clone()
        };
        let fee = self.expected_fee(&request).await?;
        let old = state.stored.clone();
        let prepared = self.payer.prepare_deposit_with(&request, |planned| {
            next_record.opening = Some(Opening {
                round: composition.round,
                deposit: planned.id,
                fee,
            });
            self.change(old, &next_record)
        });
        let planned = match prepared.await {
            Ok(planned) => planned,
            Err(PayerError::AppConflict) => return Err(self.outdated(&mut state).await),
            Err(error) => return Err(error.into()),
        };
        state.stored = Some(next_record.to_bytes());
        state.record = next_record;
        Ok(planned.id)
    }

    /// Returns the maximum cost of opening the deposit, in token units. It counts as the fee until the real cost is
    /// known, or for good if a kill hides the real cost.
    async fn expected_fee(&self, request: &DepositRequest) -> Result<u128, ChequeSenderError> {
        let sender = self.payer.wallet().ok_or(PayerError::NoWallet)?;
        let call = self.payer.plan_deposit(request, None).await?.call;
        let max = sender.estimate(&call).await?.max_cost;
        let fee = max.saturating_sub(call.value);
        Ok(self.rate.units_up(fee).get())
    }

    /// Sends or resumes the transaction that opens a prepared deposit, and records its cost.
    async fn open_deposit(&self, id: DepositId) -> Result<(), ChequeSenderError> {
        let opened = self.payer.open(id).await?;
        let fee = self.rate.units_up(opened.tx.fee);
        let mut state = self.state.lock().await;
        let mut next = state.record.clone();
        match &mut next.opening {
            Some(opening) if opening.deposit == id => opening.fee = fee.get(),
            // Another call has opened or abandoned the deposit.
            _ => return Ok(()),
        }
        self.store_record(&mut state, next).await
    }

    pub(super) async fn store_record(
        &self,
        state: &mut State,
        next: SenderRecord,
    ) -> Result<(), ChequeSenderError> {
        let change = self.change(state.stored.clone(), &next);
        match self.payer.app_records().change(&change).await {
            Ok(()) => {}
            Err(AppRecordsError::Conflict) => return Err(self.outdated(state).await),
            Err(error) => return Err(error.into()),
        }
        state.stored = change.new;
        state.record = next;
        Ok(())
    }

    /// Replaces the state by the stored record.
    pub(super) async fn reload(&self, state: &mut State) -> Result<(), ChequeSenderError> {
        *state = State::load(&self.payer, &self.key).await?;
        Ok(())
    }

    async fn outdated(&self, state: &mut State) -> ChequeSenderError {
        match self.reload(state).await {
            Ok(()) => ChequeSenderError::Changed,
            Err(error) => error,
        }
    }

    pub(super) fn change(&self, old: Option<Vec<u8>>, next: &SenderRecord) -> AppChange {
        AppChange {
            key: self.key.clone(),
            old,
            new: Some(next.to_bytes()),
        }
    }
}
