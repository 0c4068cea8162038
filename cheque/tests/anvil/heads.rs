//! New heads, and the cursor from which a restart continues.

use crate::fixtures::{HOUR, memory, open_deposit, pay};
use crate::node::{World, coins};
use crate::over;
use crate::proxy::{Fault, Proxy};
use cheque::ChainProfile;
use cheque::store::Store;
use cheque::{
    bank::{BankError, Cursor, Head, HeadCheckError, Heads, Reader},
    node::connect_within,
};
use std::sync::{Arc, Mutex};
use std::{io, net, thread, time::Duration};
#[cfg(feature = "service")]
use {
    crate::node::secret,
    alloy_primitives::Address,
    cheque::payee::{PayeeService, PayeeSettings, ReceiveError},
    cheque::payer::{PayerError, PayerService},
};

/// Timeout of a wait for a head.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The bank over other addresses of the node, asked for news every `poll` milliseconds.
async fn reader(world: &World, urls: &[&str], poll: u64) -> Reader {
    let provider = connect_within(urls, Duration::from_secs(2)).await.unwrap();
    let reader = Reader::open(provider, world.reader.bank().address());
    reader.await.unwrap().with_profile(ChainProfile {
        poll: Duration::from_millis(poll),
        ..*world.reader.profile()
    })
}

async fn next_head(heads: &mut Heads) -> Result<Head, BankError> {
    let next = tokio::time::timeout(TIMEOUT, heads.next()).await;
    next.expect("a head in time")
}

async fn follows(world: &World, heads: &mut Heads) {
    let before = next_head(heads).await.unwrap();
    assert_eq!(before, world.reader.head().await.unwrap());
    for _ in 0..3 {
        world.node.mine(1).await;
        let after = next_head(heads).await.unwrap();
        assert_eq!(after, world.reader.head().await.unwrap());
    }
}

#[tokio::test]
async fn polls_http_heads_and_repeats_unchanged_head() {
    let world = World::new().await;
    let reader = reader(&world, &[&world.node.url], 1_000).await;
    follows(&world, &mut reader.heads()).await;
    let reader = self::reader(&world, &[&world.node.url], 250).await;
    let mut heads = reader.heads();
    let first = next_head(&mut heads).await.unwrap();
    assert_eq!(next_head(&mut heads).await.unwrap(), first);
}

#[tokio::test]
async fn reports_failed_head_and_continues() {
    let world = World::new().await;
    let proxy = Proxy::start(&world.node.provider).await;
    let reader = reader(&world, &[&proxy.url], 250).await;
    let mut heads = reader.heads();
    next_head(&mut heads).await.unwrap();
    proxy.fail("", Fault::Garbage);
    next_head(&mut heads).await.unwrap_err();
    let asked = proxy.requests();
    proxy.heal();
    next_head(&mut heads).await.unwrap();
    assert_eq!(
        proxy.requests(),
        asked + 1,
        "the failed head was asked for again at once"
    );
}

#[tokio::test]
async fn resubscribes_to_heads_after_websocket_cut() {
    let world = World::new().await;
    let relay = Relay::start(&world.node.url);
    // Polling would find the first new head only after 100 seconds.
    let reader = reader(&world, &[&relay.url], 100_000).await;
    let mut heads = reader.heads();
    follows(&world, &mut heads).await;

    relay.cut();
    reader.head().await.unwrap();
    let mine = async {
        // The new subscription reports only heads that follow it.
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            world.node.mine(1).await;
        }
    };
    tokio::select! {
        next = next_head(&mut heads) => assert!(next.is_ok(), "{next:?}"),
        () = mine => {}
    }
}

#[tokio::test]
async fn follows_heads_of_other_node_after_failure() {
    let world = World::new().await;
    let relay = Relay::start(&world.node.url);
    let proxy = Proxy::start(&world.node.provider).await;
    let reader = reader(&world, &[&relay.url, &proxy.url], 2_000).await;
    let mut heads = reader.heads();
    follows(&world, &mut heads).await;
    assert_eq!(proxy.asked("eth_getBlockByNumber"), 0);
    relay.close();
    follows(&world, &mut reader.heads()).await;
    assert!(proxy.asked("eth_getBlockByNumber") > 0);
}

/// Advances a cursor to the newest head.
async fn advance(cursor: &mut Cursor, world: &World) -> Head {
    let head = world.reader.head().await.unwrap();
    let last_final = world.reader.final_block(&head).await.unwrap();
    cursor.advance(&head, &last_final).await.unwrap();
    head
}

