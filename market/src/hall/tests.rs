//! Commits, trades, and expiration while capacity is free.

use super::*;
use crate::{
    balance::{BalanceSettings, BalanceTracker, PriceFactors, ServicePrices},
    pool::{ClientPool, ClientPoolSettings, Limits, PoolSettings},
    store::{Batch, Failing},
    tokens::{FreeRatio, IssuerTerms},
    value::{ExpirationRate, Log2},
};
use std::{num::NonZeroU64, sync::Arc};

type Id = [u8; 2];
type Store = Arc<Failing>;
type Market = Hall<Id, Store>;

const SECOND: u64 = 1_000_000_000;
const HOUR: u64 = 3_600 * SECOND;
const PREFIX: &[u8] = b"market:";
const TEN_MINUTES: u64 = 600 * SECOND;

fn number(n: u64) -> NonZeroU64 {
    NonZeroU64::new(n).unwrap()
}

fn terms() -> SaleTerms {
    SaleTerms {
        issuer: IssuerTerms {
            min_limit_ns: 1_000 * SECOND,
            max_limit_ns: 1_000_000 * SECOND,
            capacity_factor: number(1_000),
            max_capacity: number(1_000_000),
        },
        free_client_capacity: 100_000,
        doubling_ns: number(24 * HOUR),
        first_base_price: Log2::from_octaves(20),
        lowest_base_price: Log2::from_octaves(18),
        expiration: ExpirationRate::from_half_life(number(HOUR)),
    }
}

fn open(store: &Store) -> Market {
    let factors = PriceFactors {
        time: 1.into(),
        request: 1_000_000_000.into(),
        ..PriceFactors::default()
    };
    let settings = BalanceSettings {
        prices: ServicePrices {
            positive: factors,
            negative: factors,
        },
        ..BalanceSettings::default()
    };
    let tracker = BalanceTracker::open(Arc::clone(store), PREFIX, settings, 0).unwrap();
    let settings = ClientPoolSettings {
        pool: PoolSettings {
            min_capacity: number(100_000),
            active_bias_ns: SECOND,
            step_divisor: number(10),
            fine_step_divisor: number(100),
        },
        grace_period_ns: SECOND,
        connected_bias_ns: 0,
    };
    let hall = Hall::new(ClientPool::new(tracker, settings));
    let mut hall = hall.with_sale(store, PREFIX, terms(), 0).unwrap();
    let limits = Limits {
        count: 10,
        capacity: 1_000_000,
    };
    hall.set_limits(limits, 0);
    hall
}

fn tokens(hall: &Market, n: u8, now: u64) -> u64 {
    hall.clients().tracker().tokens(&[n, n], now).unwrap()
}

/// Buys tokens for at most `money`, and keeps the change in a row of the customer's.
fn buy(hall: &mut Market, n: u8, money: i128, now: u64) -> Result<Trade, HallError> {
    let order = Order {
        min: 1,
        max: i64::MAX,
        money,
    };
    let keep = |trade: &Trade, batch: &mut Batch| {
        batch.put([b'c', n], trade.change.to_be_bytes());
        Ok(())
    };
    hall.exchange(&[n, n], order, keep, now)
}

#[test]
fn writes_all_operations_as_one_batch_or_none() {
    let store = Store::default();
    let mut hall = open(&store);
    hall.connect(&[1, 1], b"home", 0).unwrap();
    let writes = store.writes();
    hall.begin(0).unwrap();
    for n in [1, 2, 1, 2, 2] {
        let mut payment = Batch::new();
        payment.put([b'p', n], [n]);
        hall.pay(&[n, n], 100, payment, 0).unwrap();
    }
    let bought = buy(&mut hall, 3, 1 << 40, 0).unwrap();
    // The second operation of a client sees the first, and nothing is written so far.
    assert_eq!((tokens(&hall, 1, 0), tokens(&hall, 2, 0)), (200, 300));
    assert_eq!(hall.stored(&[b'p', 2]).unwrap(), Some(vec![2]));
    assert_eq!(store.writes(), writes);
    assert_eq!(tokens(&open(&store), 2, 0), 0);
    hall.commit(0).unwrap();
    assert_eq!(store.writes(), writes + 1);
    let stored = open(&store);
    assert_eq!((tokens(&stored, 1, 0), tokens(&stored, 2, 0)), (200, 300));
    assert_eq!(tokens(&stored, 3, 0), bought.tokens as u64);
    assert_eq!(stored.sale().unwrap().curve(), hall.sale().unwrap().curve());
}

