//! The payer: opens deposits, writes cheques, follows its deposits through their life.

mod cancel;
pub(crate) mod create;
pub(crate) mod error;
pub(crate) mod event;
mod follow;
pub(crate) mod pay;
mod prune;
pub(crate) mod records;
pub(crate) mod request;
#[cfg(feature = "service")]
mod service;
mod snapshot;
mod state;
mod trees;

pub use create::{Opened, SignedOpening};
pub use error::PayerError;
pub use event::{DepositEvent, PollReport};
pub use pay::Payment;
pub use records::{AllowanceList, DepositRecord, DepositState};
pub use request::{DepositRequest, Draw, Funding, Planned};
#[cfg(feature = "service")]
pub use service::{
    Completed, DepositStatus, ListError, NextList, PayerService, PayerServiceError,
    PayerStepReport, RoundStatus, Rounds, RoundsError,
};

use crate::{
    bank::{cost::NativeRates, reader::Reader, snapshot::SnapshotCache},
    payer::{
        records::{stored_deposit, stored_deposits, stored_list, stored_totals},
        snapshot::{ChainSnapshot, Won},
    },
    protocol::{
        allowance::tree::AllowanceTree, amount::Amount, chain_profile::ChainProfile,
        signature::SigningKey, terms::DepositId,
    },
    store::{Store, async_store::AsyncStore},
    sys::unix_now,
    tx::wallet::Wallet,
};
use alloy_primitives::Address;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::broadcast;

/// The payer stops this many blocks before payees do: its view of the head may be older than theirs.
const MARGIN: u64 = 8;

/// How many events a subscriber may lag behind.
const EVENTS: usize = 1024;

/// How many blocks before the draw the payer writes its last cheque: what the payees want, and a margin.
pub(super) fn cutoff(profile: &ChainProfile) -> u64 {
    let early_seed = profile.early_seed.div_ceil(profile.block_time.max(1));
    profile.cutoff.max(early_seed) + MARGIN
}

/// A payer: one bank, one store, and the keys it has. Cheap to clone; clones share what they know of the chain.
///
/// Everything is in the store before it is visible outside: a deposit's terms and list before `open` is sent, a new total
/// before its cheque is handed out. So a payer can be killed at any moment and started again.
#[derive(Clone, Debug)]
pub struct Payer {
    reader: Reader,
    store: AsyncStore,
    wallet: Option<Wallet>,
    key: Option<SigningKey>,
    rates: NativeRates,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    trees: Mutex<HashMap<DepositId, Arc<AllowanceTree>>>,
    snapshot: SnapshotCache<ChainSnapshot>,
    /// Who has won drawn deposits.
    winners: Mutex<HashMap<DepositId, Won>>,
    /// New deposits take turns, so that two of them do not choose the same purse.
    creating: tokio::sync::Mutex<()>,
    events: broadcast::Sender<DepositEvent>,
}

impl Payer {
    /// A payer that can read, and needs a wallet to open deposits and a key to write cheques.
    pub fn new(reader: Reader, store: Arc<dyn Store>) -> Self {
        Self {
            reader,
            store: AsyncStore::new(store),
            wallet: None,
            key: None,
            rates: NativeRates::default(),
            shared: Arc::new(Shared {
                trees: Mutex::default(),
                snapshot: SnapshotCache::default(),
                winners: Mutex::default(),
                creating: tokio::sync::Mutex::default(),
                events: broadcast::Sender::new(EVENTS),
            }),
        }
    }

    /// The same payer with a wallet for its transactions.
    pub fn with_wallet(mut self, wallet: Wallet) -> Self {
        self.wallet = Some(wallet);
        self
    }

    /// The same payer with a key for its cheques, the one that its deposits name as their signer.
    pub fn with_key(mut self, key: SigningKey) -> Self {
        self.key = Some(key);
        self
    }

