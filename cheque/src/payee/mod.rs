//! The payee: judges payments by a fresh view of the chain, stores positions durably, and redeems wins.

mod accepted;
mod chain_view;
mod counted;
mod credit;
mod draws;
pub(crate) mod error;
mod exposure;
pub(crate) mod external_store;
mod first_payments;
pub(crate) mod pending;
pub(crate) mod positions;
mod purse_reads;
pub(crate) mod receive;
pub(crate) mod redeem;
#[cfg(feature = "service")]
mod service;
mod shared;
mod snapshot;
mod transactions;
mod unknown_deposits;

pub use accepted::{Accepted, ApplicationError, Credit};
pub use error::ReceiveError;
pub use external_store::Judged;
pub use pending::{PendingTx, Purpose, Submitted};
pub use positions::{PositionCache, PositionCacheError, Replaced, StoredPosition};
pub use redeem::{PlannedRedemption, RedeemOptions};
#[cfg(feature = "service")]
pub use service::{
    HoldingChange, HoldingPage, HoldingQuery, HoldingState, HoldingStatus, LastError, MissReason,
    PayeeService, PayeeServiceError, PayeeSettings, PayeeStepReport, Plan, RedeemableWin,
    WaitReason, Waiting, plan,
};

use crate::{
    bank::{
        rates::TokenRates,
        reader::Reader,
        seeds::{SeedBook, SeedError},
    },
    beacon::BeaconClient,
    payee::{
        exposure::ExposureIndex,
        positions::{stored_position, stored_positions, stored_positions_of},
        shared::Shared,
    },
    protocol::{
        receive::{
            judge::PositionKey,
            policy::{Policy, PolicyError},
            position::Position,
        },
        signature::SigningKey,
        terms::DepositId,
    },
    store::{
        async_store::{AsyncStore, StoredError},
        interface::Store,
    },
    tx::wallet::Wallet,
};
use alloy::network::EthereumWallet;
use std::sync::{Arc, MutexGuard};

/// A payee: one bank, one policy, one store. Cheap to clone; clones share their snapshot of the chain.
///
/// A payment is on disk before [`Payee::receive_payment`] returns, so the operator can kill and restart a payee at any
/// moment. A payment shown twice, even at the same time, counts once.
///
/// A payee does nothing by itself: `PayeeService` (feature `service`) follows the chain and redeems wins.
///
/// # Examples
///
/// A handler for an HTTP server such as axum. It takes the payment header, and returns status and body.
///
/// ```no_run
/// use alloy_primitives::address;
/// use cheque::{
///     Policy, Proof,
///     bank::Reader,
///     beacon::BeaconClient,
///     node::connect,
///     payee::{Payee, ReceiveError},
///     store::Redb,
/// };
/// use std::sync::Arc;
///
/// async fn pay(payee: Payee, header: Option<String>) -> (u16, String) {
///     let Some(header) = header else {
///         return (402, "payment required".to_owned());
///     };
///     let proof: Proof = match header.parse() {
///         Ok(proof) => proof,
///         Err(error) => return (400, format!("not a proof of payment: {error}")),
///     };
///     match payee.receive_payment(None, &proof).await {
///         // On disk: credit the signer's account, and serve.
///         Ok(accepted) => (200, format!("{}: {} units", accepted.credit_to, accepted.value)),
///         Err(ReceiveError::Rejected(rejection)) => (402, rejection.to_string()),
///         // The node or the store failed. The same proof counts at most once.
///         Err(_) => (503, "payment not judged; send the same proof again".to_owned()),
///     }
/// }
///
/// #[tokio::main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let provider = connect("http://127.0.0.1:8545").await?;
///     let bank = address!("0x5FbDB2315678afecb367f032d93F642f64180aa3"); // printed by `cheque deploy`
///     let reader = Reader::open(provider, bank).await?;
///     let alice = address!("0x70997970C51812dc3A010C7d01b50e0d17dc79C8");
///     let policy = Policy::new(alice, *reader.bank(), reader.profile());
///     let beacon = BeaconClient::quicknet()?;
///     let payee = Payee::new(reader, policy, Arc::new(Redb::open("payee.redb")?))?.with_beacon(beacon)?;
///     let (status, body) = pay(payee.clone(), std::env::args().nth(1)).await;
///     println!("{status} {body}");
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Payee {
    reader: Reader,
    policy: Policy,
    store: AsyncStore,
    seeds: SeedBook,
    rates: TokenRates,
    wallet: Option<Wallet>,
    key: Option<SigningKey>,
    shared: Arc<Shared>,
}

