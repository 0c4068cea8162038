//! Opening and following deposits.

use crate::fixtures::{Fixture, HOUR, memory, open_deposit, pay, poll, rejection, state};
use crate::node::coins;
use crate::over;
use alloy_primitives::{Address, U256};
use cheque::store::{Change, Store, Swap, Table, deposit_key};
use cheque::{Freshness, Rejection};
use cheque::{
    bank::FoundDeposit,
    payer::{DepositState, Draw, PayerError},
    tx::Call,
};

#[tokio::test]
async fn stops_cheques_and_payments_at_their_cutoffs() {
    // The payer's cutoff comes before the payee's.
    let fixture = Fixture::new().await;
    let (payer, payees) = fixture.actors();
    let opened = open_deposit(&fixture.world, &payer, &fixture.request(HOUR)).await;
    let (id, payee) = (opened.id, fixture.payees[0].address);
    let draw = opened.deposit.drawTime;
    let expiry = payer.estimated_expiry(id).await.unwrap();
    assert_eq!(expiry, Some(draw - 45));

    fixture.world.mine_at(draw - 46).await;
    assert_eq!(state(&payer, id).await, DepositState::Active);
    let (payment, _) = pay(&payer, &payees[0], id, coins(10)).await;
    assert_eq!((payment.spent, payment.left), (coins(10), coins(90)));
    let late = payer.write_cheque(id, payee, coins(1)).await.unwrap();
    let last = payer.write_cheque(id, payee, coins(1)).await.unwrap();

    fixture.world.mine_at(draw - 45).await;
    assert_eq!(state(&payer, id).await, DepositState::PastCutoff);
    let refused = payer.write_cheque(id, payee, coins(1)).await.unwrap_err();
    assert!(
        matches!(refused, PayerError::NotActive(of) if of == id),
        "{refused}"
    );
    let after = payer.spent_and_left(id, payee).await.unwrap();
    assert_eq!(
        after,
        Some((coins(12), coins(88))),
        "a refused cheque was recorded"
    );

    assert_eq!(payer.estimated_expiry(id).await.unwrap(), None);

    fixture.world.mine_at(draw - 31).await;
    payees[0].poll().await.unwrap();
    let taken = payees[0].receive_payment(None, &late.proof).await;
    assert_eq!(taken.unwrap().total, coins(11));
    fixture.world.mine_at(draw - 30).await;
    payees[0].poll().await.unwrap();
    let late = payees[0].receive_payment(None, &last.proof).await;
    assert!(matches!(rejection(late), Rejection::PastCutoff { .. }));
    assert_eq!(
        payees[0].position(id).await.unwrap().unwrap().total(),
        coins(11)
    );
}

#[tokio::test]
async fn pays_at_once_after_active_event() {
    let fixture = Fixture::new().await;
    let (payer, _) = fixture.actors();
    // The snapshot of this poll has no deposit.
    let _nothing = payer.poll().await.unwrap();
    let opened = payer.create_deposit(&fixture.request(HOUR)).await.unwrap();
    let mut events = payer.subscribe_deposit_events();
    let polling = tokio::spawn({
        let payer = payer.clone();
        async move { payer.poll().await }
    });
    assert_eq!(events.recv().await.unwrap().state, DepositState::Active);
    assert!(!polling.is_finished(), "the poll ended before the event");
    let payee = fixture.payees[0].address;
    let paid = payer.write_cheque(opened.id, payee, coins(1)).await;
    paid.unwrap();
    let _polled = polling.await.unwrap().unwrap();
}

