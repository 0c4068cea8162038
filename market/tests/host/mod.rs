//! A host: a market with the operator's RPC server and with orders.

use super::process::say;
use cheque::store::Redb;
use cheque_market::{
    balance::{BalanceSettings, BalanceTracker},
    hall::{Hall, Order, SaleTerms},
    pool::{ClientPool, ClientPoolSettings, Limits, PoolSettings},
    rpc::{Listen, Operator, Params, Service, serve},
    store::{Batch, ChequeStore, Store},
    tokens::{IssuerTerms, LastSerial},
    value::{ExpirationRate, Log2},
};
use serde_json::json;
use std::{
    io,
    num::NonZeroU64,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

pub(super) type Id = [u8; 2];
pub(super) type Market = Operator<Id, ChequeStore>;

const SECOND: u64 = 1_000_000_000;
/// Clients whose balances the test adds to. The first is connected and therefore charged.
pub(super) const CLIENTS: [Id; 3] = [[1, 1], [1, 2], [1, 3]];
pub(super) const CUSTOMER: Id = [2, 1];
/// Clients whose settings change together.
pub(super) const CONFIGURED: [Id; 2] = [[3, 1], [3, 2]];
const PREFIX: &[u8] = b"market:";
/// The sale has a limit of 2^40 tokens: 10^15 ns of limit time.
const FACTOR: NonZeroU64 = NonZeroU64::new(1 << 20).unwrap();

/// Opens the market's rows in the redb file at `path`.
pub(super) fn store_at(path: &Path) -> ChequeStore {
    ChequeStore::new(Arc::new(Redb::open(path).unwrap()), PREFIX)
}

pub(super) fn open(store: &ChequeStore) -> Market {
    let balances = BalanceSettings {
        positive_drop: 0,
        ..BalanceSettings::default()
    };
    let tracker = BalanceTracker::open(store.clone(), PREFIX, balances, 0).unwrap();
    let positive = |n| NonZeroU64::new(n).unwrap();
    let settings = ClientPoolSettings {
        pool: PoolSettings {
            min_capacity: positive(100),
            active_bias_ns: 1,
            step_divisor: positive(10),
            fine_step_divisor: positive(100),
        },
        grace_period_ns: u64::MAX,
        connected_bias_ns: 0,
    };
    let pool = ClientPool::new(tracker, settings);
    let operator = Operator::open(pool, store.clone(), PREFIX).unwrap();
    let limit_ns = 1_000_000 * SECOND;
    let terms = SaleTerms {
        issuer: IssuerTerms {
            min_limit_ns: limit_ns,
            max_limit_ns: limit_ns,
            capacity_factor: FACTOR,
            max_capacity: FACTOR,
        },
        free_client_capacity: 0,
        doubling_ns: NonZeroU64::MAX,
        first_base_price: Log2::ZERO,
        lowest_base_price: Log2::ZERO,
        expiration: ExpirationRate::NEVER,
    };
    let mut operator = operator.with_sale(terms, 0).unwrap();
    let limits = Limits {
        count: 9,
        capacity: 1_000,
    };
    operator.set_limits(limits, 0);
    operator
}

pub(super) fn number(store: &ChequeStore, key: &str) -> u64 {
    let bytes = store.get(key.as_bytes()).unwrap();
    bytes.map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().unwrap()))
}

/// Returns all tokens ever added to a client's balance: remaining and charged tokens. Debts are not charged here.
pub(super) fn added(operator: &Market, id: &Id) -> u64 {
    let tracker = operator.clients().tracker();
    tracker.tokens(id, 0).unwrap() + tracker.charged(id, 0).unwrap().total
}

/// Buys `tokens` for the customer. Ignores a repeated order.
fn buy(hall: &mut Hall<Id, ChequeStore>, serial: u64, tokens: i64, now: u64) {
    let last = hall.stored(b"serial").unwrap();
    let last = last.map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().unwrap()));
    let Ok(serial) = LastSerial::from_stored(last).next(serial) else {
        return;
    };
    let order = Order {
        min: tokens,
        max: tokens,
        money: i128::MAX,
    };
    let keep = |_: &_, batch: &mut Batch| {
        batch.put("serial", serial.get().to_be_bytes());
        Ok(())
    };
    hall.exchange(&CUSTOMER, order, keep, now).unwrap();
}

/// Runs a market. The clock advances by half a second at each reading.
pub(super) async fn host(path: &Path) {
    let store = store_at(path);
    let mut operator = open(&store);
    operator.connect(&CLIENTS[0], b"home", 0).unwrap();
    let prices = json!({
        "pricing/timeFactor": 500,
        "pricing/negative/timeFactor": 0,
        "pricing/periodicUpdate": 5_000,
    });
    let prices: Params = prices.as_object().unwrap().clone();
    let set = operator.set_client_params(&CLIENTS[..1], &[], &prices, 0);
    set.unwrap();
    let clock = AtomicU64::new(0);
    let tick = move || clock.fetch_add(SECOND / 2, Ordering::Relaxed);
    let service = Arc::new(Service::new(operator, tick));
    let listen = Listen {
        address: ([127, 0, 0, 1], 0).into(),
        token: None,
    };
    let running = serve(Arc::clone(&service), listen).await.unwrap();
    let polled = Arc::clone(&service);
    tokio::spawn(async move {
        loop {
            polled.changed().await;
            polled.poll().await.unwrap();
        }
    });
    let runtime = tokio::runtime::Handle::current();
    let orders = tokio::task::spawn_blocking(move || {
        say(&running.address().to_string());
        for line in io::stdin().lines() {
            let line = line.unwrap();
            let (serial, tokens) = line.split_once(' ').unwrap();
            let (serial, tokens) = (serial.parse().unwrap(), tokens.parse().unwrap());
            let bought = service.submit(move |hall, now| buy(hall, serial, tokens, now));
            runtime.block_on(bought).unwrap();
            say("bought");
        }
    });
    orders.await.unwrap();
}
