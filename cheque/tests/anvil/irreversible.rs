//! Irreversible actions of a payee, refused at an implausible head.

use crate::fixtures::{Fixture, HOUR, memory, open_deposit, pay};
use crate::node::coins;
use crate::over;
use crate::proxy::{Fault, Proxy};
use alloy_primitives::Address;
use cheque::store::Memory;
use cheque::{
    bank::{BankError, HeadCheckError, Reader, RedeemError},
    node::connect_within,
    payee::Payee,
    payer::Opened,
};
use std::{sync::Arc, time::Duration};

/// Heads that nothing irreversible may follow from: of the future, of the past, and not of the node's chain.
const IMPLAUSIBLE: [(Fault, &str); 3] = [
    (Fault::TimeShift(1_000_000), "ahead"),
    (Fault::TimeShift(-1_000_000), "behind"),
    (Fault::Ahead(10_000), "moved"),
];

/// A fresh payee over a proxy.
async fn payee(fixture: &Fixture, proxy: &Proxy, store: &Arc<Memory>) -> Payee {
    let world = &fixture.world;
    let provider = connect_within(&[&proxy.url], Duration::from_millis(300)).await;
    let reader = Reader::open(provider.unwrap(), world.reader.bank().address());
    let reader = reader.await.unwrap().with_profile(*world.reader.profile());
    let account = &fixture.payees[0];
    over::payee(world, &reader, account, store.clone()).with_key(account.key.clone())
}

/// Two payees over a proxy and one store with a payment: the first has a chain snapshot, the second has none.
async fn paid(fixture: &Fixture, proxy: &Proxy) -> ([Payee; 2], Opened) {
    let (payer, _) = fixture.actors();
    let mut request = fixture.request(HOUR);
    request.redeem_window = Some(100);
    let opened = open_deposit(&fixture.world, &payer, &request).await;
    let store = memory();
    let seeing = payee(fixture, proxy, &store).await;
    pay(&payer, &seeing, opened.id, coins(5)).await;
    ([seeing, payee(fixture, proxy, &store).await], opened)
}

fn head_error<T: std::fmt::Debug>(result: Result<T, RedeemError>) -> &'static str {
    match result {
        Err(RedeemError::Bank(BankError::Head(error))) => match error {
            HeadCheckError::Ahead { .. } => "ahead",
            HeadCheckError::Behind { .. } => "behind",
            HeadCheckError::Moved { .. } => "moved",
            other => panic!("another error of the head: {other}"),
        },
        other => panic!("not about the head: {other:?}"),
    }
}

#[tokio::test]
async fn prunes_no_deposit_at_implausible_head() {
    let fixture = over::behind_the_clock(1).await;
    let proxy = Proxy::start(&fixture.world.node.provider).await;
    let ([seeing, new], opened) = paid(&fixture, &proxy).await;
    for (fault, name) in IMPLAUSIBLE {
        proxy.fail("eth_getBlockByNumber", fault);
        for payee in [&seeing, &new] {
            assert_eq!(head_error(payee.prune().await), name);
        }
        proxy.heal();
    }
    assert_eq!(seeing.prune().await.unwrap(), 0);
    assert!(new.position(opened.id).await.unwrap().is_some());
}

#[tokio::test]
async fn signs_no_consent_at_implausible_head() {
    let fixture = over::behind_the_clock(1).await;
    let proxy = Proxy::start(&fixture.world.node.provider).await;
    let (payees, opened) = paid(&fixture, &proxy).await;
    for payee in payees {
        for (fault, name) in IMPLAUSIBLE {
            proxy.fail("eth_getBlockByNumber", fault);
            let key = &fixture.payees[0].key;
            let signed = payee.sign_consent(opened.id, Address::ZERO, key);
            assert_eq!(head_error(signed.await), name);
            proxy.heal();
        }
    }
}
