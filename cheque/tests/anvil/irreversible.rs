//! What a payee cannot undo, it does not do by a head that cannot be true.

use crate::cast::{Cast, memory, opened, pay};
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

/// A payee over a proxy, which has seen nothing yet.
async fn payee(cast: &Cast, proxy: &Proxy, store: &Arc<Memory>) -> Payee {
    let world = &cast.world;
    let provider = connect_within(&[&proxy.url], Duration::from_millis(300)).await;
    let reader = Reader::open(provider.unwrap(), world.reader.bank().address());
    // Where heads are compared with those seen before.
    let profile = ChainProfile {
        stale_after: Some(3_600),
        ..*world.reader.profile()
    };
    let reader = reader.await.unwrap().with_profile(profile);
    let party = &cast.payees[0];
    Payee::new(reader, world.policy(party), store.clone()).with_key(party.key.clone())
}

/// Two payees over a proxy, with what the first one was paid: one that has seen the chain, and one that has not.
async fn paid(cast: &Cast, proxy: &Proxy) -> ([Payee; 2], Opened) {
    let (payer, _) = cast.players();
    let mut request = cast.request(60);
    request.redeem_window = Some(100);
    let opened = opened(&cast.world, &payer, &request).await;
    let store = memory();
    let seeing = payee(cast, proxy, &store).await;
    pay(&payer, &seeing, opened.id, coins(5)).await;
    ([seeing, payee(cast, proxy, &store).await], opened)
}

fn head_error<T: std::fmt::Debug>(result: Result<T, RedeemError>) -> HeadCheckError {
    match result {
        Err(RedeemError::Bank(BankError::Head(error))) => error,
        other => panic!("not about the head: {other:?}"),
    }
}

#[tokio::test]
async fn no_deposit_is_forgotten_by_a_head_that_cannot_be_true() {
    let cast = Cast::new().await;
    let proxy = Proxy::start(&cast.world.node.provider).await;
    let ([seeing, new], opened) = paid(&cast, &proxy).await;
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
    assert!(new.holding(opened.id).await.unwrap().is_some());
}

#[tokio::test]
async fn no_consent_is_signed_by_a_head_that_cannot_be_true() {
    let cast = Cast::new().await;
    let proxy = Proxy::start(&cast.world.node.provider).await;
    let (payees, opened) = paid(&cast, &proxy).await;
    for payee in payees {
        proxy.fail("eth_getBlockByNumber", Fault::Ahead(10_000));
        let key = &cast.payees[0].key;
        let signed = payee.sign_consent(opened.id, Address::ZERO, key);
        head_error(signed.await);
        proxy.heal();
    }
}

#[tokio::test]
async fn no_deposit_is_lost_by_a_node_of_another_fork() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let proxy = Proxy::start(&world.node.provider).await;
    let ([payee, _], opened) = paid(&cast, &proxy).await;
    let draw = opened.deposit.drawBlock;
    world.node.mine_to(draw + 1).await;
    let recorder = world.payee(&cast.payees[1], memory());
    recorder.record_seed(draw).await.unwrap();
    world.node.mine(payee.reader().profile().final_depth).await;

    proxy.fail("eth_getBlockByNumber", Fault::OtherBlocks);
    let refused = head_error(payee.won().await);
    assert!(matches!(refused, HeadCheckError::Moved { .. }), "{refused}");
    proxy.heal();
    payee.won().await.unwrap();
}