#[tokio::test]
async fn takes_lowest_free_lane_and_spends_balance_first() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, _) = fixture.actors();
    let token = Address::ZERO;
    let funded = payer.ensure_funded(token, coins(700)).await.unwrap();
    assert_eq!(funded.len(), 1);
    assert!(
        payer
            .ensure_funded(token, coins(700))
            .await
            .unwrap()
            .is_empty()
    );

    let first = open_deposit(world, &payer, &fixture.request(HOUR)).await;
    assert_eq!(
        world.balance(fixture.payer.address).await,
        coins(100).to_u256()
    );
    let coin = world.coin(fixture.payer.address).await;
    let second = open_deposit(world, &payer, &fixture.request(HOUR)).await;
    assert_eq!((first.deposit.lane, second.deposit.lane), (1, 2));
    assert_eq!(world.balance(fixture.payer.address).await, U256::ZERO);
    let paid = coin - world.coin(fixture.payer.address).await - second.tx.fee;
    assert_eq!(paid, coins(500).to_u256());

    let mut taken = fixture.request(HOUR);
    taken.lane = Some(2);
    let refused = payer.create_deposit(&taken).await.unwrap_err();
    assert!(matches!(refused, PayerError::LaneBusy { lane: 2, deposit } if deposit == second.id));
    // A deposit that is only prepared keeps its lane, too.
    let third = payer.prepare_deposit(&fixture.request(HOUR)).await.unwrap();
    let fourth = payer
        .plan_deposit(&fixture.request(HOUR), None)
        .await
        .unwrap();
    assert_eq!((third.deposit.lane, fourth.deposit.lane), (3, 4));
}

#[tokio::test]
async fn refuses_draw_without_time_to_pay() {
    let fixture = Fixture::new().await;
    let (payer, _) = fixture.actors();
    let now = fixture.world.now().await;
    for draw in [Draw::In(1), Draw::At(now), Draw::At(0)] {
        let mut request = fixture.request(0);
        request.draw = draw;
        let refused = payer.create_deposit(&request).await.unwrap_err();
        let PayerError::DrawTooSoon { earliest, .. } = refused else {
            panic!("{refused}");
        };
        request.draw = Draw::At(earliest);
        assert!(payer.plan_deposit(&request, None).await.is_ok());
        request.draw = Draw::At(earliest - 1);
        assert!(payer.plan_deposit(&request, None).await.is_err());
    }
    assert!(payer.deposits().await.unwrap().is_empty());
    let mut endless = fixture.request(u64::MAX);
    let refused = payer.create_deposit(&endless).await.unwrap_err();
    assert!(matches!(refused, PayerError::TimeOutOfRange));
    endless.draw = Draw::At(u64::MAX);
    let refused = payer.create_deposit(&endless).await.unwrap_err();
    assert!(matches!(refused, PayerError::TimeOutOfRange));
}

