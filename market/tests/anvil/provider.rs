//! A provider: receives cheques, sells tokens, shares its capacity, and has an operator on JSON-RPC.

use crate::node::{Account, World};
use alloy_primitives::Address;
use cheque::{payee::Payee, store::Memory};
use cheque_market::{
    balance::{BalanceSettings, BalanceTracker, LoadBalanceError},
    payment::{Incoming, Offer, Receivers, chain::ChequeModule, prepare},
    pool::{ClientPool, ClientPoolSettings, Limits, PoolSettings, SetCapacityError},
    rpc::{Listen, Operator, Running, Service, serve},
    store::{Batch, ChequeStore, Store},
    tokens::BondingCurve,
    value::Log2,
};
use jsonrpsee::{core::client::ClientT, http_client::HttpClient};
use serde_json::Value;
use std::{
    fmt::Display,
    num::NonZeroU64,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

pub(crate) const SECOND: u64 = 1_000_000_000;
pub(crate) const CAPACITY: u64 = 1_000_000;
pub(crate) const MIN_CAPACITY: u64 = 50_000;

const PREFIX: &[u8] = b"market:";
const SALE: &[u8] = b"host:sale";
const CHANGE: &[u8] = b"host:change:";
/// Token limit, and the base-2 logarithm of the base price in wei.
const TOKENS: NonZeroU64 = NonZeroU64::new(1 << 33).unwrap();
const BASE_PRICE: i32 = 26;

type Market = Service<Address, ChequeStore>;

pub(crate) struct Provider {
    pub(crate) address: Address,
    pub(crate) payee: Payee,
    pub(crate) receivers: Receivers,
    store: ChequeStore,
    market: Arc<Market>,
    running: Running<Address, ChequeStore>,
    operator: HttpClient,
    clock: Arc<AtomicU64>,
}

/// An error as text.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) String);

impl<E: Display> From<E> for Refused {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// State of the sale of tokens.
pub(crate) struct Sale {
    pub(crate) curve: BondingCurve,
    /// Wei earned from spent tokens.
    pub(crate) earned: u128,
}

impl Provider {
    pub(crate) async fn new(world: &World, party: &Account) -> Self {
        let rows = Arc::new(Memory::new());
        let payee = world.payee(party, rows.clone());
        let mut receivers = Receivers::new();
        receivers.register(Arc::new(ChequeModule::new(payee.clone(), Address::ZERO)));
        let store = ChequeStore::new(rows, PREFIX);
        let clock = Arc::new(AtomicU64::new(SECOND));
        let time = Arc::clone(&clock);
        let operator = operator(&store);
        let market = Service::new(operator, move || time.load(Ordering::SeqCst));
        let market = Arc::new(market);
        let address = ([127, 0, 0, 1], 0).into();
        let token = None;
        let running = serve(Arc::clone(&market), Listen { address, token });
        let running = running.await.unwrap();
        let url = format!("http://{}", running.address());
        Self {
            address: party.address,
            payee,
            receivers,
            store,
            market,
            running,
            operator: HttpClient::builder().build(url).unwrap(),
            clock,
        }
    }

    /// Receives a payment and sells tokens for it: proof, balance, sale and change in one transaction.
    pub(crate) async fn take(
        &self,
        from: Address,
        offer: &Offer,
        proof: &[u8],
    ) -> Result<Incoming, Refused> {
        let module = self.receivers.agree(offer)?;
        let prepared = prepare(&**module, &self.store, PREFIX, from, proof).await?;
        let (store, mut sale) = (self.store.clone(), self.sale());
        let before = self.change(from);
        let taken = self.market.change(move |operator, now_ns| {
            let tracker = operator.clients_mut().tracker_mut();
            let taken = tracker.operation(&from, None, now_ns, |balance| {
                let incoming = prepared.store_received(&store, balance.extra_writes())?;
                let money = before + incoming.value;
                let sold = sale.curve.exchange(0, i64::MAX, money.try_into()?);
                let sold = sold.ok_or("the curve ends here")?;
                balance.add(sold.tokens)?;
                let left = money - u128::try_from(sold.cost)?;
                balance
                    .extra_writes()
                    .put(change_key(from), left.to_be_bytes());
                sale.keep(balance.extra_writes());
                Ok::<_, Refused>(incoming)
            });
            (taken, prepared)
        });
        let (taken, prepared) = taken.await.unwrap();
        if taken.is_err() {
            prepared.settle(self.store.get(prepared.key())?.as_deref());
        }
        taken
    }

    pub(crate) async fn connect(&self, client: Address) {
        let connected = self
            .market
            .change(move |operator, now_ns| operator.connect(&client, client.as_slice(), now_ns));
        connected.await.unwrap().unwrap();
        self.market.poll().await.unwrap();
    }

    /// Requests a capacity.
    pub(crate) async fn set_capacity(
        &self,
        client: Address,
        capacity: u64,
    ) -> Result<u64, SetCapacityError> {
        let granted = self.market.change(move |operator, now_ns| {
            let clients = operator.clients_mut();
            clients.set_capacity(&client, capacity, 0, now_ns)
        });
        let granted = granted.await.unwrap();
        self.market.poll().await.unwrap();
        granted
    }

    /// Returns the largest capacity available to a client.
    pub(crate) async fn max_capacity(&self, client: Address) -> u64 {
        let max = self.market.change(move |operator, now_ns| {
            let clients = operator.clients_mut();
            clients.max_capacity(&client, 0, 0, now_ns)
        });
        max.await.unwrap().unwrap()
    }

    pub(crate) fn capacity(&self, client: Address) -> u64 {
        let found = self
            .market
            .read(|operator, _| operator.clients().pool().capacity(&client));
        found.unwrap()
    }

    pub(crate) fn tokens(&self, client: Address) -> u64 {
        let tokens = self.market.read(|operator, now_ns| {
            let tracker = operator.clients().tracker();
            tracker.tokens(&client, now_ns)
        });
        tokens.unwrap()
    }

    pub(crate) async fn pass(&self, seconds: u64) {
        self.clock.fetch_add(seconds * SECOND, Ordering::SeqCst);
        self.market.poll().await.unwrap();
    }

    /// Calls the operator's RPC server.
    pub(crate) async fn call(&self, method: &str, arguments: Value) -> Result<Value, String> {
        let Value::Array(arguments) = arguments else {
            panic!("the arguments must be a list");
        };
        let mut params = jsonrpsee::core::params::ArrayParams::new();
        for argument in arguments {
            params.insert(argument).unwrap();
        }
        let answer = self.operator.request(method, params).await;
        answer.map_err(|error| error.to_string())
    }

    /// Sets the number of remaining tokens of the curve; spent tokens are earned.
    pub(crate) async fn account_for_spending(&self) -> Sale {
        let left = self
            .market
            .change(|operator, now_ns| operator.clients_mut().tracker_mut().total_tokens(now_ns));
        let left = left.await.unwrap();
        let mut sale = self.sale();
        let (limit, price) = (sale.curve.limit(), sale.curve.log_base_price());
        let adjusted = sale.curve.adjust(left, limit, price);
        sale.earned += adjusted.earned;
        let mut batch = Batch::new();
        sale.keep(&mut batch);
        self.store.write(&batch).unwrap();
        sale
    }

    /// Returns a client's change: money too little for a token.
    pub(crate) fn change(&self, client: Address) -> u128 {
        let stored = self.store.get(&change_key(client)).unwrap();
        stored.map_or(0, |bytes| u128::from_be_bytes(bytes.try_into().unwrap()))
    }

    pub(crate) fn sale(&self) -> Sale {
        let (amount, earned) = match self.store.get(SALE).unwrap() {
            None => (0, 0),
            Some(bytes) => {
                let (amount, earned) = bytes.split_at(8);
                let amount = u64::from_be_bytes(amount.try_into().unwrap());
                (amount, u128::from_be_bytes(earned.try_into().unwrap()))
            }
        };
        let curve = BondingCurve::restore(amount, TOKENS, Log2::from_octaves(BASE_PRICE));
        Sale {
            curve: curve.unwrap(),
            earned,
        }
    }

    /// Stops the server, and opens the market again from its store.
    pub(crate) async fn stop(self) -> Stopped {
        self.running.stop().await.unwrap();
        Stopped {
            operator: operator(&self.store),
        }
    }
}

/// A market after a restart.
pub(crate) struct Stopped {
    operator: Operator<Address, ChequeStore>,
}

impl Stopped {
    pub(crate) fn tokens(&mut self, client: Address) -> Result<u64, LoadBalanceError> {
        let tracker = self.operator.clients_mut().tracker_mut();
        tracker.tokens(&client, 0)
    }
}

impl Sale {
    fn keep(&self, batch: &mut Batch) {
        let amount = self.curve.amount().to_be_bytes();
        batch.put(SALE, [&amount[..], &self.earned.to_be_bytes()].concat());
    }
}

fn change_key(client: Address) -> Vec<u8> {
    [CHANGE, client.as_slice()].concat()
}

fn operator(store: &ChequeStore) -> Operator<Address, ChequeStore> {
    let settings = BalanceSettings {
        positive_drop: 0,
        ..BalanceSettings::default()
    };
    let tracker = BalanceTracker::open(store.clone(), PREFIX, settings, 0).unwrap();
    let positive = |number| NonZeroU64::new(number).unwrap();
    let settings = ClientPoolSettings {
        pool: PoolSettings {
            min_capacity: positive(MIN_CAPACITY),
            active_bias_ns: 1,
            step_divisor: positive(10),
            fine_step_divisor: positive(100),
        },
        grace_period_ns: 10 * SECOND,
        connected_bias_ns: 0,
    };
    let clients = ClientPool::new(tracker, settings);
    let mut operator = Operator::open(clients, store.clone(), PREFIX).unwrap();
    let limits = Limits {
        count: 10,
        capacity: CAPACITY,
    };
    operator.set_limits(limits, 0);
    operator
}
