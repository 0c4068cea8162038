//! Health of the payer's service.

use crate::fixtures::{Fixture, HOUR, memory, open_deposit, pay};
use crate::node::coins;
use cheque::payee::{PayeeService, PayeeSettings};
use cheque::payer::Payer;
use cheque::payer::PayerService;
use cheque::store::{Change, Store, Swap, Table, account_key};
use std::time::Duration;

/// A payee's account, which the service reads in every step and never in a poll.
struct PayeeAccount<'a> {
    fixture: &'a Fixture,
    key: [u8; 52],
    bytes: Vec<u8>,
}

impl PayeeAccount<'_> {
    fn swap(&self, old: &[u8], new: &[u8]) {
        let change = Change {
            table: Table::Accounts,
            key: &self.key,
            old: Some(old),
            new: Some(new),
        };
        assert_eq!(self.fixture.store.swap(&[change]).unwrap(), Swap::Done);
    }

    fn spoil(&self) {
        self.swap(&self.bytes, b"spoilt");
    }

    fn heal(&self) {
        self.swap(b"spoilt", &self.bytes);
    }
}

/// A freshly started payer's service, and the account of a paid payee.
async fn started(fixture: &Fixture) -> (PayerService, PayeeAccount<'_>) {
    let (payer, payees) = fixture.actors();
    let id = open_deposit(&fixture.world, &payer, &fixture.request(HOUR))
        .await
        .id;
    pay(&payer, &payees[0], id, coins(5)).await;
    let key = account_key(id, fixture.payees[0].address);
    let bytes = fixture.store.get(Table::Accounts, &key).unwrap().unwrap();
    let account = PayeeAccount {
        fixture,
        key,
        bytes,
    };
    (PayerService::new(fixture.actors().0, None), account)
}

#[tokio::test]
async fn reports_ill_health_and_retries_at_same_head() {
    // The payer sees the chain and cannot act.
    let fixture = Fixture::new().await;
    let (service, account) = started(&fixture).await;
    account.spoil();
    for _ in 0..2 {
        let failed = service.step().await.unwrap_err().to_string();
        let health = service.health();
        assert!(!health.ok && health.head.is_some(), "{health:?}");
        assert!(health.reason.contains(&failed), "{health:?}");
        assert_eq!(health.last_error, Some(failed));
    }
    account.heal();
    service.step().await.unwrap();
    let health = service.health();
    assert!(health.ok, "{health:?}");
}

#[tokio::test]
async fn retries_without_new_head_while_running() {
    let fixture = Fixture::new().await;
    let (service, account) = started(&fixture).await;
    account.spoil();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn({
        let service = service.clone();
        async move { service.run(async { drop(stopped.await) }).await }
    });
    let until = async |wanted: &dyn Fn() -> bool| {
        for _ in 0..1_000 {
            if wanted() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{:?}", service.health());
    };
    let head = fixture.world.head().await;
    until(&|| service.health().last_error.is_some()).await;
    assert!(!service.health().ok, "{:?}", service.health());
    account.heal();
    until(&|| service.health().ok).await;
    assert_eq!(service.health().head, Some(head));
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn reports_idle_payer_healthy_with_and_without_wallet() {
    let fixture = Fixture::new().await;
    let bare = Payer::new(fixture.world.reader.clone(), memory());
    for payer in [bare, fixture.actors().0] {
        let service = PayerService::new(payer, None);
        let health = service.health();
        assert!(!health.ok && health.head.is_none(), "{health:?}");
        for _ in 0..2 {
            service.step().await.unwrap();
            let health = service.health();
            assert!(health.ok, "{health:?}");
        }
    }
}

// Both services have processed a head that the reorganisation drops. On a local chain every head is final.
#[tokio::test]
async fn reports_deep_reorgs_of_payer_and_payee() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, payees) = fixture.actors();
    let id = open_deposit(world, &payer, &fixture.request(HOUR)).await.id;
    pay(&payer, &payees[0], id, coins(1)).await;
    let snapshot = world.node.snapshot().await;
    let payer = PayerService::new(payer, None);
    let settings = PayeeSettings::new(payees[0].policy(), payees[0].reader().profile());
    let payee = PayeeService::new(payees[0].clone(), settings);
    let (stop, _) = tokio::sync::watch::channel(());
    let stopped = |mut stopped: tokio::sync::watch::Receiver<()>| async move {
        let _closed = stopped.changed().await;
    };
    let running = [
        tokio::spawn({
            let (payer, stop) = (payer.clone(), stop.subscribe());
            async move { payer.run(stopped(stop)).await.unwrap() }
        }),
        tokio::spawn({
            let (payee, stop) = (payee.clone(), stop.subscribe());
            async move { payee.run(stopped(stop)).await.unwrap() }
        }),
    ];
    world.node.mine(3).await;
    let head = Some(world.head().await);
    let health = || [payer.health(), payee.health()];
    let until = async |wanted: &dyn Fn() -> bool| {
        for _ in 0..1_000 {
            if wanted() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{:?}", health());
    };
    until(&|| {
        health()
            .iter()
            .all(|health| health.ok && health.head == head)
    })
    .await;
    assert!(health().iter().all(|health| health.last_error.is_none()));
    world.node.revert(snapshot).await;
    world.node.mine(2).await;
    let reported = |error: &str| error.contains("were replaced, although");
    let all_report = || {
        let errors = health().map(|health| health.last_error.unwrap_or_default());
        errors.iter().all(|error| reported(error))
    };
    until(&all_report).await;
    drop(stop);
    for service in running {
        service.await.unwrap();
    }
}
