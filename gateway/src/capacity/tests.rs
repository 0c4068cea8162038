//! Tickets in real time.

use super::*;
use crate::{
    ledger::{AccountKey, Currency, Room},
    offers::{Offers, Target, Work},
};
use cheque::{Address, Amount};
use http::Method;
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout};

const FILE: &str = r#"
[tokens.eth]
chain_id = 1
bank = "0xbabababababababababababababababababababa"
decimals = 18

[[route]]
path = "/small"
price = { eth = 10 }
cost = { call = 10 }

[[route]]
path = "/large"
price = { eth = 10 }
cost = { call = 10, per_ms = 1, max = 8_990 }

[[route]]
path = "/free"
free = true
cost = { call = 100 }
"#;

/// Nine thousand units take a minute and a half.
const SLOW: &str = "[capacity]\ntotal = 100\nburst = 10_000\n\
                    account = { rate = 1_000_000, burst = 10_000_000 }\n";
/// Two hundred small requests a second.
const FAST: &str = "[capacity]\ntotal = 2_000\nburst = 110\n";

const PRICE: Amount = Amount::new(10);

/// The longest wait of a test.
const SOON: Duration = Duration::from_secs(30);

fn offers(capacity: &str) -> Offers {
    let file = match capacity {
        SLOW | "" => FILE.to_owned(),
        _ => FILE.replace("8_990", "90"),
    };
    Offers::parse(&format!("{capacity}{file}"), &crate::offers::tests::home()).unwrap()
}

fn capacity(terms: &str) -> Capacity {
    Capacity::new(&offers(terms)).unwrap()
}

fn work(target: &str) -> Work {
    let target = Target::parse(target).unwrap();
    offers("").quote(&Method::GET, &target, b"").unwrap().1
}

fn account(number: u8) -> AccountKey {
    AccountKey {
        signer: Address::repeat_byte(number),
        currency: Currency {
            chain_id: 1,
            token: Address::ZERO,
        },
    }
}

async fn enter(capacity: &Capacity, number: u8, target: &str) -> Result<Ticket, Refusal> {
    capacity
        .enter(&account(number), &work(target), 100, PRICE)
        .await
}