#[tokio::test]
async fn refuses_draws_and_windows_of_more_than_a_year() {
    const YEAR: u64 = 366 * 86_400;
    let fixture = Fixture::new().await;
    let (payer, _) = fixture.actors();
    let mut request = fixture.request(YEAR - 3_600);
    request.redeem_window = Some(YEAR);
    payer.plan_deposit(&request, None).await.unwrap();
    let milliseconds = Draw::At(1_000 * fixture.world.now().await);
    for (draw, window) in [
        (milliseconds, YEAR),
        (Draw::In(YEAR + 3_600), YEAR),
        (request.draw, YEAR + 1),
    ] {
        request.draw = draw;
        request.redeem_window = Some(window);
        let refused = payer.plan_deposit(&request, None).await.unwrap_err();
        assert!(
            matches!(refused, PayerError::TooFarAhead { .. }),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn waits_for_time_to_confirm_of_profile() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let mut profile = *world.reader.profile();
    profile.confirm = 3;
    let reader = world.reader.clone().with_profile(profile);
    let payer = over::payer(world, &reader, &fixture.payer, memory());
    let payee = over::payee(world, &reader, &fixture.payees[0], memory());
    let opened = payer.create_deposit(&fixture.request(HOUR)).await.unwrap();
    assert_eq!(state(&payer, opened.id).await, DepositState::Pending);
    world.node.mine(2).await;
    assert_eq!(state(&payer, opened.id).await, DepositState::Pending);
    world.node.mine(1).await;
    assert_eq!(state(&payer, opened.id).await, DepositState::Active);
    pay(&payer, &payee, opened.id, coins(1)).await;
}

#[tokio::test]
async fn marks_reorged_deposit_pending_then_never_opened() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (_, payees) = fixture.actors();
    let reader = over::final_after_64_seconds(world);
    let payer = over::payer(world, &reader, &fixture.payer, fixture.store.clone());
    let snapshot = world.node.snapshot().await;
    let opened = open_deposit(world, &payer, &fixture.request(HOUR)).await;
    let id = opened.id;
    let payment = payer.write_cheque(id, fixture.payees[0].address, coins(1));
    let proof = payment.await.unwrap().proof;
    let mut events = payer.subscribe_deposit_events();

    world.node.revert(snapshot).await;
    world.node.mine(3).await;
    poll(&payer).await;
    let event = events.try_recv().unwrap();
    assert_eq!(
        (event.before, event.state),
        (DepositState::Active, DepositState::Pending)
    );
    let refused = payer
        .write_cheque(id, fixture.payees[0].address, coins(1))
        .await
        .unwrap_err();
    assert!(
        matches!(refused, PayerError::NotActive(of) if of == id),
        "{refused}"
    );
    let taken = payees[0].receive_payment(None, &proof).await;
    assert_eq!(rejection(taken), Rejection::NotConfirmed(id));

    // Too late to reopen: the bank requires a lead of 4 seconds.
    world.mine_at(opened.deposit.drawTime - 4).await;
    assert!(poll(&payer).await.is_empty());
    world.advance(1).await;
    poll(&payer).await;
    assert_eq!(events.try_recv().unwrap().state, DepositState::NeverOpened);
    let refused = payer.open(id).await.unwrap_err();
    assert!(matches!(&refused, PayerError::Outbox(_)), "{refused}");
    assert!(!payer.deposit(id).await.unwrap().settled);
    world.node.mine(64).await;
    assert_eq!(state(&payer, id).await, DepositState::NeverOpened);
    assert!(payer.deposit(id).await.unwrap().settled);
    // The lane is free again.
    let next = payer.create_deposit(&fixture.request(HOUR)).await.unwrap();
    assert_eq!(next.deposit.lane, opened.deposit.lane);
}

#[tokio::test]
async fn opens_deposit_through_relayer_by_payer_signature() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, payees) = fixture.actors();
    let relayer = world.account(99).await;
    payer
        .ensure_funded(Address::ZERO, coins(600))
        .await
        .unwrap();
    let planned = payer.prepare_deposit(&fixture.request(HOUR)).await.unwrap();
    let deadline = U256::from(u64::MAX);
    let signed = payer.sign_opening(planned.id, deadline).await.unwrap();
    let bank = world.reader.bank();
    let call = Call::open_for(bank, &signed.deposit, deadline, &signed.signature);
    relayer.wallet.send(&call).await.unwrap();
    assert_eq!(state(&payer, planned.id).await, DepositState::Active);
    pay(&payer, &payees[0], planned.id, coins(1)).await;
}

#[tokio::test]
async fn finds_deposits_on_chain_without_store() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, _) = fixture.actors();
    let mut request = fixture.request(HOUR);
    request.redeem_window = Some(10);
    let first = open_deposit(world, &payer, &request).await;
    let second = open_deposit(world, &payer, &request).await;
    let head = world.head().await;
    let found = world
        .reader
        .find_deposits(fixture.payer.address, 0, head)
        .await
        .unwrap();
    let expected = [&first, &second].map(|opened| FoundDeposit {
        id: opened.id,
        deposit: opened.deposit.clone(),
        block: opened.tx.block,
    });
    assert_eq!(found, expected);
    let one = world.reader.find_deposit(second.id, 0, head).await.unwrap();
    assert_eq!(one.as_ref(), Some(&expected[1]));
    let stranger = fixture.payees[0].address;
    assert!(
        world
            .reader
            .find_deposits(stranger, 0, head)
            .await
            .unwrap()
            .is_empty()
    );

    world.mine_at(second.deposit.redeemUntil + 1).await;
    let reclaim = Call::reclaim(world.reader.bank(), &found[0].deposit);
    fixture.payees[0].wallet.send(&reclaim).await.unwrap();
    assert_eq!(state(&payer, first.id).await, DepositState::Reclaimed);
}

