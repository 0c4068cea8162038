//! A market with an operator's RPC and orders, as a host runs it.

use cheque_market::{
    balance::{BalanceSettings, BalanceTracker, ChangeBalanceError},
    pool::{ClientPool, ClientPoolSettings, Limits, PoolSettings},
    rpc::{Listen, Operator, Params, Service, serve},
    store::{Redb, Store},
    tokens::{BondingCurve, LastSerial},
    value::Log2,
};
use serde_json::json;
use std::{
    io::{self, Write},
    num::NonZeroU64,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

pub(super) type Id = [u8; 2];
pub(super) type Market = Operator<Id, Arc<Redb>>;

const SECOND: u64 = 1_000_000_000;
/// Clients whose balances are added to. The first is connected, and is charged all the time.
pub(super) const CLIENTS: [Id; 3] = [[1, 1], [1, 2], [1, 3]];
pub(super) const CUSTOMER: Id = [2, 1];
/// Whose settings are changed together.
pub(super) const SETTLED: [Id; 2] = [[3, 1], [3, 2]];
const LIMIT: NonZeroU64 = NonZeroU64::new(1 << 40).unwrap();

pub(super) fn open(store: &Arc<Redb>) -> Market {
    let balances = BalanceSettings {
        positive_drop: 0,
        ..BalanceSettings::default()
    };
    let tracker = BalanceTracker::open(Arc::clone(store), b"market:", balances, 0).unwrap();
    let positive = |n| NonZeroU64::new(n).unwrap();
    let settings = ClientPoolSettings {
        pool: PoolSettings {
            min_capacity: positive(100),
            active_bias_ns: 1,
            step_divisor: positive(10),
            fine_step_divisor: positive(100),
        },
        allowance_ns: u64::MAX,
        connected_bias_ns: 0,
    };
    let pool = ClientPool::new(tracker, settings);
    let mut operator = Operator::open(pool, Arc::clone(store), b"market:").unwrap();
    let limits = Limits {
        count: 9,
        capacity: 1_000,
    };
    operator.set_limits(limits, 0);
    operator
}

pub(super) fn number(store: &Redb, key: &str) -> u64 {
    let bytes = store.get(key.as_bytes()).unwrap();
    bytes.map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().unwrap()))
}

pub(super) fn curve(store: &Redb) -> BondingCurve {
    BondingCurve::restore(number(store, "amount"), LIMIT, Log2::ZERO).unwrap()
}

/// What was added to a client's balance: what is left of it, and what was taken for service. Debts are not charged here.
pub(super) fn added(operator: &Market, id: &Id) -> u64 {
    let tracker = operator.clients().tracker();
    tracker.tokens(id, 0).unwrap() + tracker.charged(id, 0).unwrap().total
}

/// Orders `tokens` in the name of the customer. An order that was carried out before is refused, and that is as good.
fn buy(operator: &mut Market, store: &Redb, serial: u64, tokens: i64, now: u64) {
    let last = LastSerial::from_stored(number(store, "serial"));
    let Ok(serial) = last.next(serial) else {
        return;
    };
    let mut curve = curve(store);
    let tracker = operator.clients_mut().tracker_mut();
    let bought = tracker.operation(&CUSTOMER, None, now, |balance| {
        let bought = curve.exchange(tokens, tokens, i128::MAX).unwrap();
        let also = balance.also();
        also.put("serial", serial.get().to_be_bytes());
        also.put("amount", curve.amount().to_be_bytes());
        balance.add(bought.tokens)
    });
    let bought: Result<_, ChangeBalanceError> = bought;
    bought.unwrap();
}

/// A market as its host runs it: every look at the clock finds it half a second later.
pub(super) async fn host(path: &str) {
    let store = Arc::new(Redb::open(path).unwrap());
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
            let polled = Arc::clone(&polled);
            let poll = tokio::task::spawn_blocking(move || polled.poll().map(|_| ()));
            poll.await.unwrap().unwrap();
        }
    });
    let orders = tokio::task::spawn_blocking(move || {
        say(&running.address().to_string());
        for line in io::stdin().lines() {
            let line = line.unwrap();
            let (serial, tokens) = line.split_once(' ').unwrap();
            let (serial, tokens) = (serial.parse().unwrap(), tokens.parse().unwrap());
            service.with(|operator, now| buy(operator, &store, serial, tokens, now));
            say("bought");
        }
    });
    orders.await.unwrap();
}

fn say(text: &str) {
    let mut out = io::stdout().lock();
    // The test harness may have begun a line of its own.
    writeln!(out, "\n> {text}").unwrap();
    out.flush().unwrap();
}
