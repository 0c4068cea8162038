//! Opening deposits, and following them.

use crate::cast::{Cast, memory, opened, pay, poll, rejection, state};
use crate::node::coins;
use alloy_primitives::{Address, U256};
use cheque::Rejection;
use cheque::store::{Change, Store, Swap, Table, deposit_key};
use cheque::{
    bank::FoundDeposit,
    payee::Payee,
    payer::{DepositState, Draw, Payer, PayerError},
    tx::Call,
};

#[tokio::test]
async fn cheques_stop_at_the_payers_cutoff_and_payments_at_the_payees() {
    let cast = Cast::new().await;
    let (payer, payees) = cast.players();
    let opened = opened(&cast.world, &payer, &cast.request(60)).await;
    let (id, payee) = (opened.id, cast.payees[0].address);
    let draw = opened.deposit.drawBlock;
    let expiry = payer.estimated_expiry(id).await.unwrap().as_secs();
    assert!((30..=60).contains(&expiry), "{expiry} s to the cutoff");

    cast.world.node.mine_to(draw - 17).await;
    assert_eq!(state(&payer, id).await, DepositState::Active);
    let (payment, _) = pay(&payer, &payees[0], id, coins(10)).await;
    assert_eq!((payment.spent, payment.left), (coins(10), coins(90)));
    let last = payer.write_cheque(id, payee, coins(1)).await.unwrap();

    cast.world.node.mine_to(draw - 16).await;
    assert_eq!(state(&payer, id).await, DepositState::PastCutoff);
    let refused = payer.write_cheque(id, payee, coins(1)).await.unwrap();
    assert_eq!((refused.spent, refused.proof), (coins(11), None));
    let after = payer.last_cheque(id, payee).await.unwrap();
    assert_eq!(after, Some((coins(11), coins(89))), "nothing was recorded");

    cast.world.node.mine_to(draw - 8).await;
    payees[0].poll().await.unwrap();
    let late = payees[0].receive_payment(None, &last.proof.unwrap()).await;
    assert!(matches!(rejection(late), Rejection::PastCutoff { .. }));
    assert_eq!(
        payees[0].holding(id).await.unwrap().unwrap().total(),
        coins(10)
    );
}

#[tokio::test]
async fn who_is_told_that_a_deposit_is_active_can_pay_from_it_at_once() {
    let cast = Cast::new().await;
    let (payer, _) = cast.players();
    // What it remembers of this look, there is no deposit in.
    let _nothing = payer.poll().await.unwrap();
    let opened = payer.create_deposit(&cast.request(60)).await.unwrap();
    let mut events = payer.subscribe_deposit_events();
    let looking = tokio::spawn({
        let payer = payer.clone();
        async move { payer.poll().await }
    });
    assert_eq!(events.recv().await.unwrap().state, DepositState::Active);
    assert!(!looking.is_finished(), "the look is not over");
    let payee = cast.payees[0].address;
    let paid = payer.write_cheque(opened.id, payee, coins(1)).await;
    assert!(paid.unwrap().proof.is_some());
    let _polled = looking.await.unwrap().unwrap();
}

#[tokio::test]
async fn deposits_take_the_lowest_free_lane_and_the_balance_pays_first() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, _) = cast.players();
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

    let first = opened(world, &payer, &cast.request(60)).await;
    assert_eq!(
        world.balance(cast.payer.address).await,
        coins(100).to_u256()
    );
    let coin = world.coin(cast.payer.address).await;
    let second = opened(world, &payer, &cast.request(60)).await;
    assert_eq!((first.deposit.lane, second.deposit.lane), (1, 2));
    assert_eq!(world.balance(cast.payer.address).await, U256::ZERO);
    let paid = coin - world.coin(cast.payer.address).await - second.sent.fee;
    assert_eq!(paid, coins(500).to_u256());

    let mut taken = cast.request(60);
    taken.lane = Some(2);
    let refused = payer.create_deposit(&taken).await.unwrap_err();
    assert!(matches!(refused, PayerError::LaneBusy { lane: 2, deposit } if deposit == second.id));
    // A deposit that is prepared only keeps its lane too.
    let third = payer.prepare_deposit(&cast.request(60)).await.unwrap();
    let fourth = payer.plan_deposit(&cast.request(60), None).await.unwrap();
    assert_eq!((third.deposit.lane, fourth.deposit.lane), (3, 4));
}

