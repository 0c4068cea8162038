//! Following the chain: new heads, and the place in it that a restart goes on from.

use crate::cast::{Cast, memory, opened, pay};
use crate::node::{World, coins};
use crate::proxy::{Fault, Proxy};
use cheque::{ChainProfile, DepositId};
use cheque::{bank::BankError, store::Store};
use cheque::{
    bank::{Cursor, Head, HeadCheckError, Heads, Reader},
    node::connect_within,
};
use std::sync::{Arc, Mutex};
use std::{io, net, thread, time::Duration};
#[cfg(feature = "service")]
use {
    crate::node::{policy, secret},
    alloy_primitives::Address,
    cheque::payee::{Payee, PayeeService, PayeeSettings, ReceiveError},
    cheque::payer::{Payer, PayerError, PayerService},
};

/// Longer than any test waits, and shorter than a block here.
const SOON: Duration = Duration::from_secs(15);

/// The bank through other ways to the node, on a chain whose blocks take so many seconds.
async fn reader(world: &World, urls: &[&str], block_time: u64) -> Reader {
    let provider = connect_within(urls, Duration::from_secs(2)).await.unwrap();
    let reader = Reader::open(provider, world.reader.bank().address());
    reader.await.unwrap().with_profile(ChainProfile {
        block_time,
        ..*world.reader.profile()
    })
}

async fn soon(heads: &mut Heads) -> Result<Head, BankError> {
    let next = tokio::time::timeout(SOON, heads.next()).await;
    next.expect("a head comes")
}

async fn follows(world: &World, heads: &mut Heads) {
    let before = soon(heads).await.unwrap();
    assert_eq!(before, world.reader.head().await.unwrap());
    for _ in 0..3 {
        world.node.mine(1).await;
        let after = soon(heads).await.unwrap();
        assert_eq!(after, world.reader.head().await.unwrap());
    }
}

#[tokio::test]
async fn over_http_heads_are_asked_for_and_the_same_one_comes_again_when_there_is_no_news() {
    let world = World::new().await;
    let reader = reader(&world, &[&world.node.url], 4).await;
    follows(&world, &mut reader.heads()).await;
    let reader = self::reader(&world, &[&world.node.url], 1).await;
    let mut heads = reader.heads();
    let first = soon(&mut heads).await.unwrap();
    assert_eq!(soon(&mut heads).await.unwrap(), first);
}

#[tokio::test]
async fn a_head_that_cannot_be_had_is_an_error_and_the_next_one_comes() {
    let world = World::new().await;
    let proxy = Proxy::start(&world.node.provider).await;
    let reader = reader(&world, &[&proxy.url], 1).await;
    let mut heads = reader.heads();
    soon(&mut heads).await.unwrap();
    proxy.fail("", Fault::Garbage);
    soon(&mut heads).await.unwrap_err();
    let asked = proxy.requests();
    proxy.heal();
    soon(&mut heads).await.unwrap();
    assert_eq!(proxy.requests(), asked + 1, "it waits before it asks again");
}

#[tokio::test]
async fn over_websocket_the_node_tells_of_new_heads_though_the_connection_was_cut() {
    let world = World::new().await;
    let relay = Relay::start(&world.node.url);
    // Asked for, the first new head would come after a quarter of a block's time.
    let reader = reader(&world, &[&relay.url], 400).await;
    let mut heads = reader.heads();
    follows(&world, &mut heads).await;

    relay.cut();
    reader.head().await.unwrap();
    let mine = async {
        // The subscription is made again meanwhile; a head of before that would not be told.
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            world.node.mine(1).await;
        }
    };
    tokio::select! {
        next = soon(&mut heads) => assert!(next.is_ok(), "{next:?}"),
        () = mine => {}
    }
}

#[tokio::test]
async fn heads_go_on_at_the_other_node_when_the_one_that_told_them_is_gone() {
    let world = World::new().await;
    let relay = Relay::start(&world.node.url);
    let proxy = Proxy::start(&world.node.provider).await;
    let reader = reader(&world, &[&relay.url, &proxy.url], 8).await;
    let mut heads = reader.heads();
    follows(&world, &mut heads).await;
    assert_eq!(proxy.asked("eth_getBlockByNumber"), 0);
    relay.close();
    follows(&world, &mut reader.heads()).await;
    assert!(proxy.asked("eth_getBlockByNumber") > 0);
}

