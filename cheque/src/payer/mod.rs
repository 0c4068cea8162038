//! The payer: opens deposits, writes cheques, and follows each deposit until its money is paid out or reclaimed.

mod allowance_list;
mod cancel;
pub(crate) mod create;
mod cutoff;
mod draw;
pub(crate) mod error;
pub(crate) mod event;
mod expiry;
mod follow;
mod held;
mod lanes;
mod memory;
mod named_payees;
mod names;
mod past;
pub(crate) mod pay;
mod prune;
pub(crate) mod records;
pub(crate) mod request;
#[cfg(feature = "service")]
mod service;
mod snapshot;
mod spent;
mod state;
mod stored;
mod task;
mod times;
mod trees;
mod undrawn;

pub use allowance_list::AllowanceList;
pub use create::{Opened, SignedOpening};
pub use error::PayerError;
pub use event::{DepositEvent, PollReport};
pub use names::{PayeeName, PayeeNameError};
pub use pay::{
    MAX_PRUNED_RECEIPTS, NamedPayment, Payment, PaymentName, PaymentNameError, PreviewedPart,
    RECEIPT_RETENTION,
};
pub use records::{DepositRecord, DepositState, DrawResult, OpenAt};
pub use request::{DepositRequest, Draw, Funding, PlannedDeposit};
#[cfg(feature = "service")]
pub use service::{
    Completed, DepositStatus, ListError, NextList, PayerService, PayerServiceError,
    PayerStepReport, RoundList, RoundStatus, Rounds, RoundsError,
};

use crate::{
    bank::{due_rounds::DueRounds, rates::TokenRates, reader::Reader, seeds::SeedBook},
    beacon::BeaconClient,
    payer::{
        cutoff::default_cutoff,
        memory::{Memory, SpentTotals},
        snapshot::ChainSnapshot,
        stored::{stored_deposit, stored_deposits, stored_list, stored_totals},
        trees::Trees,
        undrawn::is_undrawn,
    },
    protocol::{
        allowance::tree::AllowanceTree, amount::Amount, signature::SigningKey, terms::DepositId,
    },
    single_flight::SingleFlight,
    store::{async_store::AsyncStore, interface::Store},
    tx::wallet::Wallet,
};
use alloy_primitives::Address;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use tokio::sync::broadcast;

/// Number of events by which a subscriber may lag.
const EVENT_CAPACITY: usize = 1024;

/// A payer: one bank, one store, and optionally a wallet, a signing key and a client of the bank's beacon. Cheap to
/// clone; clones share one snapshot of the chain.
///
/// Cheques are written by the latest of three clocks: the machine's, the newest block's and the newest verified
/// round's. Without a client of the beacon, no cheque is written on a chain whose profile checks the clocks.
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
/// use cheque::{Amount, SigningKey, bank::Reader, beacon::BeaconClient, node::connect, store::Memory, tx::Wallet};
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
///     .with_beacon(BeaconClient::quicknet()?)?
///     .with_wallet(wallet)
///     .with_key(key);
///
/// // Open a deposit for one payee, drawn in an hour, and wait until it is confirmed.
/// let allowances = vec![(payee, Amount::new(1_000_000_000_000_000))];
/// let opened = payer.create_deposit(&DepositRequest::new(allowances, signer, Draw::In(3_600))).await?;
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
    rates: TokenRates,
    seeds: SeedBook,
    /// Seconds between the last cheque and the draw.
    cutoff: u64,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    trees: Trees,
    snapshot: SingleFlight<ChainSnapshot, PayerError>,
    memory: Mutex<Memory>,
    spent: SpentTotals,
    due_rounds: DueRounds,
    /// Held while a deposit is planned and stored, so that two new deposits do not choose the same purse.
    creating: tokio::sync::Mutex<()>,
    events: broadcast::Sender<DepositEvent>,
}