/// Waits until so many requests stand in the queue.
async fn until_waiting(capacity: &Capacity, requests: usize) {
    while capacity.waiting().0 != requests {
        sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn serves_all_at_once_without_a_limit() {
    let capacity = capacity("");
    let mut tickets = Vec::new();
    for number in 0..200 {
        tickets.push(enter(&capacity, number, "/large").await.unwrap());
        let address = IpAddr::from(Ipv4Addr::LOCALHOST);
        tickets.push(capacity.enter_free(address, &work("/free")).unwrap());
    }
    assert_eq!(capacity.largest(), None);
    assert_eq!(
        capacity.room(&account(1), &work("/large"), u64::MAX),
        Room::Free
    );
    tickets.into_iter().for_each(|ticket| ticket.give_back(1));
}

#[tokio::test]
async fn refuses_after_two_seconds_in_the_queue() {
    let capacity = capacity(SLOW);
    let first = enter(&capacity, 1, "/large").await.unwrap();
    let began = Instant::now();
    let refused = enter(&capacity, 2, "/large").await.unwrap_err();
    let waited = began.elapsed();
    assert!(waited >= Duration::from_millis(1_990) && waited < SOON);
    assert!(matches!(refused, Refusal::Waited { .. }));
    assert!(refused.retry_seconds().unwrap() >= 1);
    assert_eq!(capacity.waiting(), (0, 0));
    drop(first);
}

#[tokio::test]
async fn serves_who_waits_as_soon_as_a_ticket_comes_back() {
    let capacity = capacity(SLOW);
    let first = enter(&capacity, 1, "/large").await.unwrap();
    let other = capacity.clone();
    let second = tokio::spawn(async move { enter(&other, 2, "/large").await });
    until_waiting(&capacity, 1).await;
    assert_eq!(capacity.waiting(), (1, 100));
    // The real cost is some ten units.
    first.give_back(0);
    let second = timeout(SOON, second).await.unwrap();
    drop(second.unwrap().unwrap());
    // A ticket that is dropped costs its announced maximum.
    let other = capacity.clone();
    let third = tokio::spawn(async move { enter(&other, 3, "/large").await });
    until_waiting(&capacity, 1).await;
    assert!(third.await.unwrap().is_err());
}

#[tokio::test]
async fn gives_up_the_place_of_a_request_that_nobody_waits_for() {
    let capacity = capacity(SLOW);
    let first = enter(&capacity, 1, "/large").await.unwrap();
    let other = capacity.clone();
    let second = tokio::spawn(async move { enter(&other, 2, "/large").await });
    until_waiting(&capacity, 1).await;
    second.abort();
    assert!(second.await.unwrap_err().is_cancelled());
    assert_eq!(capacity.waiting(), (0, 0));
    first.give_back(0);
    let third = enter(&capacity, 2, "/large");
    timeout(SOON, third).await.unwrap().unwrap().give_back(0);
}

#[tokio::test]
async fn bounds_the_queue_of_an_account_by_requests_and_bytes() {
    let capacity = capacity(SLOW);
    let first = enter(&capacity, 9, "/large").await.unwrap();
    let large = work("/large");
    for _ in 0..256 {
        let (other, own) = (capacity.clone(), account(1));
        tokio::spawn(async move { other.enter(&own, &work("/large"), 30_000, PRICE).await });
    }
    until_waiting(&capacity, 256).await;
    assert_eq!(capacity.waiting().1, 256 * 30_000);
    let room = capacity.room(&account(1), &large, 1);
    assert!(matches!(room, Room::Full { retry_after: 1.. }));
    let refused = capacity.enter(&account(1), &large, 1, PRICE).await;
    assert!(matches!(refused, Err(Refusal::AccountQueueFull { .. })));
    let refused = capacity.enter(&account(3), &large, 64 << 20, PRICE).await;
    assert!(matches!(refused, Err(Refusal::QueueFull { .. })));
    let refused = capacity.enter(&account(3), &large, 9 << 20, PRICE).await;
    assert!(matches!(refused, Err(Refusal::AccountQueueFull { .. })));
    assert_eq!(capacity.room(&account(3), &large, 1), Room::Free);
    drop(first);
}

#[tokio::test]
async fn new_offers_without_a_limit_serve_all_that_wait() {
    let capacity = capacity(SLOW);
    let first = enter(&capacity, 1, "/large").await.unwrap();
    let other = capacity.clone();
    let second = tokio::spawn(async move { enter(&other, 2, "/large").await });
    until_waiting(&capacity, 1).await;
    capacity.reload(&offers("")).unwrap();
    second.await.unwrap().unwrap().give_back(0);
    // Units of an older limit do not come back to a new one.
    capacity.reload(&offers(SLOW)).unwrap();
    let third = enter(&capacity, 1, "/large").await.unwrap();
    first.give_back(0);
    let fourth = enter(&capacity, 2, "/large").await;
    assert!(matches!(fourth, Err(Refusal::Waited { .. })));
    drop(third);
}

/// Two accounts that always have requests waiting, one of which was charged three times as much.
#[tokio::test]
async fn shares_capacity_by_what_accounts_were_charged() {
    let capacity = capacity(FAST);
    capacity.charged(&account(1), Amount::new(30_000));
    capacity.charged(&account(2), Amount::new(10_000));
    let over = Arc::new(AtomicBool::new(false));
    let served = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let mut asking = Vec::new();
    for number in [1u8, 2] {
        for _ in 0..20 {
            let (capacity, over, served) = (capacity.clone(), over.clone(), served.clone());
            asking.push(tokio::spawn(async move {
                while !over.load(SeqCst) {
                    match enter(&capacity, number, "/small").await {
                        Ok(ticket) => {
                            served[usize::from(number) - 1].fetch_add(1, SeqCst);
                            ticket.give_back(0);
                        }
                        Err(refusal) => panic!("{refusal}"),
                    }
                }
            }));
        }
    }
    sleep(Duration::from_secs(3)).await;
    over.store(true, SeqCst);
    for asking in asking {
        asking.await.unwrap();
    }
    let [more, less] = [0, 1].map(|index: usize| served[index].load(SeqCst));
    // 198 a second, and eleven at once; 40 requests are still on their way at the end.
    assert!((400..=700).contains(&(more + less)), "{more} {less}");
    assert!(
        more * 10 >= less * 25 && more * 10 <= less * 35,
        "{more} {less}"
    );
}

#[tokio::test]
async fn gives_free_clients_at_most_a_tenth() {
    let capacity = capacity("[capacity]\ntotal = 1_000\nburst = 1_000\n");
    let free = |last: u8| {
        let address = IpAddr::from([10, 0, last, 1]);
        capacity.enter_free(address, &work("/free"))
    };
    // A burst of a tenth, and the next client waits for the refill, whatever its network.
    let ticket = free(1).unwrap();
    for network in 2..=50 {
        let refused = free(network).unwrap_err();
        assert!(matches!(refused, Refusal::FreeShare { .. }));
        assert!(refused.retry_seconds().unwrap() >= 1);
    }
    ticket.give_back(0);
    // Paying clients have the rest at once.
    for number in 1..=80 {
        let entered = timeout(SOON, enter(&capacity, number, "/small"));
        entered.await.unwrap().unwrap().give_back(0);
    }
}
