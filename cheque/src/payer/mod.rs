//! The payer: opens deposits, writes cheques, and follows each deposit until its money is paid out or reclaimed.

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
pub use request::{DepositRequest, Draw, Funding, PlannedDeposit};
#[cfg(feature = "service")]
pub use service::{
    Completed, DepositStatus, ListError, NextList, PayerService, PayerServiceError,
    PayerStepReport, RoundStatus, Rounds, RoundsError,
};

use crate::{
    bank::{cost::NativeRates, reader::Reader, snapshot::SnapshotCache},
    payer::{
        records::{stored_deposit, stored_deposits, stored_list, stored_totals},
        snapshot::{ChainSnapshot, KnownWinner},
    },
    protocol::{
        allowance::tree::AllowanceTree, amount::Amount, chain_profile::ChainProfile,
        signature::SigningKey, terms::DepositId,
    },
    store::{async_store::AsyncStore, interface::Store},
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

/// Extra blocks by which the payer stops before payees do: its head may be older than theirs.
const CUTOFF_MARGIN: u64 = 8;

/// Number of events by which a subscriber may lag.
const EVENT_CAPACITY: usize = 1024;

/// Blocks between the last cheque and the draw: the cutoff that payees require, plus a margin.
pub(super) fn cutoff(profile: &ChainProfile) -> u64 {
    let early_seed = profile.early_seed.div_ceil(profile.block_time.max(1));
    profile.cutoff.max(early_seed) + CUTOFF_MARGIN
}

/// A payer: one bank, one store, and optionally a wallet and a signing key. Cheap to clone; clones share one
/// snapshot of the chain.
///
/// The store comes first: a deposit's terms and allowance list are stored before `open` is sent, and a new total
/// is stored before its cheque is returned. The process may therefore be killed at any moment and started again.
///
/// Not checked: payers that use one wallet, or that write cheques for one deposit from different stores, interfere with
/// each other.
///
/// ```no_run
/// use alloy::{network::EthereumWallet, signers::local::PrivateKeySigner};
/// use alloy_primitives::Address;
/// use cheque::{Amount, SigningKey, bank::Reader, node::connect, store::Memory, tx::Wallet};
/// use cheque::payer::{DepositRequest, DepositState, Draw, Payer};
/// use std::{sync::Arc, time::Duration};
///
/// # async fn example(owner: PrivateKeySigner, key: SigningKey, bank: Address, payee: Address)
/// # -> Result<(), Box<dyn std::error::Error>> {
/// let provider = connect("http://127.0.0.1:8545").await?;
/// let reader = Reader::open(provider.clone(), bank).await?;
/// let wallet = Wallet::new(provider, EthereumWallet::from(owner), reader.bank().chain_id());
/// let signer = key.address();
/// let payer = Payer::new(reader, Arc::new(Memory::new())) // `Redb` or `Postgres` outlive the process
///     .with_wallet(wallet)
///     .with_key(key);
///
/// // Open a deposit for one payee, drawn in 300 blocks, and wait until it is confirmed.
/// let allowances = vec![(payee, Amount::new(1_000_000_000_000_000))];
/// let opened = payer.create_deposit(&DepositRequest::new(allowances, signer, Draw::In(300))).await?;
/// while payer.deposit(opened.id).await?.state == DepositState::Pending {
///     tokio::time::sleep(Duration::from_secs(12)).await;
///     let _errors_of_single_deposits = payer.poll().await?.errors;
/// }
///
/// // Pay 5,000 wei off-chain; the proof goes to the payee in a header, say.
/// let payment = payer.write_cheque(opened.id, payee, Amount::new(5_000)).await?;
/// println!("{}", payment.proof);
/// # Ok(()) }
/// ```
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
    /// Winners of drawn deposits.
    winners: Mutex<HashMap<DepositId, KnownWinner>>,
    /// Held while a deposit is planned and stored, so that two new deposits do not choose the same purse.
    creating: tokio::sync::Mutex<()>,
    events: broadcast::Sender<DepositEvent>,
}

