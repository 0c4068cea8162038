//! A payer whose clock is a day slow, as that of all tests here, on a chain that stands still: the beacon alone tells the
//! time.

use crate::fixtures::{Fixture, HOUR, memory, not_payable, open_deposit, pay};
use crate::node::{World, coins, draw::drawn};
use cheque::store::AppChange;
use cheque::{Amount, ClockError, DepositId, Freshness, Outcome, PAYER_CUTOFF};
use cheque::{
    payee::RedeemOptions,
    payer::{Opened, Payer, PayerError},
};

/// Moves the beacon on to `left` seconds before the draw of a deposit, and the chain not at all.
async fn beacon_before_draw(world: &World, opened: &Opened, left: u64) {
    let ahead = opened.deposit.drawTime - left - world.now().await;
    world.beacon.shift(ahead.try_into().unwrap());
    world.beacon.sync().await;
}

/// Asks for a milli-coin in every way there is, with a stream open. Returns the number of payments.
async fn ask_in_every_way(payer: &Payer, id: DepositId, account: &crate::node::Account) -> usize {
    let (payee, milli) = (account.address, coins(1));
    let token = alloy_primitives::Address::ZERO;
    let note = AppChange {
        key: b"note".to_vec(),
        old: None,
        new: Some(Vec::new()),
    };
    let answers = [
        // First, since a cheque ends the open stream.
        payer.pay_steps(id, payee, 1).await.map(drop),
        payer.write_cheque(id, payee, milli).await.map(drop),
        payer.pay(payee, token, milli).await.map(drop),
        payer
            .pay_pieces(payee, &[(id, milli)], &note)
            .await
            .map(drop),
        payer
            .open_stream(id, payee, milli, Amount::new(1), 1)
            .await
            .map(drop),
    ];
    let is_late = |error: &PayerError| {
        matches!(
            error,
            PayerError::NotActive(_) | PayerError::NotCovered { .. }
        )
    };
    for refused in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        assert!(is_late(refused), "{refused}");
    }
    answers.iter().filter(|answer| answer.is_ok()).count()
}

#[tokio::test]
async fn writes_cheques_up_to_the_cutoff_by_the_beacon_alone() {
    let fixture = Fixture::new().await;
    let (world, account) = (&fixture.world, &fixture.payees[0]);
    let payer = fixture.actors().0;
    let opened = open_deposit(world, &payer, &fixture.request(HOUR)).await;
    let id = opened.id;
    let stream = payer.open_stream(id, account.address, coins(10), coins(1), 20);
    stream.await.unwrap();
    beacon_before_draw(world, &opened, PAYER_CUTOFF + 1).await;
    assert_eq!(ask_in_every_way(&payer, id, account).await, 5);
    let stream = payer.open_stream(id, account.address, coins(10), coins(1), 20);
    stream.await.unwrap();
    let before = payer.spent(id).await.unwrap();
    for left in [PAYER_CUTOFF, 30, 1, 0] {
        beacon_before_draw(world, &opened, left).await;
        let given = ask_in_every_way(&payer, id, account).await;
        assert_eq!(given, 0, "payments {left} s before the draw");
    }
    world.beacon.shift(3 * HOUR as i64);
    world.beacon.sync().await;
    // A restart knows the time as well.
    for payer in [payer, fixture.actors().0] {
        assert_eq!(ask_in_every_way(&payer, id, account).await, 0);
        assert_eq!(payer.spent(id).await.unwrap(), before);
    }
}

#[tokio::test]
async fn gives_no_last_cheque_to_a_payee_just_beyond_its_range() {
    // The payee knows the round, and that one milli-coin more would win the whole deposit.
    let fixture = Fixture::new().await;
    let (world, account) = (&fixture.world, &fixture.payees[1]);
    let (payer, payees) = fixture.actors();
    let mut request = fixture.request(HOUR);
    request.min_payout = Some(coins(600));
    let (paid, enough) = (coins(20), coins(21));
    let request = drawn(&world.beacon, &payer, &request, |draw| {
        let wins = |total| draw.is_won_by(account.address, total);
        !wins(paid) && wins(enough)
    });
    let opened = open_deposit(world, &payer, &request.await).await;
    let id = opened.id;
    let stream = payer.open_stream(id, account.address, coins(10), coins(1), 30);
    let proof = stream.await.unwrap().proof;
    payees[1].poll().await.unwrap();
    payees[1].receive_payment(None, &proof).await.unwrap();
    let steps = payer.pay_steps(id, account.address, 10).await.unwrap();
    let taken = payees[1].receive_payment(None, &steps.proof).await.unwrap();
    assert_eq!(taken.total, paid);

    beacon_before_draw(world, &opened, 0).await;
    let public = world.beacon.client.newest().await.unwrap();
    assert_eq!(public, world.beacon.round(opened.deposit.drawTime));
    assert_eq!(ask_in_every_way(&payer, id, account).await, 0);
    world.draw(&opened.deposit).await;
    assert_eq!(ask_in_every_way(&payer, id, account).await, 0);
    let redeemed = payees[1].redeem(id, &RedeemOptions::default()).await;
    assert_eq!(not_payable(redeemed), Outcome::Loses);
}

#[tokio::test]
async fn pays_while_beacon_and_clock_agree_and_not_beyond() {
    let world = World::by_the_clock(|profile| profile.freshness = Some(Freshness::DEFAULT)).await;
    let (account, of_payee) = (world.account(1).await, world.account(11).await);
    let (payer, payee) = (
        world.payer(&account, memory()),
        world.payee(&of_payee, memory()),
    );
    let request = crate::fixtures::request(&[&of_payee], &account, HOUR);
    // Nobody has seen a round yet: the relay is 70 s late.
    world.beacon.shift(-70);
    let opened = payer.create_deposit(&request).await.unwrap();
    let id = opened.id;
    crate::fixtures::poll(&payer).await;
    let cheque = async || payer.write_cheque(id, of_payee.address, coins(20)).await;
    let stale = cheque().await;
    assert!(
        matches!(
            stale,
            Err(PayerError::Clock(ClockError::BeaconStale { .. }))
        ),
        "{stale:?}"
    );
    for ahead in [0, 5] {
        world.beacon.shift(ahead);
        world.beacon.sync().await;
        pay(&payer, &payee, id, coins(20)).await;
    }
    for ahead in [20, 50] {
        world.beacon.shift(ahead);
        world.beacon.sync().await;
        let refused = cheque().await;
        assert!(
            matches!(
                refused,
                Err(PayerError::Clock(ClockError::ClockBehind { .. }))
            ),
            "{refused:?}"
        );
    }
    assert_eq!(payer.spent(id).await.unwrap(), coins(40));
}