async fn cursor(world: &World, store: &Arc<dyn Store>) -> Cursor {
    let cursor = Cursor::open(&world.reader, store.clone(), "test").await;
    cursor.unwrap()
}

#[tokio::test]
async fn reports_replaced_blocks_after_restart() {
    let world = World::new().await;
    let store: Arc<dyn Store> = memory();
    let first = cursor(&world, &store).await;
    let since = first.since().await.unwrap();
    assert_eq!((since.from, since.replaced, first.newest()), (0, 0, None));
    for depth in [1, 2, 7, 12, 31] {
        let mut running = cursor(&world, &store).await;
        let fork = world.head().await;
        advance(&mut running, &world).await;
        let snapshot = world.node.snapshot().await;
        for _ in 0..depth {
            world.node.mine(1).await;
            advance(&mut running, &world).await;
        }
        let since = running.since().await.unwrap();
        assert_eq!((since.from, since.replaced), (fork + depth + 1, 0));
        world.node.revert(snapshot).await;
        // The new fork is shorter first, then longer than the old one.
        for blocks in [1, depth] {
            world.node.advance(100).await;
            world.node.mine(blocks - 1).await;
            let restarted = cursor(&world, &store).await;
            assert_eq!(restarted.newest(), running.newest());
            let since = restarted.since().await.unwrap();
            assert_eq!((since.from, since.replaced), (fork + 1, depth));
            // Here the head counts as final.
            let lost = since.lost_final.map(|block| block.number);
            assert_eq!(lost, restarted.newest().map(|head| head.number));
        }
    }
}

#[tokio::test]
async fn keeps_newest_head_in_shared_cursor() {
    let world = World::new().await;
    let store: Arc<dyn Store> = memory();
    let (mut one, mut other) = (cursor(&world, &store).await, cursor(&world, &store).await);
    for follower in [&mut one, &mut other] {
        world.node.mine(1).await;
        let head = advance(follower, &world).await;
        assert_eq!(cursor(&world, &store).await.newest(), Some(head));
    }
    // Advancing to the same block again changes nothing.
    advance(&mut one, &world).await;
    assert_eq!(one.newest(), other.newest());
}

#[tokio::test]
async fn refuses_older_head_after_restart() {
    let fixture = over::behind_the_clock(20).await;
    let world = &fixture.world;
    world.node.mine(10).await;
    let store: Arc<dyn Store> = memory();
    advance(&mut cursor(world, &store).await, world).await;

    let proxy = Proxy::start(&world.node.provider).await;
    proxy.fail("eth_getBlockByNumber", Fault::Behind(5));
    let restarted = reader(world, &[&proxy.url], 250).await;
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
async fn refuses_older_head_in_restarted_services_before_poll() {
    // The head stored by the cursor counts before the first poll.
    let fixture = over::behind_the_clock(20).await;
    let world = &fixture.world;
    let (payer, payees) = fixture.actors();
    let id = open_deposit(world, &payer, &fixture.request(HOUR)).await.id;
    let (_, account) = secret(11);
    let proof = pay(&payer, &payees[0], id, coins(1)).await.0.proof;
    world.node.mine(10).await;
    let (kept, taken): (Arc<dyn Store>, Arc<dyn Store>) = (fixture.store.clone(), memory());
    for (store, name) in [(&kept, "payer"), (&taken, "payee")] {
        let cursor = Cursor::open(&world.reader, store.clone(), name);
        advance(&mut cursor.await.unwrap(), world).await;
    }

    let proxy = Proxy::start(&world.node.provider).await;
    proxy.fail("eth_getBlockByNumber", Fault::Behind(5));
    let restarted = async || reader(world, &[&proxy.url], 250).await;
    let payer = over::payer(world, &restarted().await, &fixture.payer, kept);
    let payer = PayerService::new(payer, None);
    let refused = payer.pay(account, Address::ZERO, coins(1)).await;
    assert!(
        matches!(&refused, Err(PayerError::Bank(error)) if went_back(error)),
        "{refused:?}"
    );
    let payee = over::payee(world, &restarted().await, &fixture.payees[0], taken);
    let settings = PayeeSettings::new(payee.policy(), payee.reader().profile());
    let payee = PayeeService::new(payee, settings);
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

/// A relay to the node's WebSocket.
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

    /// Cuts all connections and accepts new ones.
    fn cut(&self) {
        for stream in self.open.lock().unwrap().iter_mut().flatten() {
            let _ = stream.shutdown(net::Shutdown::Both);
        }
    }

    /// Cuts all connections and accepts no new ones.
    fn close(&self) {
        self.cut();
        *self.open.lock().unwrap() = None;
    }
}