    /// The same payer with rates, from which the smallest payout of a token's deposits follows.
    pub fn with_rates(mut self, rates: NativeRates) -> Self {
        self.rates = rates;
        self
    }

    /// What this payer reads the chain with.
    pub const fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The account whose wallet this payer has, and which owns the deposits it opens.
    pub fn wallet_address(&self) -> Option<Address> {
        self.wallet.as_ref().map(Wallet::address)
    }

    /// Who signs this payer's cheques: the address of its key.
    pub fn signer(&self) -> Option<Address> {
        self.key.as_ref().map(SigningKey::address)
    }

    /// How many blocks before a draw the last cheque is written.
    pub fn cutoff(&self) -> u64 {
        cutoff(self.reader.profile())
    }

    /// All deposits in the store, as of the last look at the chain.
    pub async fn deposits(&self) -> Result<Vec<(DepositId, DepositRecord)>, PayerError> {
        Ok(stored_deposits(&self.store, self.reader.bank()).await?)
    }

    /// One deposit, as of the last look at the chain.
    pub async fn deposit(&self, id: DepositId) -> Result<DepositRecord, PayerError> {
        self.record(id).await
    }

    /// How long cheques can still be written, by the chain's usual block time. Zero if the time is over.
    pub async fn estimated_expiry(&self, id: DepositId) -> Result<Duration, PayerError> {
        let record = self.record(id).await?;
        let head = self.fresh_snapshot().await?.head;
        let profile = self.reader.profile();
        let last = record.deposit.drawBlock.saturating_sub(cutoff(profile));
        let blocks = last.saturating_sub(head.number);
        let since_head = unix_now().saturating_sub(head.time);
        let seconds = blocks.saturating_mul(profile.block_time);
        Ok(Duration::from_secs(seconds.saturating_sub(since_head)))
    }

    /// What is left of all allowances of a deposit, in token units.
    pub async fn allowances_left(
        &self,
        id: DepositId,
    ) -> Result<BTreeMap<Address, Amount>, PayerError> {
        let list = stored_list(&self.store, self.reader.bank(), id).await?;
        let list = list.ok_or(PayerError::NoList(id))?;
        let mut left: BTreeMap<_, _> = list.allowances.into_iter().collect();
        for (payee, total) in stored_totals(&self.store, id).await? {
            if let Some(left) = left.get_mut(&payee) {
                *left = left.saturating_sub(total);
            }
        }
        Ok(left)
    }

    /// What all payees were paid from a deposit, in token units.
    pub async fn spent(&self, id: DepositId) -> Result<Amount, PayerError> {
        let totals = stored_totals(&self.store, id).await?;
        // Bounded by the allowances, which add up to the deposit's amount.
        let add = |sum: Amount, (_, total): &(Address, Amount)| sum.checked_add(*total);
        let sum = totals.iter().try_fold(Amount::ZERO, add);
        Ok(sum.unwrap_or(Amount::MAX))
    }

    /// What a payee was paid in all and what is left of its allowance, in token units. `None`: it has no allowance.
    pub async fn last_cheque(
        &self,
        id: DepositId,
        payee: Address,
    ) -> Result<Option<(Amount, Amount)>, PayerError> {
        match self.account(id, payee).await {
            Ok((_, account)) => Ok(Some((account.total(), account.left()))),
            Err(PayerError::UnknownPayee { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The same payer, which leaves the waiting for its transactions to a loop that comes back to them at every block.
    #[cfg(feature = "service")]
    pub(crate) fn without_waiting(mut self) -> Self {
        let impatient = |wallet: Wallet| wallet.with_timeout(Duration::ZERO);
        self.wallet = self.wallet.map(impatient);
        self
    }

    async fn record(&self, id: DepositId) -> Result<DepositRecord, PayerError> {
        let record = stored_deposit(&self.store, self.reader.bank(), id).await?;
        record.ok_or(PayerError::UnknownDeposit(id))
    }
}
