//! A shop with customer accounts: an HTTP server, a payee, and its records in PostgreSQL.
//!
//! A customer proves who it is by a token, pays by `POST /payments`, and buys by `GET /goods`. The position of a payment and
//! the balance of its customer are written in one transaction, so that no crash separates them. Beside the server, the
//! payee's service follows the deposits and redeems wins.

use alloy::{network::EthereumWallet, signers::local::PrivateKeySigner};
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    routing::{get, post},
};
use cheque::{
    Address, Amount, Policy, Proof,
    bank::Reader,
    beacon::BeaconClient,
    node::connect,
    payee::{Accepted, ApplicationError, Payee, PayeeService, PayeeSettings, ReceiveError},
    store::{AppChange, AppRecords, AppRecordsError, AppRecordsReader, Postgres, Store},
};
use std::{collections::BTreeMap, error::Error, sync::Arc};
use tokio::net::TcpListener;

/// The price of the goods in token units: wei.
pub(crate) const PRICE: u128 = 1_000_000_000;

/// A shop. Clones are the same shop.
#[derive(Clone)]
pub(crate) struct Shop {
    service: PayeeService,
    accounts: AppRecords,
    /// The signers of the customers, by the hashes of their tokens: a look-up by hash tells nothing of a token by its time.
    customers: Arc<BTreeMap<[u8; 32], Address>>,
}

/// What a shop needs to know.
pub(crate) struct Settings<'a> {
    pub(crate) node: &'a str,
    pub(crate) bank: Address,
    /// The relays of the bank's beacon, with commas between them.
    pub(crate) relays: &'a str,
    /// The secret key of the payee, an account with some coin for redemptions.
    pub(crate) secret: &'a str,
    /// The address of the PostgreSQL database.
    pub(crate) database: &'a str,
    /// The token and the signer of each customer.
    pub(crate) customers: &'a [(&'a str, Address)],
}

impl Shop {
    pub(crate) async fn open(settings: &Settings<'_>) -> Result<Self, Box<dyn Error>> {
        let reader = Reader::open(connect(settings.node).await?, settings.bank).await?;
        let beacon = reader.beacon().clone();
        let relays: Vec<_> = settings.relays.split(',').collect();
        let beacon = BeaconClient::new(beacon.clone(), beacon.chain_hash(), &relays)?;
        let account: PrivateKeySigner = settings.secret.parse()?;
        let database = settings.database.to_owned();
        // Opening blocks.
        let store = tokio::task::spawn_blocking(move || Postgres::open(&database));
        let store: Arc<dyn Store> = Arc::new(store.await??);
        let policy = Policy::new(account.address(), *reader.bank(), reader.profile());
        let service = PayeeSettings::new(&policy, reader.profile());
        let payee = Payee::new(reader, policy, store.clone())?;
        let payee = payee.with_beacon(beacon)?;
        // Takes node and chain id from the reader.
        let payee = payee.with_account(EthereumWallet::from(account));
        let customers = settings.customers.iter();
        let customers = customers.map(|(token, signer)| (hash(token), *signer));
        Ok(Self {
            service: PayeeService::new(payee, service),
            accounts: AppRecords::new(store),
            customers: Arc::new(customers.collect()),
        })
    }

    /// Serves customers and redeems wins until `stop`. Put a proxy in front that bounds connections and waiting.
    pub(crate) async fn run(
        self,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) -> Result<(), Box<dyn Error>> {
        let router = Router::new()
            .route("/payments", post(pay))
            .route("/balance", get(show_balance))
            .route("/goods", get(buy))
            .route("/health", get(show_health))
            .with_state(self.clone());
        tokio::select! {
            served = async { axum::serve(listener, router).await } => served?,
            done = self.service.run(stop) => done?,
        }
        Ok(())
    }

    /// The customer that a request comes from.
    fn customer(&self, headers: &HeaderMap) -> Result<Address, Answer> {
        let header = headers.get(AUTHORIZATION);
        let token = header.and_then(|header| header.to_str().ok()?.strip_prefix("Bearer "));
        let customer = token.and_then(|token| self.customers.get(&hash(token)));
        let unknown = || (StatusCode::UNAUTHORIZED, "send your token".to_owned());
        customer.copied().ok_or_else(unknown)
    }
}