impl Payer {
    /// A payer without wallet and key: opening a deposit needs the wallet, writing a cheque the key.
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
                events: broadcast::Sender::new(EVENT_CAPACITY),
            }),
        }
    }

    /// Adds the wallet for transactions.
    #[must_use]
    pub fn with_wallet(mut self, wallet: Wallet) -> Self {
        self.wallet = Some(wallet);
        self
    }

    /// Adds the key for cheques. Deposits name its address as their signer.
    #[must_use]
    pub fn with_key(mut self, key: SigningKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Adds exchange rates, from which the default smallest payout of token deposits follows.
    #[must_use]
    pub fn with_rates(mut self, rates: NativeRates) -> Self {
        self.rates = rates;
        self
    }

    /// The reader of the bank.
    pub const fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Address of the wallet: the owner of the deposits that this payer opens.
    pub fn wallet_address(&self) -> Option<Address> {
        self.wallet.as_ref().map(Wallet::address)
    }

    /// Address of the key: the signer of this payer's cheques.
    pub fn signer(&self) -> Option<Address> {
        self.key.as_ref().map(SigningKey::address)
    }

    /// Blocks between the last cheque and the draw.
    pub fn cutoff(&self) -> u64 {
        cutoff(self.reader.profile())
    }

    /// Lists all deposits in the store. Does not query the node: states are those of the last poll.
    ///
    /// # Errors
    ///
    /// [`PayerError::Stored`] if the store cannot be read.
    pub async fn deposits(&self) -> Result<Vec<(DepositId, DepositRecord)>, PayerError> {
        Ok(stored_deposits(&self.store, self.reader.bank()).await?)
    }

    /// Reads one deposit from the store. Does not query the node: its state is that of the last poll.
    ///
    /// # Errors
    ///
    /// [`PayerError::UnknownDeposit`] if the store lacks it, [`PayerError::Stored`] if the store cannot be read.
    pub async fn deposit(&self, id: DepositId) -> Result<DepositRecord, PayerError> {
        self.record(id).await
    }

    /// Estimates the time left for writing cheques, from the chain's usual block time. Zero once the time is
    /// over.
    ///
    /// # Errors
    ///
    /// [`PayerError::UnknownDeposit`]; errors of the node and of the store.
    pub async fn estimated_expiry(&self, id: DepositId) -> Result<Duration, PayerError> {
        let record = self.record(id).await?;
        let head = self.fresh_snapshot().await?.head;
        let profile = self.reader.profile();
        let end = record.deposit.drawBlock.saturating_sub(cutoff(profile));
        let blocks = end.saturating_sub(head.number);
        let since_head = unix_now().saturating_sub(head.time);
        let seconds = blocks.saturating_mul(profile.block_time);
        Ok(Duration::from_secs(seconds.saturating_sub(since_head)))
    }

    /// Remaining allowance of each payee of a deposit, in token units.
    ///
    /// # Errors
    ///
    /// [`PayerError::NoList`] if the store lacks the deposit's allowance list, [`PayerError::Stored`] if it
    /// cannot be read.
    pub async fn allowances_left(
        &self,
        id: DepositId,
    ) -> Result<BTreeMap<Address, Amount>, PayerError> {
        let list = stored_list(&self.store, self.reader.bank(), id).await?;
        let list = list.ok_or(PayerError::NoList(id))?;
        let mut remaining: BTreeMap<_, _> = list.allowances.into_iter().collect();
        for (payee, total) in stored_totals(&self.store, id).await? {
            if let Some(left) = remaining.get_mut(&payee) {
                *left = left.saturating_sub(total);
            }
        }
        Ok(remaining)
    }

    /// Sum of all payments from a deposit, in token units.
    ///
    /// # Errors
    ///
    /// [`PayerError::Stored`] if the store cannot be read.
    pub async fn spent(&self, id: DepositId) -> Result<Amount, PayerError> {
        let totals = stored_totals(&self.store, id).await?;
        // Bounded by the allowances, whose sum is the deposit's amount.
        let add = |sum: Amount, (_, total): &(Address, Amount)| sum.checked_add(*total);
        let sum = totals.iter().try_fold(Amount::ZERO, add);
        Ok(sum.unwrap_or(Amount::MAX))
    }

    /// Total paid to a payee from a deposit, and the payee's remaining allowance, in token units. `None` if the
    /// payee has no allowance.
    ///
    /// # Errors
    ///
    /// [`PayerError::NoList`] if the store has neither a payment to the payee nor the deposit's allowance list,
    /// [`PayerError::Stored`] if it cannot be read.
    pub async fn spent_and_left(
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

    async fn record(&self, id: DepositId) -> Result<DepositRecord, PayerError> {
        let record = stored_deposit(&self.store, self.reader.bank(), id).await?;
        record.ok_or(PayerError::UnknownDeposit(id))
    }
}