#[tokio::test]
async fn a_draw_that_leaves_no_time_to_pay_is_refused() {
    let cast = Cast::new().await;
    let (payer, _) = cast.players();
    let head = cast.world.head().await;
    for draw in [Draw::In(1), Draw::At(head), Draw::At(0)] {
        let mut request = cast.request(0);
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
    let mut endless = cast.request(u64::MAX);
    let refused = payer.create_deposit(&endless).await.unwrap_err();
    assert!(matches!(refused, PayerError::BlockOutOfRange));
    endless.draw = Draw::At(u64::MAX);
    let refused = payer.create_deposit(&endless).await.unwrap_err();
    assert!(matches!(refused, PayerError::BlockOutOfRange));
}

#[tokio::test]
async fn a_deposit_waits_for_as_many_confirmations_as_the_profile_asks_for() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let mut profile = *world.reader.profile();
    profile.confirmations = 3;
    let reader = world.reader.clone().with_profile(profile);
    let payer = Payer::new(reader.clone(), memory())
        .with_wallet(cast.payer.wallet.clone())
        .with_key(cast.payer.key.clone());
    let payee = Payee::new(reader, world.policy(&cast.payees[0]), memory());
    let opened = payer.create_deposit(&cast.request(60)).await.unwrap();
    assert_eq!(state(&payer, opened.id).await, DepositState::Pending);
    world.node.mine(1).await;
    assert_eq!(state(&payer, opened.id).await, DepositState::Pending);
    world.node.mine(1).await;
    assert_eq!(state(&payer, opened.id).await, DepositState::Active);
    pay(&payer, &payee, opened.id, coins(1)).await;
}

#[tokio::test]
async fn a_deposit_that_a_reorganisation_takes_away_is_pending_again_and_then_lost() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, payees) = cast.players();
    let snapshot = world.node.anvil("evm_snapshot", ()).await;
    let opened = opened(world, &payer, &cast.request(60)).await;
    let id = opened.id;
    let payment = payer.write_cheque(id, cast.payees[0].address, coins(1));
    let proof = payment.await.unwrap().proof.unwrap();
    let mut events = payer.subscribe_deposit_events();

    world.node.anvil("evm_revert", [snapshot]).await;
    world.node.mine(3).await;
    poll(&payer).await;
    let event = events.try_recv().unwrap();
    assert_eq!(
        (event.before, event.state),
        (DepositState::Active, DepositState::Pending)
    );
    let refused = payer
        .write_cheque(id, cast.payees[0].address, coins(1))
        .await
        .unwrap();
    assert_eq!(refused.proof, None);
    let taken = payees[0].receive_payment(None, &proof).await;
    assert_eq!(rejection(taken), Rejection::NotConfirmed(id));

    // Too late to open it again: the bank wants a lead of 4 blocks.
    world.node.mine_to(opened.deposit.drawBlock - 4).await;
    poll(&payer).await;
    assert_eq!(events.try_recv().unwrap().state, DepositState::NeverOpened);
    let refused = payer.open(id).await.unwrap_err();
    assert!(matches!(&refused, PayerError::Outbox(_)), "{refused}");
    world.node.mine(world.reader.profile().final_depth).await;
    assert_eq!(state(&payer, id).await, DepositState::NeverOpened);
    assert!(payer.deposit(id).await.unwrap().settled);
    // Its lane is free again.
    let next = payer.create_deposit(&cast.request(60)).await.unwrap();
    assert_eq!(next.deposit.lane, opened.deposit.lane);
}

#[tokio::test]
async fn a_relayer_opens_a_deposit_by_the_payers_signature() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, payees) = cast.players();
    let relayer = world.party(99).await;
    payer
        .ensure_funded(Address::ZERO, coins(600))
        .await
        .unwrap();
    let planned = payer.prepare_deposit(&cast.request(60)).await.unwrap();
    let deadline = U256::from(u64::MAX);
    let signed = payer.sign_opening(planned.id, deadline).await.unwrap();
    let bank = world.reader.bank();
    let call = Call::open_for(bank, &signed.deposit, deadline, &signed.signature);
    relayer.wallet.send(&call).await.unwrap();
    assert_eq!(state(&payer, planned.id).await, DepositState::Active);
    pay(&payer, &payees[0], planned.id, coins(1)).await;
}

