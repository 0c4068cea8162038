//! The payee's service after what may happen in months: restarts, days offline, reorganisations, lost transactions.

use crate::cast::{Cast, memory, opened, pay, state as payers_state};
use crate::node::coins;
use crate::payee_service::{
    DEAR, redeemed, sends, sent_by, service, set_gas_price, status, step, wins, with_settings,
};
use alloy::consensus::Transaction;
use alloy::providers::Provider;
use alloy_primitives::{TxHash, U256};
use cheque::HISTORY_WINDOW;
use cheque::payee::{HoldingState, MissReason, PayeeService, PayeeSettings};
use cheque::store::Redb;
use cheque::{
    payee::Purpose,
    payer::{DepositState, Draw},
};
use std::sync::Arc;
use std::time::Duration;

pub(crate) async fn snapshot(cast: &Cast) -> serde_json::Value {
    cast.world.node.anvil("evm_snapshot", ()).await
}

/// Drops all blocks since the snapshot, and what was in them.
pub(crate) async fn drop_since(cast: &Cast, snapshot: serde_json::Value) {
    let dropped = cast.world.node.anvil("evm_revert", [snapshot]).await;
    assert_eq!(dropped, serde_json::Value::Bool(true));
}

/// A service that takes a block to be deep enough when it is one of the last three.
fn careful(cast: &Cast) -> PayeeService {
    let mut profile = *cast.world.reader.profile();
    profile.confirmations = 3;
    let reader = cast.world.reader.clone().with_profile(profile);
    let party = &cast.payees[0];
    let payee = cheque::payee::Payee::new(reader, cast.world.policy(party), memory())
        .with_wallet(party.wallet.clone());
    let settings = PayeeSettings::new(payee.policy(), &profile);
    PayeeService::new(payee, settings)
}

/// The block that has paid a win of [`wins`].
async fn paid(service: &PayeeService, id: cheque::DepositId) -> u64 {
    let (payout, block) = redeemed(service, id).await;
    assert_eq!(payout, coins(100));
    block
}

#[tokio::test]
async fn a_service_that_is_killed_after_every_step_goes_on_where_it_was() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let party = &cast.payees[0];
    let directory = tempfile::tempdir().unwrap();
    let restarted = || {
        let store = Redb::open(directory.path().join("payee")).unwrap();
        service(world, party, Arc::new(store))
    };
    let draw = world.head().await + 60;
    let all = wins(&cast, &restarted(), &[draw; 5], HISTORY_WINDOW).await;
    let id = all[0].id;
    assert_eq!(step(&restarted(), id).await.name(), "receiving");
    world.node.mine_to(draw - 3).await;
    assert_eq!(step(&restarted(), id).await.name(), "past_cutoff");
    world.node.mine_to(draw).await;
    assert_eq!(step(&restarted(), id).await.name(), "drawn");
    world.node.mine(1).await;
    world.node.anvil("evm_setAutomine", [false]).await;
    // The seed is sent, and found again.
    for _ in 0..2 {
        assert_eq!(step(&restarted(), id).await.name(), "won");
        assert_eq!(restarted().payee().pending_txs().await.unwrap().len(), 1);
    }
    world.node.mine(1).await;
    let hash = sends(&restarted(), id).await;
    assert_eq!(sends(&restarted(), id).await, hash);
    world.node.mine(1).await;
    for opened in &all {
        paid(&restarted(), opened.id).await;
    }
    assert!(restarted().payee().pending_txs().await.unwrap().is_empty());
    assert_eq!(sent_by(world, party.address).await, 2);
}

#[tokio::test]
async fn a_service_that_was_away_during_draws_and_for_hours_after_them_catches_up() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let party = &cast.payees[0];
    let store = memory();
    let before = service(world, party, store.clone());
    let draw = world.head().await + 80;
    let all = wins(&cast, &before, &[draw, draw + 7, draw + 9], HISTORY_WINDOW).await;
    drop(before);
    // More than BLOCKHASH reaches.
    world.node.mine_to(draw + 600).await;
    let back = service(world, party, store);
    let hash = sends(&back, all[0].id).await;
    for opened in &all {
        let state = status(&back, opened.id).await.state;
        assert_eq!(state, HoldingState::Redeeming { hash });
    }
    for opened in &all {
        paid(&back, opened.id).await;
    }
}

