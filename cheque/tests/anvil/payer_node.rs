//! A payer that opens and takes back by what a node says that lies or is behind.

use crate::cast::{Cast, poll};
use crate::faults::{head_error, payer, through};
use crate::proxy::{Fault, Proxy};
use alloy::providers::Provider;
use cheque::{bank::HeadCheckError, payer::PayerError};

/// Whether it was refused for what the node says of its newest block.
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
async fn nothing_is_planned_opened_or_taken_back_by_a_head_that_cannot_be_true() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let proxy = Proxy::start(&world.node.provider).await;
    let reader = through(world, &proxy).await;
    let payer = payer(&cast, &reader, &cast.store);
    let mut request = cast.request(40);
    request.redeem_window = Some(5);
    let over = payer.create_deposit(&request).await.unwrap();
    // Else the chain would grow faster than its time.
    world.node.anvil("evm_increaseTime", [60]).await;
    world.node.mine_to(over.deposit.lastRedeemBlock + 1).await;
    poll(&payer).await;
    let next = cast.request(60);
    let prepared = payer.prepare_deposit(&next).await.unwrap().id;
    let before = payer.deposits().await.unwrap();
    let sent = async || {
        let count = world
            .node
            .provider
            .get_transaction_count(cast.payer.address);
        count.pending().await.unwrap()
    };
    let nonce = sent().await;

    let faults = [
        Fault::Behind(5),
        Fault::Ahead(5_000),
        Fault::OffClock(4_000),
        Fault::OffClock(-4_000),
        // It is gone at the end, as if another node answered.
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
            // Nothing is concluded from more than the head.
            assert!(is_refused(payer.reclaim(over.id).await));
            assert!(is_refused(payer.cancel_opening(prepared).await));
        }
        proxy.heal();
    }
    assert_eq!(payer.deposits().await.unwrap(), before);
    assert_eq!(sent().await, nonce, "nothing was sent");
    payer.open(prepared).await.unwrap();
    payer.reclaim(over.id).await.unwrap();
}