#[test]
fn undoes_the_memory_of_touched_accounts_on_store_failure() {
    let store = Store::default();
    let mut hall = open(&store);
    hall.connect(&[1, 1], b"home", 0).unwrap();
    hall.pay(&[1, 1], 50, Batch::new(), 0).unwrap();
    hall.pay(&[2, 2], 70, Batch::new(), 0).unwrap();
    let sale = hall.sale().unwrap().clone();
    let total = hall.clients_mut().tracker_mut().total_tokens(0);
    store.fail(true);
    hall.begin(0).unwrap();
    hall.pay(&[1, 1], 1_000, Batch::new(), 0).unwrap();
    hall.pay(&[2, 2], 1_000, Batch::new(), 0).unwrap();
    hall.pay(&[1, 1], -20, Batch::new(), 0).unwrap();
    buy(&mut hall, 2, 1 << 40, 0).unwrap();
    hall.served(&[1, 1], 10, 0).unwrap();
    let failed = hall.commit(0).unwrap_err();
    assert!(matches!(failed, CommitError::Undone(_)), "{failed}");
    // What was served stays charged.
    assert_eq!((tokens(&hall, 1, 0), tokens(&hall, 2, 0)), (40, 70));
    assert_eq!(hall.sale(), Some(&sale));
    assert_eq!(hall.clients_mut().tracker_mut().total_tokens(0), total);
    store.fail(false);
    hall.begin(0).unwrap();
    hall.pay(&[1, 1], 5, Batch::new(), 0).unwrap();
    hall.commit(0).unwrap();
    assert_eq!(tokens(&open(&store), 1, 0), 45);
}

/// A store may report an error for a write that it has made: the payment counts, and its proof is used up.
#[test]
fn keeps_a_batch_that_was_written_in_spite_of_an_error() {
    let store = Store::default();
    let mut hall = open(&store);
    store.lie(true);
    hall.begin(0).unwrap();
    hall.pay(&[1, 1], 100, Batch::new(), 0).unwrap();
    hall.commit(0).unwrap();
    assert_eq!(tokens(&hall, 1, 0), 100);
    assert_eq!(tokens(&open(&store), 1, 0), 100);
}

#[test]
fn refuses_operations_while_a_write_has_no_known_outcome() {
    let store = Store::default();
    let mut hall = open(&store);
    hall.connect(&[1, 1], b"home", 0).unwrap();
    hall.begin(0).unwrap();
    hall.pay(&[1, 1], 100, Batch::new(), 0).unwrap();
    store.fail(true);
    store.hide(true);
    let failed = hall.commit(0).unwrap_err();
    assert!(matches!(failed, CommitError::Unknown(_)), "{failed}");
    assert!(matches!(hall.begin(0), Err(HallError::Unsettled)));
    // A commit without operations does not settle the earlier one.
    hall.commit(0).unwrap();
    assert_eq!(tokens(&hall, 1, 0), 100);
    store.fail(false);
    store.hide(false);
    hall.begin(0).unwrap();
    assert_eq!(tokens(&hall, 1, 0), 0);
    hall.commit(0).unwrap();
}

#[test]
fn buys_whole_tokens_and_tells_the_change() {
    let mut hall = open(&Store::default());
    let money = (1 << 40) + 12_345;
    let trade = buy(&mut hall, 1, money, 0).unwrap();
    assert!(trade.tokens > 0 && trade.cost <= money);
    assert_eq!(trade.cost + trade.change as i128, money);
    // One token more would cost more than the change.
    let sale = hall.sale().unwrap();
    assert!(sale.curve().price(1).unwrap() > trade.change as i128);
    assert_eq!(sale.curve().locked() as i128, trade.cost);
    assert_eq!(tokens(&hall, 1, 0), trade.tokens as u64);
    assert_eq!(hall.stored(b"c\x01").unwrap().unwrap().len(), 16);
    assert!(matches!(buy(&mut hall, 1, 0, 0), Err(HallError::Terms)));
}

#[test]
fn buys_back_no_more_than_the_customer_has() {
    let mut hall = open(&Store::default());
    let one = buy(&mut hall, 1, 1 << 40, 0).unwrap();
    buy(&mut hall, 2, 1 << 40, 0).unwrap();
    let all = Order {
        min: i64::MIN,
        max: i64::MIN,
        money: 0,
    };
    let sold = hall.exchange(&[1, 1], all, |_, _| Ok(()), 0).unwrap();
    assert_eq!((sold.tokens, sold.change), (-one.tokens, 0));
    // The later customer raised the price.
    assert!(-sold.cost >= one.cost);
    assert_eq!(tokens(&hall, 1, 0), 0);
    let none = hall.exchange(&[1, 1], all, |_, _| Ok(()), 0).unwrap();
    assert_eq!((none.tokens, none.cost), (0, 0));
}