#[tokio::test]
async fn a_service_that_was_away_for_too_long_says_what_it_has_missed() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let party = &cast.payees[0];
    let store = memory();
    let draw = world.head().await + 60;
    let before = service(world, party, store.clone());
    let all = wins(&cast, &before, &[draw], 50).await;
    let (id, last_block) = (all[0].id, draw + 50);
    world.node.mine_to(last_block).await;
    let missed = HoldingState::Missed(MissReason::Window { last_block });
    let keep = |settings: &mut PayeeSettings| settings.keep = 200;
    let back = with_settings(world, party, store, keep);
    assert_eq!(step(&back, id).await, missed);
    let reason = status(&back, id).await.reason();
    assert!(reason.contains("was the last to redeem it"), "{reason}");

    // It stays in the ledger for a while, also when it does not change any more.
    world.node.mine_to(last_block + 200).await;
    assert_eq!(step(&back, id).await, missed);
    world.node.mine(1).await;
    back.step().await.unwrap();
    assert!(back.status().await.unwrap().is_empty());
    assert!(back.payee().ledger().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_redemption_that_a_reorganisation_drops_is_handed_to_the_node_again() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let service = careful(&cast);
    let party = &cast.payees[0];
    let draw = world.head().await + 60;
    let id = wins(&cast, &service, &[draw], HISTORY_WINDOW).await[0].id;
    world.node.mine_to(draw + 2).await;
    let before = snapshot(&cast).await;
    let hash = sends(&service, id).await;
    paid(&service, id).await;
    assert_eq!(service.payee().pending_txs().await.unwrap().len(), 1);

    drop_since(&cast, before).await;
    world.node.mine(1).await;
    assert_eq!(sends(&service, id).await, hash, "the very same transaction");
    let block = paid(&service, id).await;
    world.node.mine_to(block + 2).await;
    paid(&service, id).await;
    assert!(
        service.payee().pending_txs().await.unwrap().is_empty(),
        "deep enough"
    );
    assert_eq!(sent_by(world, party.address).await, 1);
    assert_eq!(
        world.balance(party.address).await,
        coins(100).to_u256(),
        "paid once"
    );
}

#[tokio::test]
async fn a_win_that_a_reorganisation_makes_a_loss_is_not_redeemed_and_the_other_way_round() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, _) = cast.players();
    let party = &cast.payees[0];
    let service = service(world, party, memory());
    let opened = opened(world, &payer, &cast.request(60)).await;
    let (id, draw) = (opened.id, opened.deposit.drawBlock);
    // A sixth of the deposit.
    pay(&payer, service.payee(), id, coins(100)).await;
    world.node.mine_to(draw - 2).await;
    world.node.anvil("evm_setAutomine", [false]).await;
    let waiting = || async {
        let count = world.node.provider.get_transaction_count(party.address);
        count.pending().await.unwrap()
    };
    let (mut won, mut lost_after_that) = (false, false);
    while !lost_after_that {
        let before = snapshot(&cast).await;
        world.node.mine_to(draw + 1).await;
        let mut state = step(&service, id).await;
        if let HoldingState::Won(_) = state {
            // Won again, but what was sent has the header of another draw.
            state = step(&service, id).await;
        }
        match state {
            HoldingState::Redeeming { .. } => {
                won = true;
                assert_eq!(waiting().await, 1);
            }
            HoldingState::NotDrawn => {
                lost_after_that = won;
                assert_eq!(waiting().await, 0, "it is not sent again");
                assert!(service.payee().pending_txs().await.unwrap().is_empty());
            }
            other => panic!("drawn and deep: {other:?}"),
        }
        // Another draw, and the nodes have forgotten the transaction.
        world.node.anvil("anvil_dropAllTransactions", ()).await;
        drop_since(&cast, before).await;
    }
    assert_eq!(sent_by(world, party.address).await, 0);
}