impl Payer {
    /// A payer without wallet, key and beacon: opening a deposit needs the wallet, writing a cheque the key and the
    /// beacon.
    pub fn new(reader: Reader, store: Arc<dyn Store>) -> Self {
        let store = AsyncStore::new(store);
        Self {
            seeds: SeedBook::without_client(reader.beacon().clone(), store.clone()),
            cutoff: default_cutoff(
                reader.profile().freshness.as_ref(),
                reader.beacon().period(),
            ),
            reader,
            store,
            wallet: None,
            key: None,
            rates: TokenRates::new(),
            shared: Arc::new(Shared {
                trees: Trees::default(),
                snapshot: SingleFlight::default(),
                memory: Mutex::default(),
                spent: SpentTotals::default(),
                due_rounds: DueRounds::default(),
                creating: tokio::sync::Mutex::default(),
                events: broadcast::Sender::new(EVENT_CAPACITY),
            }),
        }
    }

    /// Adds the wallet for transactions. Its fees and pauses are those of the reader's chain.
    #[must_use]
    pub fn with_wallet(mut self, wallet: Wallet) -> Self {
        self.wallet = Some(wallet.with_profile(self.reader.profile()));
        self
    }

    /// Adds the key for cheques. Deposits name its address as their signer.
    #[must_use]
    pub fn with_key(mut self, key: SigningKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Adds the client of the bank's beacon, for the third clock and for draws.
    ///
    /// # Errors
    ///
    /// [`PayerError::Seed`] if the client follows another beacon than the bank.
    pub fn with_beacon(mut self, client: BeaconClient) -> Result<Self, PayerError> {
        let beacon = self.reader.beacon().clone();
        self.seeds = SeedBook::new(beacon, Some(client), self.store.clone())?;
        Ok(self)
    }

    /// Adds exchange rates, from which the default smallest payout of token deposits follows.
    #[must_use]
    pub fn with_rates(mut self, rates: impl Into<TokenRates>) -> Self {
        self.rates = rates.into();
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

    /// The verified rounds of the bank's beacon.
    pub const fn seeds(&self) -> &SeedBook {
        &self.seeds
    }

    /// Lists all deposits in the store. Does not query the node: states are those of the last poll.
    ///
    /// # Errors
    ///
    /// [`PayerError::Stored`] if the store cannot be read.
    pub async fn deposits(&self) -> Result<Vec<(DepositId, DepositRecord)>, PayerError> {
        Ok(stored_deposits(&self.store, self.reader.bank()).await?)
    }

    /// Lists the deposits of the store that are not drawn, ordered by id. Does not query the node: states are those of the last
    /// poll, which finds the deposits of other processes. Reads no other records, once a poll has read all.
    ///
    /// # Errors
    ///
    /// [`PayerError::Stored`] if the store cannot be read.
    pub async fn undrawn_deposits(&self) -> Result<Vec<(DepositId, DepositRecord)>, PayerError> {
        let ids = self.memory().undrawn.ids();
        let mut found = Vec::new();
        match ids {
            Some(ids) => {
                for id in ids {
                    let record = stored_deposit(&self.store, self.reader.bank(), id).await?;
                    found.extend(record.map(|record| (id, record)));
                }
            }
            None => found = self.deposits().await?,
        }
        found.retain(|(_, record)| is_undrawn(record));
        Ok(found)
    }

    /// Reads one deposit from the store. Does not query the node: its state is that of the last poll.
    ///
    /// # Errors
    ///
    /// [`PayerError::UnknownDeposit`] if the store lacks it, [`PayerError::Stored`] if the store cannot be read.
    pub async fn deposit(&self, id: DepositId) -> Result<DepositRecord, PayerError> {
        self.record(id).await
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

    /// Returns a deposit's allowance tree, built once from its stored list.
    async fn tree(&self, id: DepositId) -> Result<Arc<AllowanceTree>, PayerError> {
        let (store, bank) = (&self.store, *self.reader.bank());
        self.shared.trees.get(store, bank, id).await
    }

    async fn record(&self, id: DepositId) -> Result<DepositRecord, PayerError> {
        let record = stored_deposit(&self.store, self.reader.bank(), id).await?;
        record.ok_or(PayerError::UnknownDeposit(id))
    }
}
