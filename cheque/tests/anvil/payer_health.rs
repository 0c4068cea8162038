//! Whether the payer's service says that it does its work.

use crate::cast::{Cast, memory, opened, pay};
use crate::node::coins;
use cheque::payer::Payer;
use cheque::payer::PayerService;
use cheque::store::{Change, Store, Swap, Table, account_key};
use std::time::Duration;

/// An account that the service reads at every head to do what is to be done, and at no look.
struct Account<'a> {
    cast: &'a Cast,
    key: [u8; 52],
    bytes: Vec<u8>,
}

impl Account<'_> {
    fn swap(&self, old: &[u8], new: &[u8]) {
        let change = Change {
            table: Table::Accounts,
            key: &self.key,
            old: Some(old),
            new: Some(new),
        };
        assert_eq!(self.cast.store.swap(&[change]).unwrap(), Swap::Done);
    }

    fn spoil(&self) {
        self.swap(&self.bytes, b"spoilt");
    }

    fn heal(&self) {
        self.swap(b"spoilt", &self.bytes);
    }
}

/// A payer's service as it is after a start, and the account of one that was paid.
async fn started(cast: &Cast) -> (PayerService, Account<'_>) {
    let (payer, payees) = cast.players();
    let id = opened(&cast.world, &payer, &cast.request(200)).await.id;
    pay(&payer, &payees[0], id, coins(5)).await;
    let key = account_key(id, cast.payees[0].address);
    let bytes = cast.store.get(Table::Accounts, &key).unwrap().unwrap();
    let account = Account { cast, key, bytes };
    (PayerService::new(cast.players().0, None), account)
}

#[tokio::test]
async fn a_payer_that_sees_the_chain_and_cannot_act_is_not_well_and_tries_again_at_the_same_head() {
    let cast = Cast::new().await;
    let (service, account) = started(&cast).await;
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
async fn a_running_payer_tries_again_without_a_new_head() {
    let cast = Cast::new().await;
    let (service, account) = started(&cast).await;
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
    let head = cast.world.head().await;
    until(&|| service.health().last_error.is_some()).await;
    assert!(!service.health().ok, "{:?}", service.health());
    account.heal();
    until(&|| service.health().ok).await;
    assert_eq!(service.health().head, Some(head));
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_payer_that_has_nothing_to_do_is_well_with_and_without_a_wallet() {
    let cast = Cast::new().await;
    let bare = Payer::new(cast.world.reader.clone(), memory());
    for payer in [bare, cast.players().0] {
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
