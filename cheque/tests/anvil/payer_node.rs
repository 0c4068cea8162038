//! Opening and reclaiming over a node that lies or lags.

use crate::fixtures::{Fixture, poll};
use crate::proxied::{head_error, payer, through};
use crate::proxy::{Fault, Proxy};
use cheque::{bank::HeadCheckError, payer::PayerError};

/// True if the payer refused because of the node's newest block.
fn is_refused<T: std::fmt::Debug>(result: Result<T, PayerError>) -> bool {
    match result {
        Err(PayerError::Bank(error)) => {
            let _why: HeadCheckError = head_error(&error);
            true
        }
        Err(PayerError::StaleView { .. }) => true,
        other => panic!("not refused for the head: {other:?}"),
    }
}

#[tokio::test]
async fn plans_opens_and_reclaims_nothing_at_implausible_head() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let proxy = Proxy::start(&world.node.provider).await;
    let reader = through(world, &proxy).await;
    let payer = payer(&fixture, &reader, &fixture.store);
    let mut request = fixture.request(40);
    request.redeem_window = Some(5);
    let over = payer.create_deposit(&request).await.unwrap();
    // Without more time, the head check would refuse the new blocks as too fast.
    world.node.advance_time(60).await;
    world.node.mine_to(over.deposit.lastRedeemBlock + 1).await;
    poll(&payer).await;
    let next = fixture.request(60);
    let prepared = payer.prepare_deposit(&next).await.unwrap().id;
    let before = payer.deposits().await.unwrap();
    let sender = fixture.payer.address;
    let nonce = world.node.all_transactions(sender).await;

    let faults = [
        Fault::Behind(5),
        Fault::Ahead(5_000),
        Fault::TimeShift(4_000),
        Fault::TimeShift(-4_000),
        // The block of the snapshot is missing at the end, as if another node answered.
        Fault::OtherBlocks,
    ];
    for fault in faults {
        proxy.fail("eth_getBlockByNumber", fault.clone());
        assert!(is_refused(payer.plan_deposit(&next, None).await));
        assert!(is_refused(payer.prepare_deposit(&next).await));
        assert!(is_refused(payer.create_deposit(&next).await));
        assert!(is_refused(payer.reopen(over.id, &next).await));
        assert!(is_refused(payer.open(prepared).await));
        if !matches!(fault, Fault::OtherBlocks) {
            // These two use only the head.
            assert!(is_refused(payer.reclaim(over.id).await));
            assert!(is_refused(payer.cancel_opening(prepared).await));
        }
        proxy.heal();
    }
    assert_eq!(payer.deposits().await.unwrap(), before);
    let sent = world.node.all_transactions(sender).await;
    assert_eq!(sent, nonce, "a transaction was sent");
    payer.open(prepared).await.unwrap();
    payer.reclaim(over.id).await.unwrap();
}
