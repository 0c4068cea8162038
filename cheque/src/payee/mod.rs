//! The payee: judges payments against a live view of the chain, keeps what it was paid, and cashes what it wins.

mod chain_view;
pub(crate) mod error;
mod exposure;
pub(crate) mod external_store;
pub(crate) mod pending;
pub(crate) mod positions;
pub(crate) mod receive;
pub(crate) mod redeem;
#[cfg(feature = "service")]
mod service;
mod snapshot;
mod transactions;
mod unknown_deposits;

pub use error::ReceiveError;
pub use external_store::Judged;
pub use pending::{PendingTx, Purpose, Submitted};
pub use positions::{PositionCache, PositionCacheError, Replaced, StoredPosition};
pub use receive::Accepted;
pub use redeem::{PlannedRedemption, RedeemOptions};
#[cfg(feature = "service")]
pub use service::{
    HoldingChange, HoldingState, HoldingStatus, LastError, MissReason, PayeeService,
    PayeeServiceError, PayeeSettings, PayeeStepReport, Plan, RedeemableWin, WaitReason, Waiting,
    plan,
};

use crate::{
    bank::{cost::NativeRates, reader::Reader, snapshot::SnapshotCache},
    payee::{
        exposure::ExposureIndex,
        positions::{stored_position, stored_positions, stored_positions_of},
        snapshot::ChainSnapshot,
        unknown_deposits::UnknownDepositLimiter,
    },
    protocol::{
        receive::{judge::PositionKey, policy::Policy, position::Position},
        signature::SigningKey,
        terms::DepositId,
    },
    store::{
        Store,
        async_store::{AsyncStore, StoredError},
    },
    tx::wallet::Wallet,
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::OnceCell;

/// A payee: one bank, one policy, one store. Cheap to clone; clones share what they know of the chain.
///
/// A payment is on disk before [`Payee::receive_payment`] returns. So a payee can be killed at any moment and started
/// again, and a payment that is shown twice, even at once, is counted once.
#[derive(Clone, Debug)]
pub struct Payee {
    reader: Reader,
    policy: Policy,
    store: AsyncStore,
    rates: NativeRates,
    wallet: Option<Wallet>,
    key: Option<SigningKey>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    view: SnapshotCache<ChainSnapshot>,
    /// Those of late, so that a payment is one write and no read.
    positions: PositionCache,
    /// The deposits in the store.
    book: OnceCell<Mutex<ExposureIndex>>,
    /// First payments take turns, so that two of them cannot both just fit under the limit of exposure.
    opening: Arc<tokio::sync::Mutex<()>>,
    unknown_deposits: UnknownDepositLimiter,
}

impl Payee {
    /// A payee that takes what `policy` accepts of the reader's bank. It takes tokens only with [`Payee::with_rates`],
    /// and redeems only with [`Payee::with_wallet`].
    pub fn new(reader: Reader, mut policy: Policy, store: Arc<dyn Store>) -> Self {
        // The view of one chain says nothing about another.
        policy.banks.retain(|bank| bank == reader.bank());
        Self {
            reader,
            policy,
            store: AsyncStore::new(store),
            rates: NativeRates::default(),
            wallet: None,
            key: None,
            shared: Arc::default(),
        }
    }

    /// The same payee with rates, without which it takes no tokens.
    pub fn with_rates(mut self, rates: NativeRates) -> Self {
        self.rates = rates;
        self
    }

    /// The same payee with a wallet for its transactions: its own, or a relayer's.
    pub fn with_wallet(mut self, wallet: Wallet) -> Self {
        self.wallet = Some(wallet);
        self
    }

    /// The same payee with its key, to consent to what another account sends for it.
    pub fn with_key(mut self, key: SigningKey) -> Self {
        self.key = Some(key);
        self
    }

    /// What this payee reads the chain with.
    pub const fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The wallet for its transactions, if it has one.
    pub const fn wallet(&self) -> Option<&Wallet> {
        self.wallet.as_ref()
    }

    /// What it takes tokens to be worth.
    pub const fn rates(&self) -> &NativeRates {
        &self.rates
    }

    /// What this payee accepts.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Everything the payee holds: for each deposit its terms, the newest cheque and what was credited.
    pub async fn positions(&self) -> Result<Vec<Position>, StoredError> {
        self.positions_of(|_| true).await
    }

    /// Of everything the payee holds, the deposits that are `wanted`. The others cost little.
    pub async fn positions_of(
        &self,
        wanted: impl Fn(DepositId) -> bool + Send + 'static,
    ) -> Result<Vec<Position>, StoredError> {
        let (bank, payee) = (*self.reader.bank(), self.policy.payee);
        let positions = stored_positions_of(&self.store, bank.address(), payee, wanted);
        let mut positions = positions.await?;
        positions.retain(|position| *position.bank() == bank);
        Ok(positions)
    }

    /// What the payee holds of one deposit.
    pub async fn holding(&self, id: DepositId) -> Result<Option<Position>, StoredError> {
        stored_position(&self.store, self.position_key(id)).await
    }

    const fn position_key(&self, deposit: DepositId) -> PositionKey {
        PositionKey {
            bank: self.reader.bank().address(),
            deposit,
            payee: self.policy.payee,
        }
    }

    /// The deposits in the store, read once and kept up to date.
    async fn book(&self) -> Result<MutexGuard<'_, ExposureIndex>, StoredError> {
        let load = || async {
            let (bank, payee) = (*self.reader.bank(), self.policy.payee);
            let read = move |position: Position| {
                let mine = position.payee() == payee && *position.bank() == bank;
                mine.then(|| (position.deposit_id(), position.deposit().clone()))
            };
            let mut book = ExposureIndex::default();
            for (id, terms) in stored_positions(&self.store, bank.address(), read)
                .await?
                .iter()
                .flatten()
            {
                book.insert(*id, terms);
            }
            Ok::<_, StoredError>(Mutex::new(book))
        };
        let book = self.shared.book.get_or_try_init(load).await?;
        Ok(book.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
