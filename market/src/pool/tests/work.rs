//! The work of an event in large pools, and the ranks behind it.

use super::*;
use crate::{
    balance::{BalanceSettings, BalanceTracker, PriceFactors, ServicePrices},
    pool::clients::{LOOKS, PrioritiesAt},
    store::Memory,
    value::ExpirationRate,
};

type Id = [u8; 4];
type Pool = ClientPool<Id, Memory>;

const SECOND: u64 = 1_000_000_000;
const MIN: u64 = 1_000;

/// A fixed sequence (Knuth's MMIX generator).
struct Random(u64);

impl Random {
    const fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 20) % end
    }
}

fn id(n: u64) -> Id {
    u32::try_from(n).unwrap().to_be_bytes()
}

fn give(pool: &mut Pool, n: u64, tokens: u64, now: u64) {
    let tokens = i64::try_from(tokens).unwrap();
    pool.tracker_mut().add_balance(&id(n), tokens, now).unwrap();
}

/// Returns a pool of slots for half of `clients`, and that many times twice the minimum of capacity.
fn pool(clients: u64, rate: ExpirationRate) -> Pool {
    let factors = |time: u64| PriceFactors {
        time: time.into(),
        capacity: 1_000_000.into(),
        request: 1.into(),
    };
    let balances = BalanceSettings {
        prices: ServicePrices {
            positive: factors(3_000),
            negative: factors(5_000),
        },
        positive_rate: rate,
        negative_rate: rate,
        ..BalanceSettings::default()
    };
    let tracker = BalanceTracker::open(Memory::new(), b"", balances, 0).unwrap();
    let mut pool = ClientPool::new(
        tracker,
        ClientPoolSettings {
            pool: settings(MIN, 10, 100),
            grace_period_ns: u64::MAX,
            connected_bias_ns: 10 * SECOND,
        },
    );
    let limits = Limits {
        count: clients / 2,
        capacity: clients * MIN,
    };
    pool.set_limits(limits, 0);
    pool
}

/// Connects clients with tokens for hours, half of which wait; one in eight of the others asks for more capacity.
fn full(clients: u64, random: &mut Random) -> Pool {
    let mut pool = pool(clients, ExpirationRate::NEVER);
    for n in 0..clients {
        give(&mut pool, n, 500_000_000 + random.below(500_000_000), 0);
        pool.connect(id(n), &id(n), 0).unwrap();
    }
    pool.poll(0).unwrap();
    for n in (0..clients).step_by(8) {
        let more = MIN + random.below(2 * MIN);
        // A client may be waiting, or its priority may not suffice.
        let _ = pool.set_capacity(&id(n), more, 0, 0);
    }
    pool.poll(0).unwrap();
    pool
}

/// Makes one of several kinds of event happen to a client.
fn happen(pool: &mut Pool, clients: u64, random: &mut Random, now: u64) {
    let n = random.below(clients);
    match random.below(4) {
        0 => give(pool, n, random.below(10_000_000), now),
        1 | 2 => {
            let cost = random.below(1_000_000_000_000);
            pool.tracker_mut()
                .request_served(&id(n), cost, now)
                .unwrap();
        }
        _ => {
            pool.disconnect(&id(n), now).unwrap();
            pool.connect(id(n), &id(n), now).unwrap();
        }
    }
    pool.poll(now).unwrap();
}

/// Returns the looks at clients per connection, and per later event.
fn looks(clients: u64) -> (u64, u64) {
    const EVENTS: u64 = 400;
    let mut random = Random(clients);
    LOOKS.set(0);
    let mut pool = full(clients, &mut random);
    let connecting = LOOKS.replace(0) / clients;
    for event in 0..EVENTS {
        happen(&mut pool, clients, &mut random, event * SECOND / 100);
        let limits = pool.pool().limits();
        assert!(pool.pool().total_capacity() <= limits.capacity);
        assert!(pool.pool().active_count() <= limits.count);
    }
    (connecting, LOOKS.get() / EVENTS)
}

/// Before, a payment looked at every client, and every waiting one several times.
#[test]
fn looks_at_few_clients_per_event_in_a_full_pool() {
    let (few, many) = (looks(100), looks(4_000));
    assert!(many.0 <= 3 * few.0, "connecting: {few:?} {many:?}");
    assert!(many.1 <= 3 * few.1, "events: {few:?} {many:?}");
}

/// Compares the ranks with those of all clients at the moment, while clients spend, expire, come and go.
#[test]
fn ranks_clients_by_their_present_priority() {
    const CLIENTS: u64 = 60;
    for rate in [
        ExpirationRate::NEVER,
        ExpirationRate::from_half_life(NonZeroU64::new(7_200 * SECOND).unwrap()),
    ] {
        let mut random = Random(7);
        let mut pool = pool(2 * CLIENTS, rate);
        for n in 0..CLIENTS {
            give(&mut pool, n, random.below(200_000_000), 0);
            pool.connect(id(n), &id(n), 0).unwrap();
            let _ = pool.set_capacity(&id(n), MIN + random.below(3 * MIN), 0, 0);
        }
        let mut now = 0;
        for _ in 0..120 {
            now += random.below(120 * SECOND);
            happen(&mut pool, CLIENTS, &mut random, now);
            pool.rank_changed(now);
            let priorities = PrioritiesAt(&pool.tracker, now);
            pool.pool.activate(&priorities);
            let ranked = pool.pool.lowest(usize::MAX, &priorities);
            assert_eq!(ranked.len() as u64, pool.pool.active_count());
            let rank = |id: &Id| {
                let capacity = pool.pool.capacity(id).unwrap();
                priorities.priority(id, capacity)
            };
            // Charges round to a token.
            let token = Priority::new(2, 0, MIN);
            for pair in ranked.windows(2) {
                let (low, high) = (rank(&pair[0]), rank(&pair[1]));
                assert!(
                    low.whole() <= high.whole() + token.whole() + 1,
                    "{low:?} {high:?}"
                );
            }
        }
    }
}
