//! Growth of the time of an event in a full pool, half of whose clients wait: 10,000 clients against 100.

use cheque_market::{
    balance::{BalanceSettings, BalanceTracker, PriceFactors, ServicePrices},
    pool::{ClientPool, ClientPoolSettings, Limits, PoolSettings},
    store::Memory,
};
use criterion::measurement::{Measurement, WallTime};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};
use std::{error::Error, num::NonZeroU64, time::Duration};

type Id = [u8; 4];
type Pool = ClientPool<Id, Memory>;

const SECOND: u64 = 1_000_000_000;
const MIN_CAPACITY: NonZeroU64 = NonZeroU64::new(1_000).unwrap();
const STEP: NonZeroU64 = NonZeroU64::new(10).unwrap();
const EVENTS: u32 = 5_000;
const ROUNDS: u64 = 5;

#[expect(clippy::disallowed_macros, reason = "a benchmark prints its results")]
fn main() -> Result<(), Box<dyn Error>> {
    let [few, many] = [fastest(100)?, fastest(10_000)?];
    for (clients, [connect, event]) in [(100, few), (10_000, many)] {
        println!("pool: {clients} clients: {connect:?} per connection, {event:?} per event");
    }
    for (at, name) in ["connection", "event"].into_iter().enumerate() {
        let ratio = many[at].as_nanos() * 100 / few[at].as_nanos().max(1);
        println!("pool: a {name} among 10,000 takes {ratio} % of the time among 100");
    }
    Ok(())
}

/// Returns the fastest times of a connection and of an event.
fn fastest(clients: u64) -> Result<[Duration; 2], Box<dyn Error>> {
    let mut fastest = [Duration::MAX; 2];
    for round in 0..ROUNDS {
        let mut random = ChaCha8Rng::seed_from_u64(round);
        let start = WallTime.start();
        let mut pool = full(clients, &mut random)?;
        let connected = WallTime.end(start) / u32::try_from(clients)?;
        let start = WallTime.start();
        for event in 0..EVENTS {
            happen(
                &mut pool,
                clients,
                &mut random,
                u64::from(event) * SECOND / 100,
            )?;
        }
        let event = WallTime.end(start) / EVENTS;
        fastest = [fastest[0].min(connected), fastest[1].min(event)];
    }
    Ok(fastest)
}

fn id(n: u64) -> Id {
    (n as u32).to_be_bytes()
}

/// Connects clients with tokens for hours; half of them wait.
fn full(clients: u64, random: &mut ChaCha8Rng) -> Result<Pool, Box<dyn Error>> {
    let prices = PriceFactors {
        time: 3_000.into(),
        capacity: 1_000_000.into(),
        request: 1.into(),
    };
    let balances = BalanceSettings {
        prices: ServicePrices {
            positive: prices,
            negative: prices,
        },
        ..BalanceSettings::default()
    };
    let tracker = BalanceTracker::open(Memory::new(), b"", balances, 0)?;
    let settings = ClientPoolSettings {
        pool: PoolSettings {
            min_capacity: MIN_CAPACITY,
            active_bias_ns: 1,
            step_divisor: STEP,
            fine_step_divisor: STEP,
        },
        grace_period_ns: u64::MAX,
        connected_bias_ns: 10 * SECOND,
    };
    let mut pool = ClientPool::new(tracker, settings);
    let limits = Limits {
        count: clients / 2,
        capacity: clients * MIN_CAPACITY.get(),
    };
    pool.set_limits(limits, 0);
    for n in 0..clients {
        let tokens = 500_000_000 + random.next_u64() % 500_000_000;
        let tokens = i64::try_from(tokens)?;
        pool.tracker_mut().add_balance(&id(n), tokens, 0)?;
        pool.connect(id(n), &id(n), 0)?;
        pool.poll(0)?;
    }
    Ok(pool)
}

/// Makes a client pay, ask, or come back.
fn happen(
    pool: &mut Pool,
    clients: u64,
    random: &mut ChaCha8Rng,
    now: u64,
) -> Result<(), Box<dyn Error>> {
    let id = id(random.next_u64() % clients);
    match random.next_u64() % 4 {
        0 => {
            let tokens = (random.next_u64() % 10_000_000) as i64;
            pool.tracker_mut().add_balance(&id, tokens, now)?;
        }
        1 | 2 => {
            let cost = random.next_u64() % 1_000_000_000_000;
            pool.tracker_mut().request_served(&id, cost, now)?;
        }
        _ => {
            pool.disconnect(&id, now)?;
            pool.connect(id, &id, now)?;
        }
    }
    pool.poll(now)?;
    Ok(())
}