#[tokio::test]
async fn a_payer_without_its_store_finds_its_deposits_on_the_chain() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, _) = cast.players();
    let mut request = cast.request(60);
    request.redeem_window = Some(10);
    let first = opened(world, &payer, &request).await;
    let second = opened(world, &payer, &request).await;
    let head = world.head().await;
    let found = world
        .reader
        .find_deposits(cast.payer.address, 0, head)
        .await
        .unwrap();
    let expected = [&first, &second].map(|opened| FoundDeposit {
        id: opened.id,
        deposit: opened.deposit.clone(),
        block: opened.sent.block,
    });
    assert_eq!(found, expected);
    let one = world.reader.find_deposit(second.id, 0, head).await.unwrap();
    assert_eq!(one.as_ref(), Some(&expected[1]));
    let stranger = cast.payees[0].address;
    assert!(
        world
            .reader
            .find_deposits(stranger, 0, head)
            .await
            .unwrap()
            .is_empty()
    );

    world.node.mine_to(second.deposit.lastRedeemBlock).await;
    let reclaim = Call::reclaim(world.reader.bank(), &found[0].deposit);
    cast.payees[0].wallet.send(&reclaim).await.unwrap();
    assert_eq!(state(&payer, first.id).await, DepositState::Reclaimed);
}

#[tokio::test]
async fn deposits_created_at_once_take_different_purses() {
    let cast = Cast::new().await;
    let (payer, _) = cast.players();
    let (first, second) = (cast.request(60), cast.request(60));
    let (first, second) = tokio::join!(payer.create_deposit(&first), payer.create_deposit(&second));
    let mut lanes = [first, second].map(|opened| opened.unwrap().deposit.lane);
    lanes.sort_unstable();
    assert_eq!(lanes, [1, 2]);
}

#[tokio::test]
async fn no_cheque_is_written_by_an_old_view_of_the_chain() {
    let cast = Cast::new().await;
    let mut profile = *cast.world.reader.profile();
    profile.stale_after = Some(60);
    let reader = cast.world.reader.clone().with_profile(profile);
    let payer = Payer::new(reader, memory())
        .with_wallet(cast.payer.wallet.clone())
        .with_key(cast.payer.key.clone());
    let id = opened(&cast.world, &payer, &cast.request(60)).await.id;
    let payee = cast.payees[0].address;
    let payment = payer.write_cheque(id, payee, coins(1)).await.unwrap();
    assert!(payment.proof.is_some());

    cast.world.node.anvil("evm_increaseTime", [3_600]).await;
    cast.world.node.mine(1).await;
    let refused = payer.poll().await.unwrap_err();
    assert!(matches!(refused, PayerError::StaleView { .. }), "{refused}");
    let refused = payer.write_cheque(id, payee, coins(1)).await.unwrap_err();
    assert!(
        matches!(refused, PayerError::StaleView { limit: 60, .. }),
        "{refused}"
    );
    let refused = payer.pay(payee, Address::ZERO, coins(1)).await.unwrap_err();
    assert!(matches!(refused, PayerError::StaleView { .. }), "{refused}");
    let last = payer.last_cheque(id, payee).await.unwrap().unwrap();
    assert_eq!(last.0, coins(1), "nothing was recorded");
}

#[tokio::test]
async fn a_deposit_that_cannot_be_followed_does_not_hold_up_the_others() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, _) = cast.players();
    let mut request = cast.request(40);
    request.redeem_window = Some(60);
    let broken = opened(world, &payer, &request).await;
    let good = opened(world, &payer, &cast.request(120)).await;
    let payee = cast.payees[0].address;

    // Its list of payees is lost, so nobody knows who has won.
    let key = deposit_key(world.reader.bank(), broken.id);
    let list = cast.store.get(Table::Trees, &key).unwrap();
    let change = Change {
        table: Table::Trees,
        key: &key,
        old: list.as_deref(),
        new: None,
    };
    assert_eq!(cast.store.swap(&[change]).unwrap(), Swap::Done);
    world.node.mine_to(broken.deposit.drawBlock + 1).await;
    let restarted = world.payer(&cast.payer, cast.store.clone());
    let polled = restarted.poll().await.unwrap();
    let [(of, PayerError::NoList(_))] = &polled.errors[..] else {
        panic!("{polled:?}");
    };
    assert_eq!(*of, broken.id);
    let payment = restarted.write_cheque(good.id, payee, coins(1)).await;
    assert!(payment.unwrap().proof.is_some());
    let parts = restarted.pay(payee, Address::ZERO, coins(1)).await.unwrap();
    assert_eq!(parts[0].deposit, good.id);

    // And what is not known does not keep the money from coming back.
    let record = restarted.deposit(broken.id).await.unwrap();
    assert_eq!(record.state, DepositState::PastCutoff);
    world.node.mine_to(broken.deposit.lastRedeemBlock).await;
    let _same_errors = restarted.poll().await.unwrap();
    let record = restarted.deposit(broken.id).await.unwrap();
    assert_eq!(record.state, DepositState::Reclaimable);
}
