//! Forgetting what is over.

use crate::cast::{Cast, memory, opened, pay, play};
use crate::node::coins;
use cheque::chain::{RedeemError, RedeemOptions};
use cheque::store::Store;
use std::{ops::ControlFlow, time::Duration};

#[tokio::test]
async fn what_can_never_be_redeemed_any_more_is_forgotten_on_request() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, payees) = cast.players();
    let mut request = cast.request(60);
    request.redeem_window = Some(20);
    let opened = opened(world, &payer, &request).await;
    pay(&payer, &payees[0], opened.id, coins(5)).await;
    world.node.mine_to(opened.deposit.lastRedeemBlock).await;
    assert_eq!(
        payees[0].prune().await.unwrap(),
        0,
        "the last block may be replaced"
    );
    world.node.mine(1).await;
    assert_eq!(payees[0].prune().await.unwrap(), 1);
    assert!(payees[0].ledger().await.unwrap().is_empty());
    assert_eq!(payees[0].prune().await.unwrap(), 0);
}

#[tokio::test]
async fn what_was_sent_to_redeem_is_forgotten_with_what_it_was_to_redeem() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let payer = world.payer(&cast.payer, memory());
    let stores: Vec<_> = cast.payees.iter().map(|_| memory()).collect();
    let payees = cast.payees.iter().zip(&stores);
    let payees: Vec<_> = payees
        .map(|(party, store)| world.payee(party, store.clone()))
        .collect();
    let mut request = cast.request(60);
    request.redeem_window = Some(20);
    let opened = opened(world, &payer, &request).await;
    let (winner, _) = play(world, &payer, &payees, &opened).await;
    let (payee, store) = (&payees[winner], &stores[winner]);
    // Sent, and never mined.
    let impatient = cast.payees[winner].sender.clone();
    let impatient = impatient.with_timeout(Duration::ZERO);
    world.node.anvil("evm_setAutomine", [false]).await;
    let options = RedeemOptions::default();
    let waiting = payee.clone().with_sender(impatient);
    let waiting = waiting.redeem(opened.id, &options).await;
    assert!(matches!(waiting, Err(RedeemError::Once(_))), "{waiting:?}");
    world.node.anvil("anvil_dropAllTransactions", ()).await;
    let last = opened.deposit.lastRedeemBlock;
    world.node.mine_to(last).await;
    payee.prune().await.unwrap();
    assert_eq!(rows(&**store), 2, "the last block may be replaced");
    world.node.mine(1).await;
    assert_eq!(payee.prune().await.unwrap(), 1);
    assert_eq!(rows(&**store), 0);
}

/// How many records a store holds.
fn rows(store: &dyn Store) -> usize {
    let mut count = 0;
    let mut each = |_, _: &[u8], _: &[u8]| {
        count += 1;
        ControlFlow::Continue(())
    };
    store.scan_all(&mut each).unwrap();
    count
}