#[tokio::test]
async fn gives_concurrent_deposits_different_purses() {
    let fixture = Fixture::new().await;
    let (payer, _) = fixture.actors();
    let (first, second) = (fixture.request(HOUR), fixture.request(HOUR));
    let (first, second) = tokio::join!(payer.create_deposit(&first), payer.create_deposit(&second));
    let mut lanes = [first, second].map(|opened| opened.unwrap().deposit.lane);
    lanes.sort_unstable();
    assert_eq!(lanes, [1, 2]);
}

#[tokio::test]
async fn writes_no_cheque_at_stale_chain_view() {
    let fixture = over::by_the_clock(Freshness::DEFAULT).await;
    let (payer, _) = fixture.actors();
    let id = open_deposit(&fixture.world, &payer, &fixture.request(HOUR))
        .await
        .id;
    let payee = fixture.payees[0].address;
    payer.write_cheque(id, payee, coins(1)).await.unwrap();

    fixture.world.node.advance(3_600).await;
    for refused in [
        payer.poll().await.map(drop),
        payer.write_cheque(id, payee, coins(1)).await.map(drop),
        payer.pay(payee, Address::ZERO, coins(1)).await.map(drop),
    ] {
        let refused = refused.unwrap_err();
        assert!(over::is_clock_behind(&refused), "{refused}");
    }
    let last = payer.spent_and_left(id, payee).await.unwrap().unwrap();
    assert_eq!(last.0, coins(1), "a refused cheque was recorded");
}

#[tokio::test]
async fn follows_other_deposits_despite_broken_one() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, _) = fixture.actors();
    let mut request = fixture.request(HOUR);
    request.redeem_window = Some(60);
    let broken = open_deposit(world, &payer, &request).await;
    let good = open_deposit(world, &payer, &fixture.request(3 * HOUR)).await;
    let payee = fixture.payees[0].address;

    // The list of payees is lost, and with it the winner.
    let key = deposit_key(world.reader.bank(), broken.id);
    let list = fixture.store.get(Table::Trees, &key).unwrap();
    let change = Change {
        table: Table::Trees,
        key: &key,
        old: list.as_deref(),
        new: None,
    };
    assert_eq!(fixture.store.swap(&[change]).unwrap(), Swap::Done);
    world.mine_at(broken.deposit.drawTime + 1).await;
    let restarted = world.payer(&fixture.payer, fixture.store.clone());
    let polled = restarted.poll().await.unwrap();
    let [(of, PayerError::NoList(_))] = &polled.errors[..] else {
        panic!("{polled:?}");
    };
    assert_eq!(*of, broken.id);
    let payment = restarted.write_cheque(good.id, payee, coins(1)).await;
    payment.unwrap();
    let parts = restarted.pay(payee, Address::ZERO, coins(1)).await.unwrap();
    assert_eq!(parts[0].deposit, good.id);

    // The money still comes back, although the winner is unknown.
    let record = restarted.deposit(broken.id).await.unwrap();
    assert_eq!(record.state, DepositState::PastCutoff);
    world.mine_at(broken.deposit.redeemUntil + 1).await;
    let _same_errors = restarted.poll().await.unwrap();
    let record = restarted.deposit(broken.id).await.unwrap();
    assert_eq!(record.state, DepositState::Reclaimable);
}