async fn cursor(world: &World, store: &Arc<dyn Store>) -> Cursor {
    let cursor = Cursor::open(&world.reader, store.clone(), "test").await;
    cursor.unwrap()
}

#[tokio::test]
async fn a_cursor_knows_after_a_restart_how_much_of_what_it_knew_was_replaced() {
    let world = World::new().await;
    let store: Arc<dyn Store> = memory();
    let first = cursor(&world, &store).await;
    let since = first.since().await.unwrap();
    assert_eq!((since.from, since.replaced, first.newest()), (0, 0, None));
    for depth in [1, 2, 7, 12, 31] {
        let mut running = cursor(&world, &store).await;
        let fork = world.head().await;
        running
            .advance(&world.reader.head().await.unwrap())
            .await
            .unwrap();
        let snapshot = world.node.anvil("evm_snapshot", ()).await;
        for _ in 0..depth {
            world.node.mine(1).await;
            let head = world.reader.head().await.unwrap();
            running.advance(&head).await.unwrap();
        }
        let since = running.since().await.unwrap();
        assert_eq!((since.from, since.replaced), (fork + depth + 1, 0));
        world.node.anvil("evm_revert", [snapshot]).await;
        // Shorter at first, then longer than before, with other blocks.
        for blocks in [1, depth] {
            world.node.anvil("evm_increaseTime", [100]).await;
            world.node.mine(blocks).await;
            let restarted = cursor(&world, &store).await;
            assert_eq!(restarted.newest(), running.newest());
            let since = restarted.since().await.unwrap();
            assert_eq!((since.from, since.replaced), (fork + 1, depth));
        }
    }
}

#[tokio::test]
async fn processes_that_share_a_cursor_keep_the_newest_word() {
    let world = World::new().await;
    let store: Arc<dyn Store> = memory();
    let (mut one, mut other) = (cursor(&world, &store).await, cursor(&world, &store).await);
    for follower in [&mut one, &mut other] {
        world.node.mine(1).await;
        let head = world.reader.head().await.unwrap();
        follower.advance(&head).await.unwrap();
        assert_eq!(cursor(&world, &store).await.newest(), Some(head));
    }
    // Once more for the same block changes nothing.
    let head = world.reader.head().await.unwrap();
    one.advance(&head).await.unwrap();
    assert_eq!(one.newest(), other.newest());
}

#[tokio::test]
async fn a_restart_remembers_the_head_and_refuses_an_older_one() {
    let cast = Cast::new().await;
    let world = &cast.world;
    world.node.mine(10).await;
    let store: Arc<dyn Store> = memory();
    let head = world.reader.head().await.unwrap();
    cursor(world, &store).await.advance(&head).await.unwrap();

    let proxy = Proxy::start(&world.node.provider).await;
    proxy.fail("eth_getBlockByNumber", Fault::Behind(5));
    let restarted = reader(world, &[&proxy.url], 1).await;
    let restarted = restarted.with_profile(ChainProfile {
        confirmations: 4,
        stale_after: Some(3_600),
        ..*world.reader.profile()
    });
    restarted.checked_head().await.unwrap();
    Cursor::open(&restarted, store, "test").await.unwrap();
    let refused = restarted.checked_head().await.unwrap_err();
    assert!(
        matches!(refused, BankError::Head(HeadCheckError::WentBack { .. })),
        "{refused}"
    );
}

