//! Paying by cheques from deposits that a composer divides.

use super::cheque_record::{Kept, Opening};
use crate::compose::{Changes, ComposeError, Credit, Due, LoadComposerError, OpenedError};
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

/// What the next deposit is to be; see [`ChequeSender::compose`].
#[derive(Clone, Debug)]
pub struct NextDeposit {
    /// The sum of all allowances, in token units.
    pub size: NonZeroU128,
    /// The least sum of prior weights.
    pub threshold: NonZeroU64,
    /// Who may be given an allowance, and with what prior weight.
    pub priors: BTreeMap<Address, u64>,
    /// Its terms. Payees and token are replaced by those of the composition.
    pub request: DepositRequest,
}

/// What became of a composed deposit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Followed {
    /// None is being opened.
    Nothing,
    /// It is not confirmed yet; or it is too late for it, and the transaction that was to open it is being cancelled.
    Waiting(DepositId),
    /// Payments can be made from it from now on.
    Opened(DepositId, Changes<Address>),
    /// It was never opened, or it is too late to pay from it. The next can be composed in half an hour.
    Failed(DepositId),
}

/// Why a composed deposit did not get further.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChequeSenderError {
    /// What was stored cannot be read.
    #[error(transparent)]
    Load(#[from] LoadComposerError),
    /// It was not composed.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// What became of the last composed deposit is not known yet, though it took so long that the composer has given it up.
    #[error("deposit {0} may still be opened: follow it first")]
    Following(DepositId),
    /// The composer is being told about a deposit that it does not expect.
    #[error(transparent)]
    Opened(#[from] OpenedError),
    /// The payer.
    #[error(transparent)]
    Payer(#[from] PayerError),
    /// The chain.
    #[error(transparent)]
    Chain(#[from] BankError),
    /// A transaction.
    #[error(transparent)]
    Tx(#[from] cheque::tx::TxError),
    /// The store.
    #[error(transparent)]
    Stored(#[from] StoredError),
    /// The composer was changed meanwhile: by another process, or by a call that was dropped before it ended.
    #[error("the composer was changed meanwhile: try again")]
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
/// The composer is a record in the payer's store. It changes in one transaction with the accounts that cheques are
/// written from, before a proof leaves, and with the terms of a deposit before that is opened. So what was spent, and what
/// that means for the next deposit, survives a kill at any moment.
///
/// Nobody else may pay from its deposits. The host polls the payer or lets it run, calls [`ChequeSender::compose`] when
/// the next deposit is [due](ChequeSender::due), and [`ChequeSender::follow`] at every block and after a restart.
#[derive(Debug)]
pub struct ChequeSender {
    pub(super) payer: Payer,
    pub(super) token: Address,
    rate: NativeRate,
    key: Vec<u8>,
    pub(super) state: Mutex<State>,
}

/// What is in the store, and its bytes, by which it is replaced.
#[derive(Debug)]
pub(super) struct State {
    pub(super) kept: Kept,
    pub(super) stored: Option<Vec<u8>>,
}

impl State {
    async fn load(payer: &Payer, key: &[u8]) -> Result<Self, ChequeSenderError> {
        let stored = payer.host_records().get(key).await?;
        let kept = stored.as_deref().map(Kept::from_bytes).transpose()?;
        Ok(Self {
            kept: kept.unwrap_or_default(),
            stored,
        })
    }
}

impl ChequeSender {
    /// Goes on from what is stored under `key` in the payer's store. `rate` says what the native coin, in which fees are
    /// paid, is worth in `token`. The payer has a wallet and the key of its deposits.
    ///
    /// # Errors
    ///
    /// If the record cannot be read.
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

    /// The payer.
    pub const fn payer(&self) -> &Payer {
        &self.payer
    }

    /// Whether and why to compose the next deposit: see [`Composer::due`](crate::compose::Composer::due).
    pub async fn due(&self, now_s: u64) -> Result<Option<Due>, ChequeSenderError> {
        let head = self.payer.last_head().await?.number;
        Ok(self.state.lock().await.kept.composer.due(head, now_s))
    }

    /// What can be paid to a payee: see [`Composer::credit`](crate::compose::Composer::credit).
    pub async fn credit(&self, payee: Address) -> Result<Credit, ChequeSenderError> {
        let head = self.payer.last_head().await?.number;
        Ok(self.state.lock().await.kept.composer.credit(&payee, head))
    }

    /// What of the newest deposit's fee is charged: see [`Composer::charged`](crate::compose::Composer::charged).
    pub async fn charged(&self) -> Option<(u128, u128)> {
        self.state.lock().await.kept.composer.charged()
    }

    /// Composes a deposit, opens it, and waits until its transaction is mined. Payments can be made from it once
    /// [`follow`](Self::follow) says so. Whether one is due is not checked.
    ///
    /// Terms, list of payees and composition are stored together before anything is sent. After an error, and after a
    /// restart, `follow` finds out what became of the deposit, and goes on with it.
    ///
    /// # Errors
    ///
    /// [`ChequeSenderError::Compose`] where it is too early, or there are too few to choose from. Then nothing was opened;
    /// after others it may have been.
    pub async fn compose(
        &self,
        next: &NextDeposit,
        now_s: u64,
    ) -> Result<DepositId, ChequeSenderError> {
        let id = self.prepare(next, now_s).await?;
        self.pay_for(id).await?;
        Ok(id)
    }

    /// Finds out what became of a composed deposit, as of the payer's last look at the chain, and opens one that never
    /// was, after a kill, say.
    ///
    /// # Errors
    ///
    /// [`ChequeSenderError`]; the next call goes on.
    pub async fn follow(&self, now_s: u64) -> Result<Followed, ChequeSenderError> {
        let head = self.payer.last_head().await?.number;
        let mut state = self.state.lock().await;
        let Some(opening) = state.kept.opening else {
            return Ok(Followed::Nothing);
        };
        let id = opening.deposit;
        let record = self.payer.deposit(id).await?;
        let confirmations = self.payer.reader().profile().confirmations;
        let active_from = head.saturating_add(confirmations);
        match record.state {
            // It would lock its money, and no cheque could be written from it. What was sent to open it holds up everything
            // that the wallet sends later, until its nonce is used.
            DepositState::Pending if active_from >= self.payer.end_block(&record.deposit) => {
                drop(state);
                let _stands = self.payer.cancel_opening(id).await?;
                Ok(Followed::Waiting(id))
            }
            DepositState::Pending => {
                // Payments go on meanwhile.
                drop(state);
                match self.pay_for(id).await {
                    Ok(()) | Err(ChequeSenderError::Payer(PayerError::IsOpen(_))) => {
                        Ok(Followed::Waiting(id))
                    }
                    Err(error) => Err(error),
                }
            }
            DepositState::Active => {
                let mut next = state.kept.clone();
                let end_block = self.payer.end_block(&record.deposit);
                let Opening { round, fee, .. } = opening;
                let changes = next.composer.opened(round, id.0.0, fee, end_block)?;
                next.opening = None;
                self.keep(&mut state, next).await?;
                Ok(Followed::Opened(id, changes))
            }
            other => {
                if other == DepositState::NeverOpened {
                    drop(state);
                    match self.payer.cancel_opening(id).await? {
                        Cancellation::Nothing => state = self.state.lock().await,
                        _ => return Ok(Followed::Waiting(id)),
                    }
                }
                if state.kept.opening != Some(opening) {
                    // Another call was faster.
                    return Ok(Followed::Failed(id));
                }
                let mut next = state.kept.clone();
                next.composer.failed(opening.round, now_s)?;
                next.opening = None;
                self.keep(&mut state, next).await?;
                Ok(Followed::Failed(id))
            }
        }
    }

    /// Stores the next composition and the deposit that it becomes, together.
    async fn prepare(
        &self,
        next: &NextDeposit,
        now_s: u64,
    ) -> Result<DepositId, ChequeSenderError> {
        let head = self.payer.last_head().await?.number;
        let mut state = self.state.lock().await;
        let mut kept = state.kept.clone();
        kept.composer.prune(head);
        let candidates = next.priors.keys().copied();
        let prior = |id: &Address| next.priors.get(id).copied().unwrap_or_default();
        let composed = kept
            .composer
            .compose(next.size, next.threshold, candidates, prior, now_s);
        let composition = match composed {
            Ok(composition) => composition,
            Err(error) => {
                // When to try again is remembered.
                self.keep(&mut state, kept).await?;
                return Err(error.into());
            }
        };
        if let Some(opening) = state.kept.opening {
            return Err(ChequeSenderError::Following(opening.deposit));
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
            kept.opening = Some(Opening {
                round: composition.round,
                deposit: planned.id,
                fee,
            });
            self.change(old, &kept)
        });
        let planned = match prepared.await {
            Ok(planned) => planned,
            Err(PayerError::HostConflict) => return Err(self.outdated(&mut state).await),
            Err(error) => return Err(error.into()),
        };
        state.stored = Some(kept.to_bytes());
        state.kept = kept;
        Ok(planned.id)
    }

    /// What opening the deposit would cost at most, in token units: what its fee is taken for until it has cost something,
    /// and if that is never known because the process was killed.
    async fn expected_fee(&self, request: &DepositRequest) -> Result<u128, ChequeSenderError> {
        let sender = self.payer.wallet().ok_or(PayerError::NoWallet)?;
        let call = self.payer.plan_deposit(request, None).await?.call;
        let most = sender.estimate(&call).await?.max_cost;
        let fee = most.saturating_sub(call.value);
        Ok(self.rate.units_up(fee).get())
    }

    /// Sends the transaction that opens a prepared deposit, or goes on with it, and keeps what it cost.
    async fn pay_for(&self, id: DepositId) -> Result<(), ChequeSenderError> {
        let opened = self.payer.open(id).await?;
        let fee = self.rate.units_up(opened.sent.fee);
        let mut state = self.state.lock().await;
        let mut next = state.kept.clone();
        match &mut next.opening {
            Some(opening) if opening.deposit == id => opening.fee = fee.get(),
            // It is open, or given up, by a call that was faster.
            _ => return Ok(()),
        }
        self.keep(&mut state, next).await
    }

    pub(super) async fn keep(
        &self,
        state: &mut State,
        next: Kept,
    ) -> Result<(), ChequeSenderError> {
        let change = self.change(state.stored.clone(), &next);
        match self.payer.host_records().change(&change).await {
            Ok(()) => {}
            Err(AppRecordsError::Conflict) => return Err(self.outdated(state).await),
            Err(error) => return Err(error.into()),
        }
        state.stored = change.new;
        state.kept = next;
        Ok(())
    }

    /// Takes over what is stored.
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

    pub(super) fn change(&self, old: Option<Vec<u8>>, next: &Kept) -> AppChange {
        AppChange {
            key: self.key.clone(),
            old,
            new: Some(next.to_bytes()),
        }
    }
}