type Answer = (StatusCode, String);

/// Receives a payment of the customer, whose account is credited when the answer arrives.
async fn pay(State(shop): State<Shop>, headers: HeaderMap, body: String) -> Result<String, Answer> {
    let customer = shop.customer(&headers)?;
    let proof: Proof = body.trim().parse().map_err(|error| {
        let text = format!("not a proof of payment: {error}");
        (StatusCode::UNPROCESSABLE_ENTITY, text)
    })?;
    // Refuses the payments of other signers: nobody can credit its account with the payment of another one.
    let paid = shop
        .service
        .receive_payment_with(Some(customer), &proof, credit);
    paid.await
        .map(|payment| payment.value.to_string())
        .map_err(|error| answer_of(&error))
}

/// Adds a payment to the balance of its signer.
fn credit(
    payment: &Accepted,
    records: &AppRecordsReader<'_>,
) -> Result<Vec<AppChange>, ApplicationError> {
    let key = account_key(payment.credit_to);
    let old = records.get(&key)?;
    let balance = balance_of(old.as_deref())?;
    let balance = balance.checked_add(payment.value);
    let new = balance.ok_or("the account is full")?;
    let new = Some(new.get().to_be_bytes().to_vec());
    Ok(vec![AppChange { key, old, new }])
}

/// 402, 409 or 422 with the reason for a rejection; 503 if the same proof is to be sent again.
fn answer_of(error: &ReceiveError) -> Answer {
    let status = StatusCode::from_u16(error.http_status());
    let text = match error {
        ReceiveError::Rejected(rejection) => rejection.to_string(),
        // The text would name the operator's node and database.
        _ => "not recorded, or not known; send the same payment again".to_owned(),
    };
    (status.unwrap_or(StatusCode::SERVICE_UNAVAILABLE), text)
}

async fn show_balance(State(shop): State<Shop>, headers: HeaderMap) -> Result<String, Answer> {
    let customer = shop.customer(&headers)?;
    let stored = shop.accounts.get(&account_key(customer)).await;
    let balance = balance_of(stored.map_err(unavailable)?.as_deref());
    Ok(balance.map_err(unavailable)?.to_string())
}

/// Charges the account, then serves.
async fn buy(State(shop): State<Shop>, headers: HeaderMap) -> Result<&'static str, Answer> {
    let key = account_key(shop.customer(&headers)?);
    loop {
        let old = shop.accounts.get(&key).await.map_err(unavailable)?;
        let balance = balance_of(old.as_deref()).map_err(unavailable)?;
        let Some(rest) = balance.checked_sub(Amount::new(PRICE)) else {
            let text = format!("the price is {PRICE}, and the balance {balance}");
            return Err((StatusCode::PAYMENT_REQUIRED, text));
        };
        let new = Some(rest.get().to_be_bytes().to_vec());
        let key = key.clone();
        match shop.accounts.change(&AppChange { key, old, new }).await {
            Ok(()) => return Ok("goods"),
            // A payment or another purchase has changed the balance meanwhile.
            Err(AppRecordsError::Conflict) => {}
            Err(error) => return Err(unavailable(error)),
        }
    }
}

async fn show_health(State(shop): State<Shop>) -> Answer {
    let health = shop.service.health();
    match health.ok {
        true => (StatusCode::OK, health.reason),
        false => (StatusCode::SERVICE_UNAVAILABLE, health.reason),
    }
}

fn unavailable(error: impl Into<ApplicationError>) -> Answer {
    tracing::warn!(reason = %error.into(), "the accounts cannot be read or written");
    let text = "the shop cannot read its accounts; try again";
    (StatusCode::SERVICE_UNAVAILABLE, text.to_owned())
}

/// The key of an account in the application's records.
pub(crate) fn account_key(customer: Address) -> Vec<u8> {
    [&b"account/"[..], customer.as_slice()].concat()
}

/// A balance: 16 bytes, big-endian. No record is no money.
fn balance_of(record: Option<&[u8]>) -> Result<Amount, ApplicationError> {
    let bytes = record.unwrap_or(&[0; 16]);
    Ok(Amount::new(u128::from_be_bytes(bytes.try_into()?)))
}

fn hash(token: &str) -> [u8; 32] {
    alloy_primitives::keccak256(token).0
}