#[cfg(feature = "service")]
#[tokio::test]
async fn services_that_start_again_pay_and_take_nothing_by_an_older_head_before_they_look() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, payees) = cast.players();
    let id = opened(world, &payer, &cast.request(60)).await.id;
    let (_, account) = secret(11);
    let proof = pay(&payer, &payees[0], id, coins(1)).await.0.proof.unwrap();
    world.node.mine(10).await;
    let head = world.reader.head().await.unwrap();
    let (kept, taken): (Arc<dyn Store>, Arc<dyn Store>) = (cast.store.clone(), memory());
    for (store, name) in [(&kept, "payer"), (&taken, "payee")] {
        let cursor = Cursor::open(&world.reader, store.clone(), name);
        cursor.await.unwrap().advance(&head).await.unwrap();
    }

    let proxy = Proxy::start(&world.node.provider).await;
    proxy.fail("eth_getBlockByNumber", Fault::Behind(5));
    let restarted = async || {
        let restarted = reader(world, &[&proxy.url], 1).await;
        restarted.with_profile(ChainProfile {
            confirmations: 4,
            stale_after: Some(3_600),
            ..*world.reader.profile()
        })
    };
    let payer = Payer::new(restarted().await, kept).with_key(cast.payer.key.clone());
    let payer = PayerService::new(payer, None);
    let refused = payer.pay(account, Address::ZERO, coins(1)).await;
    assert!(
        matches!(&refused, Err(PayerError::Bank(error)) if went_back(error)),
        "{refused:?}"
    );
    let reader = restarted().await;
    let policy = policy(&reader, account);
    let settings = PayeeSettings::new(&policy, reader.profile());
    let payee = PayeeService::new(Payee::new(reader, policy, taken), settings);
    let refused = payee.receive_payment(None, &proof).await;
    assert!(
        matches!(&refused, Err(ReceiveError::Bank(error)) if went_back(error)),
        "{refused:?}"
    );

    proxy.heal();
    let paid = payer.pay(account, Address::ZERO, coins(1)).await;
    assert_eq!(paid.unwrap()[0].spent, coins(2));
    payee.receive_payment(None, &proof).await.unwrap();
}

#[cfg(feature = "service")]
fn went_back(error: &BankError) -> bool {
    matches!(error, BankError::Head(HeadCheckError::WentBack { .. }))
}

#[tokio::test]
async fn payer_and_payee_poll_at_each_head_and_tell_of_deep_reorganisations() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, payees) = cast.players();
    let id: DepositId = opened(world, &payer, &cast.request(60)).await.id;
    pay(&payer, &payees[0], id, coins(1)).await;
    let mut events = payer.subscribe_deposit_events();
    let snapshot = world.node.anvil("evm_snapshot", ()).await;
    let (payer_errors, payee_errors) = (Errors::default(), Errors::default());
    let running = [
        tokio::spawn({
            let (payer, errors) = (payer.clone(), payer_errors.clone());
            async move { payer.run(|error| errors.push(&error)).await }
        }),
        tokio::spawn({
            let (payee, errors) = (payees[0].clone(), payee_errors.clone());
            async move { payee.run(|error| errors.push(&error)).await }
        }),
    ];
    world.node.mine(50).await;
    events.recv().await.unwrap();
    // Both have dealt with a head that goes now, and three blocks are more than the one that is usual here.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(payer_errors.all().is_empty(), "{:?}", payer_errors.all());
    world.node.anvil("evm_revert", [snapshot]).await;
    world.node.mine(2).await;
    for errors in [payer_errors, payee_errors] {
        let told = async {
            while !errors
                .all()
                .iter()
                .any(|error| error.contains("blocks were replaced"))
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(SOON, told).await.expect("it is told");
    }
    running.iter().for_each(tokio::task::JoinHandle::abort);
}

#[derive(Clone, Default)]
struct Errors(Arc<Mutex<Vec<String>>>);

impl Errors {
    fn push(&self, error: &dyn std::error::Error) {
        self.0.lock().unwrap().push(error.to_string());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// A WebSocket's way to the node, which can be cut.
struct Relay {
    url: String,
    open: Arc<Mutex<Option<Vec<net::TcpStream>>>>,
}

impl Relay {
    fn start(node: &str) -> Self {
        let node = node.strip_prefix("http://").unwrap().to_owned();
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let open = Arc::new(Mutex::new(Some(Vec::new())));
        let streams = open.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let Some(open) = &mut *streams.lock().unwrap() else {
                    return;
                };
                let Ok(server) = net::TcpStream::connect(&node) else {
                    return;
                };
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    thread::spawn(move || io::copy(&mut from, &mut to));
                }
                open.extend([client, server]);
            }
        });
        Self { url, open }
    }

    /// Cuts all connections; new ones are fine.
    fn cut(&self) {
        for stream in self.open.lock().unwrap().iter_mut().flatten() {
            let _ = stream.shutdown(net::Shutdown::Both);
        }
    }

    /// Cuts all connections, and takes no new ones.
    fn close(&self) {
        self.cut();
        *self.open.lock().unwrap() = None;
    }
}