#[test]
fn changes_nothing_if_the_money_cannot_move() {
    let mut hall = open(&Store::default());
    let before = hall.sale().unwrap().clone();
    let order = Order {
        min: 1,
        max: 5,
        money: 1 << 40,
    };
    let refused = hall.exchange(&[1, 1], order, |_, _| Err("no money".into()), 0);
    assert_eq!(refused.unwrap_err().to_string(), "no money");
    assert_eq!((hall.sale(), tokens(&hall, 1, 0)), (Some(&before), 0));
    let mut hall = Hall::new(open(&Store::default()).clients);
    assert!(matches!(buy(&mut hall, 1, 1, 0), Err(HallError::NoSale)));
}

/// Runs the hall until `until` and returns the announced expirations with their moments.
fn run(hall: &mut Market, from: u64, until: u64) -> Vec<(u64, Expiration)> {
    let mut announced = Vec::new();
    let mut now = from;
    while now <= until {
        let before = hall.expiration();
        hall.poll(now).unwrap();
        let after = hall.expiration();
        if before != after {
            announced.push((now, after.unwrap()));
        }
        now = hall.next_event().max(now + SECOND);
    }
    announced
}

/// The core of the older design: tokens lose value only while all of them can be spent.
#[test]
fn expires_tokens_only_while_capacity_is_free() {
    let mut hall = open(&Store::default());
    let bought = buy(&mut hall, 9, 1 << 44, 0).unwrap().tokens as u64;
    // Nobody is connected: all capacity is free, and half of the tokens are left after an hour.
    let announced = run(&mut hall, 0, HOUR);
    let full = terms().expiration;
    let expected = (0..=6).map(|n| {
        let until_ns = (n + 1) * TEN_MINUTES;
        (
            n * TEN_MINUTES,
            Expiration {
                rate: full,
                until_ns,
            },
        )
    });
    assert_eq!(announced, expected.collect::<Vec<_>>());
    let left = tokens(&hall, 9, HOUR);
    assert!(
        left.abs_diff(bought / 2) < bought / 1_000,
        "{bought} {left}"
    );
    // Currency of expired tokens is earned.
    let sale = hall.sale().unwrap();
    assert!(sale.earned() > 0 && sale.curve().amount().abs_diff(left) < bought / 100);

    // Ten clients take all of the capacity. The announced rate holds for the rest of its ten minutes.
    for n in 10..20 {
        hall.connect(&[n, n], &[n], HOUR).unwrap();
    }
    let announced = run(&mut hall, HOUR, 2 * HOUR);
    let first = announced[0];
    assert_eq!(first.0, HOUR + TEN_MINUTES);
    assert!(
        announced
            .iter()
            .all(|(_, expiration)| expiration.rate == ExpirationRate::NEVER)
    );
    let at = first.0;
    assert_eq!(tokens(&hall, 9, 2 * HOUR), tokens(&hall, 9, at));
    assert!(tokens(&hall, 9, at) < left);
}

#[test]
fn restores_the_sale_with_its_announced_rate() {
    let store = Store::default();
    let mut hall = open(&store);
    buy(&mut hall, 1, 1 << 42, 0).unwrap();
    run(&mut hall, 0, HOUR);
    hall.tick(HOUR + 100 * SECOND).unwrap();
    let before = hall.sale().unwrap();
    let restored = open(&store);
    let sale = restored.sale().unwrap();
    assert_eq!(
        (sale.curve(), sale.earned()),
        (before.curve(), before.earned())
    );
    let expected = Expiration {
        until_ns: TEN_MINUTES - 100 * SECOND,
        ..before.expiration()
    };
    assert_eq!(sale.expiration(), expected);
    for (bytes, length) in [
        (vec![], 0),
        (vec![1; 72], 72),
        (vec![2; 73], 73),
        (vec![1; 74], 74),
    ] {
        let mut batch = Batch::new();
        batch.put(b"market:sale", bytes);
        crate::store::Store::write(&store, &batch).unwrap();
        let hall = Hall::new(open(&Store::default()).clients);
        let refused = hall.with_sale(&store, PREFIX, terms(), 0).unwrap_err();
        assert!(matches!(refused, HallError::DamagedSale { length: found } if found == length));
    }
}

#[test]
fn counts_gifts_apart_and_goes_on() {
    let mut hall = open(&Store::default());
    let bought = buy(&mut hall, 1, 1 << 42, 0).unwrap().tokens;
    hall.pay(&[2, 2], 1_000, Batch::new(), 0).unwrap();
    let mut sale = hall.sale().unwrap().clone();
    sale.tick(FreeRatio::NONE, bought as u64 + 1_000, 1);
    assert_eq!(
        (sale.gifted(), sale.curve().amount()),
        (1_000, bought as u64)
    );
}