#[tokio::test]
async fn a_batch_that_was_sent_by_a_draw_that_is_replaced_is_given_up_and_made_anew() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let party = &cast.payees[0];
    let service = service(world, party, memory());
    let draw = world.head().await + 80;
    let all = wins(&cast, &service, &[draw; 2], HISTORY_WINDOW).await;
    let id = all[0].id;
    world.node.mine_to(draw - 2).await;
    world.node.anvil("evm_setAutomine", [false]).await;
    let before = snapshot(&cast).await;
    world.node.mine_to(draw + 1).await;
    let first = sends(&service, id).await;

    world.node.anvil("anvil_dropAllTransactions", ()).await;
    drop_since(&cast, before).await;
    world.node.mine_to(draw + 1).await;
    // Whoever gets everything wins by every draw, but not with the header of another one.
    assert_eq!(step(&service, id).await.name(), "won");
    assert!(service.payee().pending_txs().await.unwrap().is_empty());
    assert_ne!(sends(&service, id).await, first);
    world.node.mine(1).await;
    for opened in &all {
        paid(&service, opened.id).await;
    }
    assert_eq!(sent_by(world, party.address).await, 1);
}

/// A win, and a redemption of it that waits and has become worthless by another draw.
pub(crate) async fn worthless(cast: &Cast, service: &PayeeService) -> (cheque::DepositId, TxHash) {
    let node = &cast.world.node;
    let draw = cast.world.head().await + 80;
    let id = wins(cast, service, &[draw], HISTORY_WINDOW).await[0].id;
    node.mine_to(draw - 2).await;
    node.anvil("evm_setAutomine", [false]).await;
    let before = snapshot(cast).await;
    node.mine_to(draw + 1).await;
    let first = sends(service, id).await;
    redraw(cast, before, draw, first).await;
    (id, first)
}

/// Draws again since the snapshot, and the node still has what was sent by the draw of before.
pub(crate) async fn redraw(cast: &Cast, before: serde_json::Value, draw: u64, sent: TxHash) {
    let node = &cast.world.node;
    let raw = node.provider.get_raw_transaction_by_hash(sent).await;
    node.anvil("anvil_dropAllTransactions", ()).await;
    drop_since(cast, before).await;
    node.mine_to(draw + 1).await;
    let raw = raw.unwrap().expect("the node has it");
    let _waiting = node.provider.send_raw_transaction(&raw).await.unwrap();
}

#[tokio::test]
async fn what_is_given_up_while_it_waits_is_cancelled_and_holds_up_nothing() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (party, store) = (&cast.payees[0], memory());
    let restarted = || service(world, party, store.clone());
    let (id, first) = worthless(&cast, &restarted()).await;
    assert_eq!(step(&restarted(), id).await.name(), "won");
    let pending_txs = restarted().payee().pending_txs().await.unwrap();
    let [cancelling] = &pending_txs[..] else {
        panic!("one of them: {pending_txs:?}");
    };
    assert_eq!(cancelling.purpose, Purpose::Cancel);
    let provider = &world.node.provider;
    let cancellation = provider.get_transaction_by_hash(cancelling.hash).await;
    let cancellation = cancellation.unwrap().expect("the node has it");
    assert_eq!(cancellation.to(), Some(party.address));
    assert_eq!(
        (cancellation.nonce(), cancellation.value()),
        (0, U256::ZERO)
    );

    // Nothing is sent twice, and what comes next does not wait for it.
    assert_ne!(sends(&restarted(), id).await, first);
    let both = restarted().payee().pending_txs().await.unwrap();
    assert_eq!((both.len(), &both[1]), (2, cancelling));
    world.node.mine(1).await;
    paid(&restarted(), id).await;
    restarted().step().await.unwrap();
    assert!(restarted().payee().pending_txs().await.unwrap().is_empty());
    assert_eq!(sent_by(world, party.address).await, 2);
}

#[tokio::test]
async fn what_was_given_up_before_a_restart_is_cancelled_after_it() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (party, store) = (&cast.payees[0], memory());
    let restarted = || service(world, party, store.clone());
    let (id, first) = worthless(&cast, &restarted()).await;
    let payee = restarted().payee().clone();
    let one = payee.pending_txs().await.unwrap().remove(0);
    let unwanted = payee.give_up(&one).await.unwrap().expect("it waits");
    assert_eq!(
        (&unwanted.purpose, unwanted.hash),
        (&Purpose::Cancel, first)
    );

    // Killed before it has sent what cancels it.
    sends(&restarted(), id).await;
    let cancelling = payee.pending_txs().await.unwrap().remove(1);
    assert_eq!(cancelling.purpose, Purpose::Cancel);
    assert_ne!(cancelling.hash, first);
    world.node.mine(1).await;
    paid(&restarted(), id).await;
    assert_eq!(sent_by(world, party.address).await, 2);
}

