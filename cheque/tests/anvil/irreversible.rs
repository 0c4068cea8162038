//! Irreversible actions of a payee, refused at an implausible head.

use crate::fixtures::{Fixture, memory, open_deposit, pay};
use crate::node::coins;
use crate::proxy::{Fault, Proxy};
use alloy_primitives::Address;
use cheque::store::Memory;
use cheque::{ChainProfile, bank::BankError};
use cheque::{
    bank::{HeadCheckError, Reader, RedeemError},
    node::connect_within,
    payee::Payee,
    payer::Opened,
};
use std::{sync::Arc, time::Duration};

/// A fresh payee over a proxy.
async fn payee(fixture: &Fixture, proxy: &Proxy, store: &Arc<Memory>) -> Payee {
    let world = &fixture.world;
    let provider = connect_within(&[&proxy.url], Duration::from_millis(300)).await;
    let reader = Reader::open(provider.unwrap(), world.reader.bank().address());
    // This profile compares heads with earlier ones.
    let profile = ChainProfile {
        stale_after: Some(3_600),
        ..*world.reader.profile()
    };
    let reader = reader.await.unwrap().with_profile(profile);
    let account = &fixture.payees[0];
    Payee::new(reader, world.policy(account), store.clone()).with_key(account.key.clone())
}

/// Two payees over a proxy and one store with a payment: the first has a chain snapshot, the second has none.
async fn paid(fixture: &Fixture, proxy: &Proxy) -> ([Payee; 2], Opened) {
    let (payer, _) = fixture.actors();
    let mut request = fixture.request(60);
    request.redeem_window = Some(100);
    let opened = open_deposit(&fixture.world, &payer, &request).await;
    let store = memory();
    let seeing = payee(fixture, proxy, &store).await;
    pay(&payer, &seeing, opened.id, coins(5)).await;
    ([seeing, payee(fixture, proxy, &store).await], opened)
}

fn head_error<T: std::fmt::Debug>(result: Result<T, RedeemError>) -> HeadCheckError {
    match result {
        Err(RedeemError::Bank(BankError::Head(error))) => error,
        other => panic!("not about the head: {other:?}"),
    }
}

#[tokio::test]
async fn prunes_no_deposit_at_implausible_head() {
    let fixture = Fixture::new().await;
    let proxy = Proxy::start(&fixture.world.node.provider).await;
    let ([seeing, new], opened) = paid(&fixture, &proxy).await;
    proxy.fail("eth_getBlockByNumber", Fault::Ahead(10_000));
    let refused = head_error(seeing.prune().await);
    assert!(
        matches!(refused, HeadCheckError::TooFast { .. }),
        "{refused}"
    );
    let refused = head_error(new.prune().await);
    assert!(matches!(refused, HeadCheckError::Moved { .. }), "{refused}");
    proxy.heal();
    assert_eq!(seeing.prune().await.unwrap(), 0);
    assert!(new.position(opened.id).await.unwrap().is_some());
}

#[tokio::test]
async fn signs_no_consent_at_implausible_head() {
    let fixture = Fixture::new().await;
    let proxy = Proxy::start(&fixture.world.node.provider).await;
    let (payees, opened) = paid(&fixture, &proxy).await;
    for payee in payees {
        proxy.fail("eth_getBlockByNumber", Fault::Ahead(10_000));
        let key = &fixture.payees[0].key;
        let signed = payee.sign_consent(opened.id, Address::ZERO, key);
        head_error(signed.await);
        proxy.heal();
    }
}