impl Payee {
    /// Creates a payee for payments that `policy` accepts at the reader's bank. Other banks of the policy are ignored.
    /// Tokens need [`Payee::with_rates`], redemptions need [`Payee::with_wallet`].
    ///
    /// Draws need [`Payee::with_beacon`], and so do payments, unless the policy does not check its clocks.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] if the policy takes payments that it should not, given the bank's lead and the beacon's period.
    pub fn new(
        reader: Reader,
        mut policy: Policy,
        store: Arc<dyn Store>,
    ) -> Result<Self, PolicyError> {
        policy.check(reader.min_lead(), reader.beacon().period())?;
        // The view of one chain says nothing about another chain.
        policy.banks.retain(|bank| bank == reader.bank());
        let store = AsyncStore::new(store);
        Ok(Self {
            seeds: SeedBook::without_client(reader.beacon().clone(), store.clone()),
            reader,
            policy,
            store,
            rates: TokenRates::new(),
            wallet: None,
            key: None,
            shared: Arc::default(),
        })
    }

    /// Sets the client of the bank's beacon.
    ///
    /// # Errors
    ///
    /// [`SeedError::OtherBeacon`] if the client follows another beacon.
    pub fn with_beacon(mut self, client: BeaconClient) -> Result<Self, SeedError> {
        let beacon = self.reader.beacon().clone();
        self.seeds = SeedBook::new(beacon, Some(client), self.store.clone())?;
        Ok(self)
    }

    /// Sets the rates of tokens: fixed ones, or [`TokenRates`] that follow a file or a feed. A payment in a token without a
    /// rate is rejected.
    #[must_use]
    pub fn with_rates(mut self, rates: impl Into<TokenRates>) -> Self {
        self.rates = rates.into();
        self
    }

    /// Sets the wallet for the payee's transactions: the payee's own, or a relayer's. Its fees and pauses are those of the
    /// reader's chain.
    #[must_use]
    pub fn with_wallet(mut self, wallet: Wallet) -> Self {
        self.wallet = Some(wallet.with_profile(self.reader.profile()));
        self
    }

    /// Sets an account for the payee's transactions, at the reader's node and on its chain, like [`Payee::with_wallet`].
    #[must_use]
    pub fn with_account(self, account: EthereumWallet) -> Self {
        let (provider, chain_id) = (
            self.reader.provider().clone(),
            self.reader.bank().chain_id(),
        );
        self.with_wallet(Wallet::new(provider, account, chain_id))
    }

    /// Sets the payee's key, which signs consents for redemptions by another account.
    #[must_use]
    pub fn with_key(mut self, key: SigningKey) -> Self {
        self.key = Some(key);
        self
    }

    /// The reader of the chain.
    #[must_use]
    pub const fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The verified rounds of the bank's beacon.
    #[must_use]
    pub const fn seeds(&self) -> &SeedBook {
        &self.seeds
    }

    /// The wallet for transactions, if set.
    #[must_use]
    pub const fn wallet(&self) -> Option<&Wallet> {
        self.wallet.as_ref()
    }

    /// The rates of tokens.
    #[must_use]
    pub const fn rates(&self) -> &TokenRates {
        &self.rates
    }

    /// The policy, without other banks than the reader's.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// All positions: for each deposit the terms, the newest cheque and the credited total.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub async fn positions(&self) -> Result<Vec<Position>, StoredError> {
        self.positions_of(|_| true).await
    }

    /// The positions in deposits for which `wanted` returns true. Skips others without decoding them.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
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

    /// The position in one deposit, `None` if the payee has no cheque of the deposit.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub async fn position(&self, id: DepositId) -> Result<Option<Position>, StoredError> {
        stored_position(&self.store, self.position_key(id)).await
    }

    const fn position_key(&self, deposit: DepositId) -> PositionKey {
        PositionKey {
            bank: self.reader.bank().address(),
            deposit,
            payee: self.policy.payee,
        }
    }

    fn index(&self) -> MutexGuard<'_, ExposureIndex> {
        self.shared.index()
    }

    /// Reads the exposure from the store: all positions whose window was not over at `head_time`. Their draws are decided
    /// later.
    async fn load_exposure(&self, head_time: u64) -> Result<(), StoredError> {
        let (bank, payee) = (*self.reader.bank(), self.policy.payee);
        let read = move |position: Position| {
            let mine = position.payee() == payee && *position.bank() == bank;
            let is_open = position.deposit().redeemUntil >= head_time;
            (mine && is_open).then_some(position)
        };
        let positions = stored_positions(&self.store, bank.address(), read).await?;
        let mut index = self.index();
        for position in positions.iter().flatten() {
            index.load(position, head_time);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