#[tokio::test]
async fn a_deposit_that_a_reorganisation_takes_away_is_unconfirmed_until_it_is_back() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, _) = cast.players();
    let service = service(world, &cast.payees[0], memory());
    let before = snapshot(&cast).await;
    let opened = opened(world, &payer, &cast.request(60)).await;
    pay(&payer, service.payee(), opened.id, coins(5)).await;
    assert_eq!(step(&service, opened.id).await.name(), "receiving");
    drop_since(&cast, before).await;
    world.node.mine(2).await;
    assert_eq!(step(&service, opened.id).await, HoldingState::Unconfirmed);
    assert_eq!(payers_state(&payer, opened.id).await, DepositState::Pending);
    payer.open(opened.id).await.unwrap();
    assert_eq!(step(&service, opened.id).await.name(), "receiving");
}

#[tokio::test]
async fn a_redemption_that_waits_for_long_is_sent_again_for_more_and_never_twice() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let party = &cast.payees[0];
    let service = service(world, party, memory());
    let draw = world.head().await + 60;
    let id = wins(&cast, &service, &[draw], HISTORY_WINDOW).await[0].id;
    world.node.mine_to(draw + 1).await;
    world.node.anvil("evm_setAutomine", [false]).await;
    let first = sends(&service, id).await;
    world.node.anvil("anvil_dropTransaction", [first]).await;
    assert_eq!(sends(&service, id).await, first, "handed over again");

    // After ten blocks for more, but not for more than the win is worth.
    set_gas_price(world, 10 * DEAR).await;
    world.node.mine(10).await;
    set_gas_price(world, DEAR).await;
    service.step().await.unwrap();
    let too_dear = status(&service, id).await.state;
    assert_eq!(too_dear, HoldingState::Redeeming { hash: first });
    set_gas_price(world, 20).await;
    let dearer = sends(&service, id).await;
    assert_ne!(dearer, first);
    world.node.mine(1).await;
    paid(&service, id).await;
    assert_eq!(sent_by(world, party.address).await, 1);
}

#[tokio::test]
async fn left_to_itself_the_service_follows_redeems_and_ends_when_it_is_told_to() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let service = service(world, &cast.payees[0], memory());
    assert!(!service.health().ok, "{:?}", service.health());
    let draw = world.head().await + 60;
    let id = wins(&cast, &service, &[draw], HISTORY_WINDOW).await[0].id;
    world.node.mine_to(draw + 1).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = service.clone();
    let task = tokio::spawn(async move {
        let stopped = async move { drop(stopped.await) };
        running.run(stopped).await
    });
    while status(&service, id).await.state.name() != "redeemed" {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let health = service.health();
    assert!(health.ok, "{health:?}");
    assert!(health.head >= Some(draw + 1));
    stop.send(()).unwrap();
    task.await.unwrap().unwrap();

    // What fails for all is not hidden.
    let nowhere = PayeeService::new(
        cheque::payee::Payee::new(
            cast.world.reader.clone(),
            cast.world.policy(&cast.payees[0]),
            memory(),
        ),
        PayeeSettings::new(
            &cast.world.policy(&cast.payees[0]),
            cast.world.reader.profile(),
        ),
    );
    drop(cast);
    let failed = nowhere.step().await.unwrap_err();
    let health = nowhere.health();
    assert_eq!(health.last_error, Some(failed.to_string()));
    assert!(
        health
            .reason
            .contains("has not seen the chain yet: the node"),
        "{health:?}"
    );
}

#[tokio::test]
async fn payments_are_counted_in_the_ledger_before_the_next_step() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (payer, _) = cast.players();
    let service = service(world, &cast.payees[0], memory());
    let mut request = cast.request(0);
    request.draw = Draw::At(world.head().await + 60);
    let opened = opened(world, &payer, &request).await;
    service.step().await.unwrap();
    let address = cast.payees[0].address;
    let payment = payer.write_cheque(opened.id, address, coins(2)).await;
    let proof = payment.unwrap().proof.unwrap();
    let accepted = service.receive_payment(None, &proof).await.unwrap();
    let status = status(&service, opened.id).await;
    assert_eq!(status.state.name(), "receiving");
    assert_eq!(status.position.total(), accepted.total);
    service.receive_payment(None, &proof).await.unwrap_err();
}
