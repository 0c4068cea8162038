//! Clocks that jump: the machine's may be hours away from the node's for a while.

use crate::cast::{Cast, memory, opened, rejection};
use crate::node::coins;
use cheque::{Amount, Rejection};
use cheque::{
    payee::Payee,
    payer::{Payer, PayerError},
};

#[tokio::test]
async fn hours_between_the_clocks_stop_payments_and_lose_none() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let mut profile = *world.reader.profile();
    profile.stale_after = Some(60);
    let reader = world.reader.clone().with_profile(profile);
    let mut policy = world.policy(&cast.payees[0]);
    policy.stale_after = Some(60);
    let (payers, payees) = (memory(), memory());
    // Each time as a restarted process, so that nothing is remembered but what is in the stores.
    let payer = || {
        Payer::new(reader.clone(), payers.clone())
            .with_wallet(cast.payer.wallet.clone())
            .with_key(cast.payer.key.clone())
    };
    let payee = || Payee::new(reader.clone(), policy.clone(), payees.clone());
    let id = opened(world, &payer(), &cast.request(60)).await.id;
    let address = cast.payees[0].address;
    let write = |amount| {
        let payer = payer();
        async move { payer.write_cheque(id, address, coins(amount)).await }
    };
    let mut credited = Amount::ZERO;
    for round in 1..=3 {
        let proof = write(2).await.unwrap().proof.unwrap();
        let right = world.node.anvil("evm_snapshot", ()).await;
        world.node.anvil("evm_increaseTime", [5 * 3_600]).await;
        world.node.mine(1).await;
        let refused = write(1).await.unwrap_err();
        assert!(matches!(refused, PayerError::StaleView { .. }), "{refused}");
        let refused = rejection(payee().receive_payment(None, &proof).await);
        assert!(matches!(refused, Rejection::StaleView { .. }), "{refused}");
        let refused = payer().poll().await.unwrap_err();
        assert!(matches!(refused, PayerError::StaleView { .. }), "{refused}");

        world.node.anvil("evm_revert", [right]).await;
        let taken = payee().receive_payment(None, &proof).await.unwrap();
        assert_eq!(taken.total, coins(2 * round));
        credited = credited.checked_add(taken.value).unwrap();
        let again = payee().receive_payment(None, &proof).await;
        assert_eq!(rejection(again), Rejection::Replay);
    }
    let position = payee().holding(id).await.unwrap().unwrap();
    assert_eq!(
        (position.total(), position.credited()),
        (coins(6), credited)
    );
    let last = payer().last_cheque(id, address).await.unwrap().unwrap();
    assert_eq!(last.0, coins(6), "nothing more was promised");
}
