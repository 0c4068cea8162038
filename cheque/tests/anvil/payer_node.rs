//! Opening and reclaiming over a node that lies or lags.

use crate::fixtures::{HOUR, memory, poll, request};
use crate::node::World;
use crate::proxied::through;
use crate::proxy::{Fault, Proxy};
use cheque::{
    ChainProfile, Freshness,
    bank::{BankError, HeadCheckError},
    payer::{Payer, PayerError},
};

/// The clocks of this test may differ by so many seconds: the chain is moved beyond the end of a deposit.
const APART: u64 = 2_000;

/// Why the payer refused because of the node's newest block.
fn refused<T: std::fmt::Debug>(result: Result<T, PayerError>) -> HeadCheckError {
    match result {
        Err(PayerError::Bank(BankError::Head(error))) => error,
        other => panic!("not refused for the head: {other:?}"),
    }
}

#[tokio::test]
async fn plans_opens_and_reclaims_nothing_at_implausible_head() {
    let world = World::by_the_clock(|profile| {
        profile.freshness = Some(Freshness {
            max_ahead: APART,
            max_head_age: APART,
            max_round_age: APART,
        });
    })
    .await;
    let (account, payee) = (world.account(1).await, world.account(11).await);
    let proxy = Proxy::start(&world.node.provider).await;
    let (reader, store) = (through(&world, &proxy).await, memory());
    let payer = Payer::new(reader.clone(), store.clone())
        .with_beacon(world.beacon.client.clone())
        .unwrap()
        .with_wallet(account.wallet.clone())
        .with_key(account.key.clone());
    let mut first = request(&[&payee], &account, 600);
    first.redeem_window = Some(5);
    // A draw so early needs a cutoff below these bounds.
    let chain = *ChainProfile::of(31_337).unwrap();
    let early = Payer::new(reader.with_profile(chain), store)
        .with_beacon(world.beacon.client.clone())
        .unwrap()
        .with_wallet(account.wallet.clone());
    let over = early.create_deposit(&first).await.unwrap();
    world.mine_at(over.deposit.redeemUntil + 1).await;
    poll(&payer).await;
    let next = request(&[&payee], &account, HOUR);
    let prepared = payer.prepare_deposit(&next).await.unwrap().id;
    let before = payer.deposits().await.unwrap();
    let sender = account.address;
    let nonce = world.node.all_transactions(sender).await;

    let faults = [
        // The block before is ten minutes older.
        Fault::Behind(1),
        Fault::TimeShift(2_000),
        Fault::TimeShift(-4_000),
        // The block of the plan is missing at the end, as if another node answered.
        Fault::OtherBlocks,
    ];
    for fault in faults {
        proxy.fail("eth_getBlockByNumber", fault.clone());
        let of_plan = refused(payer.plan_deposit(&next, None).await);
        let as_told = match fault {
            Fault::Behind(_) => matches!(of_plan, HeadCheckError::WentBack { .. }),
            Fault::TimeShift(1..) => matches!(of_plan, HeadCheckError::Ahead { .. }),
            Fault::TimeShift(_) => matches!(of_plan, HeadCheckError::Behind { .. }),
            _ => matches!(of_plan, HeadCheckError::Moved { .. }),
        };
        assert!(as_told, "{fault:?}: {of_plan}");
        refused(payer.prepare_deposit(&next).await);
        refused(payer.create_deposit(&next).await);
        refused(payer.reopen(over.id, &next).await);
        refused(payer.open(prepared).await);
        if !matches!(fault, Fault::OtherBlocks) {
            // These two use only the head.
            refused(payer.reclaim(over.id).await);
            refused(payer.cancel_opening(prepared).await);
        }
        proxy.heal();
    }
    // A chain may jump. The state of a block that is not there cannot be read.
    proxy.fail("eth_getBlockByNumber", Fault::Ahead(5_000));
    assert!(payer.create_deposit(&next).await.is_err());
    assert!(payer.open(prepared).await.is_err());
    proxy.heal();
    assert_eq!(payer.deposits().await.unwrap(), before);
    let sent = world.node.all_transactions(sender).await;
    assert_eq!(sent, nonce, "a transaction was sent");
    // What the node said once stops nothing.
    payer.open(prepared).await.unwrap();
    payer.reclaim(over.id).await.unwrap();
}
