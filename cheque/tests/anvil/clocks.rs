//! Clocks that jump: for a while the machine and the node are hours apart.

use crate::fixtures::{Fixture, memory, open_deposit, rejection};
use crate::node::coins;
use cheque::{Amount, Rejection};
use cheque::{
    payee::Payee,
    payer::{Payer, PayerError},
};

#[tokio::test]
async fn refuses_payments_while_clocks_differ_and_loses_none() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let mut profile = *world.reader.profile();
    profile.stale_after = Some(60);
    let reader = world.reader.clone().with_profile(profile);
    let mut policy = world.policy(&fixture.payees[0]);
    policy.stale_after = Some(60);
    let (payers, payees) = (memory(), memory());
    // Every call is a restarted process that knows only the stores.
    let payer = || {
        Payer::new(reader.clone(), payers.clone())
            .with_wallet(fixture.payer.wallet.clone())
            .with_key(fixture.payer.key.clone())
    };
    let payee = || Payee::new(reader.clone(), policy.clone(), payees.clone());
    let id = open_deposit(world, &payer(), &fixture.request(60)).await.id;
    let address = fixture.payees[0].address;
    let write = |amount| {
        let payer = payer();
        async move { payer.write_cheque(id, address, coins(amount)).await }
    };
    let mut credited = Amount::ZERO;
    for round in 1..=3 {
        let proof = write(2).await.unwrap().proof;
        let right = world.node.snapshot().await;
        world.node.advance_time(5 * 3_600).await;
        world.node.mine(1).await;
        let refused = write(1).await.unwrap_err();
        assert!(matches!(refused, PayerError::StaleView { .. }), "{refused}");
        let refused = rejection(payee().receive_payment(None, &proof).await);
        assert!(matches!(refused, Rejection::StaleView { .. }), "{refused}");
        let refused = payer().poll().await.unwrap_err();
        assert!(matches!(refused, PayerError::StaleView { .. }), "{refused}");

        world.node.revert(right).await;
        let taken = payee().receive_payment(None, &proof).await.unwrap();
        assert_eq!(taken.total, coins(2 * round));
        credited = credited.checked_add(taken.value).unwrap();
        let again = payee().receive_payment(None, &proof).await;
        assert_eq!(rejection(again), Rejection::Replay);
    }
    let position = payee().position(id).await.unwrap().unwrap();
    assert_eq!(
        (position.total(), position.credited()),
        (coins(6), credited)
    );
    let last = payer().spent_and_left(id, address).await.unwrap().unwrap();
    assert_eq!(last.0, coins(6), "a refused payment was recorded");
}
