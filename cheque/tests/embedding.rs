//! Applications that embed a payee with its records in PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/fixtures.rs"]
mod fixtures;
#[path = "support/harness.rs"]
mod harness;
#[path = "support/node.rs"]
mod node;
#[path = "support/postgres.rs"]
mod postgres;
#[path = "support/process.rs"]
mod process;
#[path = "../examples/shop/app.rs"]
mod shop;

use alloy_primitives::{B256, hex};
use cheque::{
    payee::{PayeeService, PayeeSettings, ReceiveError},
    payer::PayerService,
    service::Health,
    store::Postgres,
};
use fixtures::{Fixture, HOUR, memory, open_deposit, request};
use harness::tests;
use node::coins;
use postgres::{Server, with_client};
use shop::{PRICE, Settings, Shop, account_key};
use std::{net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
    sync::watch,
    task::JoinHandle,
    time::sleep,
};

fn main() -> ExitCode {
    harness::run(&[], || {
        let all = tests![
            shop_takes_payments_sells_and_redeems_its_win,
            shows_in_health_that_the_database_is_read_only,
        ];
        harness::ignore_if(postgres::missing(), all).collect()
    })
}

/// Waits until a condition holds, for a minute at most.
async fn until(what: &str, wanted: impl AsyncFn() -> bool) {
    for _ in 0..600 {
        if wanted().await {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("not within a minute: {what}");
}

/// Sends a request with a token, and returns status and body.
async fn ask(shop: SocketAddr, request: &str, token: Option<&str>, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(shop).await.unwrap();
    let token = token.map(|token| format!("authorization: Bearer {token}\r\n"));
    let (token, length) = (token.unwrap_or_default(), body.len());
    let request = format!(
        "{request} HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n{token}content-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    (status, body.to_owned())
}

/// Shows a proof until the shop has seen the opening of its deposit, and returns the value.
async fn accepted(shop: SocketAddr, token: Option<&str>, proof: &str) -> u128 {
    for _ in 0..100 {
        let (status, text) = ask(shop, "POST /payments", token, proof).await;
        if status == 200 {
            return text.parse().unwrap();
        }
        assert!(
            status == 402 && text.contains("not confirmed yet"),
            "{text}"
        );
        sleep(Duration::from_millis(100)).await;
    }
    panic!("the deposit is not confirmed");
}

/// A shop that runs until it is stopped.
struct Running {
    at: SocketAddr,
    stop: watch::Sender<()>,
    task: JoinHandle<()>,
}

async fn start(settings: &Settings<'_>) -> Running {
    let shop = Shop::open(settings).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let (stop, mut stopped) = watch::channel(());
    let task = tokio::spawn(async move {
        let stopped = async move { drop(stopped.changed().await) };
        shop.run(listener, stopped).await.unwrap();
    });
    Running { at, stop, task }
}

fn shop_takes_payments_sells_and_redeems_its_win() {
    let server = Server::shared();
    let database = server.database();
    let work = async {
        let fixture = Fixture::new().await;
        let (world, account) = (&fixture.world, &fixture.payees[0]);
        let customer = fixture.payer.address;
        let (payer, _) = fixture.actors();
        let settings = Settings {
            node: &world.node.url,
            bank: world.reader.bank().address(),
            relays: &world.beacon.url,
            secret: &hex::encode_prefixed(B256::repeat_byte(11)),
            database: &database,
            customers: &[
                ("token of the payer", customer),
                ("another token", account.address),
            ],
        };
        let mut running = start(&settings).await;
        let token = Some("token of the payer");
        let request = request(&[account], &fixture.payer, HOUR);
        let opened = open_deposit(world, &payer, &request).await;
        let pay = async |amount| {
            let paid = payer.write_cheque(opened.id, account.address, amount).await;
            paid.unwrap().proof.to_string()
        };
        let proof = pay(coins(40)).await;
        let payments = "POST /payments";
        assert_eq!(ask(running.at, payments, None, &proof).await.0, 401);
        assert_eq!(
            ask(running.at, payments, Some("guessed"), &proof).await.0,
            401
        );
        let other = Some("another token");
        assert_eq!(ask(running.at, payments, other, &proof).await.0, 422);
        assert_eq!(ask(running.at, payments, token, "no proof").await.0, 422);
        assert_eq!(ask(running.at, "GET /goods", token, "").await.0, 402);
        let mut balance = accepted(running.at, token, &proof).await;
        assert!(balance > PRICE);
        assert_eq!(ask(running.at, payments, token, &proof).await.0, 409);
        let goods = ask(running.at, "GET /goods", token, "").await;
        assert_eq!(goods, (200, "goods".to_owned()));
        balance -= PRICE;

        // A restart keeps balance and position.
        drop(running.stop);
        running.task.await.unwrap();
        running = start(&settings).await;
        let shown = ask(running.at, "GET /balance", token, "").await;
        assert_eq!(shown, (200, balance.to_string()));
        assert_eq!(ask(running.at, payments, token, &proof).await.0, 409);
        balance += accepted(running.at, token, &pay(coins(60)).await).await;
        until("healthy", async || {
            ask(running.at, "GET /health", None, "").await.0 == 200
        })
        .await;

        // SQL reads the balance.
        let address = database.clone();
        let sql = "SELECT value FROM cheque_rows WHERE tab = 'app' AND key = $1";
        let read = tokio::task::spawn_blocking(move || {
            with_client(&address, async |client| {
                let row = client.query_one(sql, &[&account_key(customer)]).await;
                row.unwrap().get::<_, Vec<u8>>(0)
            })
        });
        assert_eq!(read.await.unwrap(), balance.to_be_bytes());

        // The only payee of a deposit wins it after payment of its whole allowance.
        world.draw(&opened.deposit).await;
        let redeemed = async || !world.balance(account.address).await.is_zero();
        until("the win is redeemed", redeemed).await;
        assert_eq!(world.balance(account.address).await, coins(100).to_u256());
        drop(running.stop);
        running.task.await.unwrap();
    };
    Runtime::new().unwrap().block_on(work);
}

/// Makes a database read-only or writable, for new sessions, and ends all others.
async fn set_read_only(server: &Arc<Server>, database: &str, read_only: bool) {
    let (_, rest) = database.split_once("://").unwrap();
    let (_, name) = rest.split_once('/').unwrap();
    let name = name.split('?').next().unwrap();
    let value = if read_only { "on" } else { "off" };
    let change = format!("ALTER DATABASE {name} SET default_transaction_read_only = {value}");
    let end = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND pid <> pg_backend_pid()"
    );
    let server = server.clone();
    let run = tokio::task::spawn_blocking(move || {
        server.run(&change);
        server.run(&end);
    });
    run.await.unwrap();
}

fn shows_in_health_that_the_database_is_read_only() {
    // No block and no payment comes: the services are idle.
    let server = Server::shared();
    let database = server.database();
    let work = async {
        let fixture = Fixture::new().await;
        let world = &fixture.world;
        let open = || Arc::new(Postgres::open(&database).unwrap());
        let payer = PayerService::new(world.payer(&fixture.payer, open()), None);
        let payee = world.payee(&fixture.payees[0], open());
        let settings = PayeeSettings::new(payee.policy(), payee.reader().profile());
        let payee = PayeeService::new(payee, settings);
        let (stop, stopped) = watch::channel(());
        let stopped = || {
            let mut stopped = stopped.clone();
            async move { drop(stopped.changed().await) }
        };
        let running = [
            tokio::spawn({
                let (payer, stopped) = (payer.clone(), stopped());
                async move { payer.run(stopped).await.unwrap() }
            }),
            tokio::spawn({
                let (payee, stopped) = (payee.clone(), stopped());
                async move { payee.run(stopped).await.unwrap() }
            }),
        ];
        let both =
            |wanted: &dyn Fn(Health) -> bool| wanted(payer.health()) && wanted(payee.health());
        until("healthy", async || both(&|health| health.ok)).await;
        set_read_only(&server, &database, true).await;
        let is_ill = |health: Health| {
            !health.ok
                && health.reason.starts_with("cannot write to its store")
                && health.reason.contains("read-only")
        };
        until("ill while read-only", async || both(&is_ill)).await;
        set_read_only(&server, &database, false).await;
        until("healthy again", async || both(&|health| health.ok)).await;

        // A failed payment shows at once.
        let source = world.payer(&fixture.payer, memory());
        let id = open_deposit(world, &source, &fixture.request(HOUR))
            .await
            .id;
        let paid = source
            .write_cheque(id, fixture.payees[0].address, coins(5))
            .await;
        let proof = paid.unwrap().proof;
        // The running service may have a snapshot of before the opening.
        payee.payee().poll().await.unwrap();
        set_read_only(&server, &database, true).await;
        let refused = payee.receive_payment(None, &proof).await.unwrap_err();
        assert!(matches!(refused, ReceiveError::Stored(_)), "{refused}");
        assert!(!payee.health().ok, "{:?}", payee.health());
        set_read_only(&server, &database, false).await;
        until("healthy again", async || payee.health().ok).await;
        payee.receive_payment(None, &proof).await.unwrap();
        drop(stop);
        for service in running {
            service.await.unwrap();
        }
    };
    Runtime::new().unwrap().block_on(work);
}
