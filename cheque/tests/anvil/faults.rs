//! Nodes that fail, lie and leave out.

use crate::cast::{Cast, memory, opened, pay, play, poll, rejection, state};
use crate::node::{World, coins};
use crate::proxy::{Fault, Proxy};
use alloy_primitives::{Address, B256};
use alloy_sol_types::SolEvent;
use cheque::{ChainProfile, DepositId, Rejection, bank::BankError};
use cheque::{
    bank::{Closed, HeadCheckError, Reader},
    node::connect_within,
    payee::{Payee, ReceiveError, RedeemOptions},
    payer::{DepositState, Payer, PayerError},
};
use cheque::{
    payer::DepositRecord,
    store::{Memory, Store, Table, deposit_key},
};
use cheque_bindings::Redeemed;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// As long as a look at the chain serves for payments here, and a little more.
const OLD: Duration = Duration::from_millis(1_100);

/// Where anvil's time may be an hour off, the chain may lose 4 blocks, and nothing else is off.
fn profile(world: &World) -> ChainProfile {
    ChainProfile {
        confirmations: 4,
        stale_after: Some(3_600),
        ..*world.reader.profile()
    }
}

/// The bank, as it is seen through a proxy.
pub(crate) async fn through(world: &World, proxy: &Proxy) -> Reader {
    let provider = connect_within(&[&proxy.url], Duration::from_millis(200)).await;
    let reader = Reader::open(provider.unwrap(), world.reader.bank().address());
    reader.await.unwrap().with_profile(profile(world))
}

pub(crate) fn payer(cast: &Cast, reader: &Reader, store: &Arc<Memory>) -> Payer {
    Payer::new(reader.clone(), store.clone())
        .with_wallet(cast.payer.wallet.clone())
        .with_key(cast.payer.key.clone())
}

fn payee(cast: &Cast, reader: &Reader, number: usize) -> Payee {
    let party = &cast.payees[number];
    let mut policy = crate::node::policy(reader, party.address);
    policy.cutoff = 1;
    Payee::new(reader.clone(), policy, memory()).with_wallet(party.wallet.clone())
}

pub(crate) fn head_error(error: &BankError) -> HeadCheckError {
    match error {
        BankError::Head(error) => *error,
        other => panic!("not about the head: {other}"),
    }
}

#[tokio::test]
async fn while_a_node_fails_nothing_is_paid_and_afterwards_all_goes_on() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let id = opened(world, &cast.players().0, &cast.request(60)).await.id;
    world.node.mine(4).await;
    let faults = [
        Fault::Silence,
        Fault::Status(500),
        Fault::Status(429),
        Fault::Status(403),
        Fault::Garbage,
        Fault::Cut,
        Fault::Refusal(-32_603, "internal error"),
        Fault::Refusal(-32_005, "too many requests"),
        Fault::Answer(json!(null)),
        Fault::Answer(json!({ "number": "much" })),
    ];
    // All at once, since most of it is waiting.
    let mut tests = Vec::new();
    for fault in faults {
        let proxy = Proxy::start(&world.node.provider).await;
        let reader = through(world, &proxy).await;
        let payer = payer(&cast, &reader, &cast.store);
        let payee = payee(&cast, &reader, 0);
        tests.push(tokio::spawn(async move {
            let account = payee.policy().payee;
            proxy.fail("", fault.clone());
            let refused = payer.write_cheque(id, account, coins(1)).await;
            assert!(matches!(refused, Err(PayerError::Bank(_))), "{fault:?}");
            assert!(payer.poll().await.is_err(), "{fault:?}");
            assert!(payee.poll().await.is_err(), "{fault:?}");
            proxy.heal();
            let payment = payer.write_cheque(id, account, coins(1)).await.unwrap();
            assert!(payment.proof.is_some(), "it is active");
            let proof = payer.opening(id, account).await.unwrap().unwrap();
            payee.receive_payment(None, &proof).await.unwrap().value
        }));
    }
    let count = tests.len() as u128;
    for test in tests {
        test.await.unwrap();
    }
    let payer = cast.players().0;
    let account = cast.payees[0].address;
    let paid = payer.last_cheque(id, account).await.unwrap().unwrap().0;
    assert_eq!(paid, coins(count), "what was refused was not recorded");
}

#[tokio::test]
async fn no_cheque_is_written_and_none_taken_by_a_head_that_cannot_be_true() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let proxy = Proxy::start(&world.node.provider).await;
    let reader = through(world, &proxy).await;
    let (payer, payee) = (payer(&cast, &reader, &cast.store), payee(&cast, &reader, 0));
    let account = payee.policy().payee;
    let created = payer.create_deposit(&cast.request(90)).await.unwrap();
    let id = created.id;
    // Else the chain would grow faster than its time.
    world.node.anvil("evm_increaseTime", [10]).await;
    world.node.mine(10).await;
    poll(&payer).await;
    pay(&payer, &payee, id, coins(1)).await;
    let head = world.head().await;
    let before = payer.deposits().await.unwrap();

    let back = HeadCheckError::WentBack {
        number: head - 5,
        before: head,
        depth: 4,
    };
    for (fault, expected) in [(Fault::Behind(5), Some(back)), (Fault::Ahead(5_000), None)] {
        proxy.fail("eth_getBlockByNumber", fault);
        tokio::time::sleep(2 * OLD).await;
        let PayerError::Bank(refused) = payer.poll().await.unwrap_err() else {
            panic!("not of the chain");
        };
        let refused = head_error(&refused);
        match expected {
            Some(expected) => assert_eq!(refused, expected),
            None => assert!(
                matches!(refused, HeadCheckError::TooFast { .. }),
                "{refused}"
            ),
        }
        payer.write_cheque(id, account, coins(1)).await.unwrap_err();
        let ReceiveError::Bank(same) = payee.poll().await.unwrap_err() else {
            panic!("not of the chain");
        };
        assert_eq!(head_error(&same), refused);
        proxy.heal();
    }
    // A chain that is a little shorter is one that was reorganised.
    proxy.fail("eth_getBlockByNumber", Fault::Behind(4));
    poll(&payer).await;
    proxy.heal();

    for seconds in [4_000, -4_000] {
        proxy.fail("eth_getBlockByNumber", Fault::OffClock(seconds));
        let refused = payer.poll().await.unwrap_err();
        assert!(matches!(refused, PayerError::StaleView { .. }), "{refused}");
        tokio::time::sleep(2 * OLD).await;
        let refused = payer.write_cheque(id, account, coins(1)).await.unwrap_err();
        assert!(matches!(refused, PayerError::StaleView { .. }), "{refused}");
        let proof = payer.opening(id, account).await.unwrap().unwrap();
        let refused = rejection(payee.receive_payment(None, &proof).await);
        assert!(matches!(refused, Rejection::StaleView { .. }), "{refused}");
        proxy.heal();
    }
    proxy.fail("eth_getBlockByNumber", Fault::OtherBlocks);
    let PayerError::Bank(refused) = payer.poll().await.unwrap_err() else {
        panic!("not of the chain");
    };
    assert_eq!(head_error(&refused), HeadCheckError::Moved { number: head });
    proxy.heal();
    proxy.fail("eth_chainId", Fault::Answer(json!("0x1")));
    let refused = payer.poll().await.unwrap_err();
    let expected = BankError::WrongChain {
        expected: 31_337,
        found: 1,
    };
    assert_eq!(refused.to_string(), expected.to_string());
    proxy.heal();

    assert_eq!(
        payer.deposits().await.unwrap(),
        before,
        "nothing was concluded"
    );
    payee.poll().await.unwrap();
    let (payment, accepted) = pay(&payer, &payee, id, coins(1)).await;
    assert_eq!((payment.spent, accepted.total), (coins(2), coins(2)));
}

/// A store that holds a deposit as it was before the payer saw it open.
fn as_pending(cast: &Cast, id: DepositId) -> Arc<Memory> {
    let store = memory();
    let key = deposit_key(cast.world.reader.bank(), id);
    for table in [Table::Deposits, Table::Trees] {
        let mut value = cast.store.get(table, &key).unwrap().unwrap();
        if table == Table::Deposits {
            let mut record = DepositRecord::from_bytes(&value).unwrap();
            (record.state, record.settled) = (DepositState::Pending, false);
            value = record.to_bytes();
        }
        let set = store.compare_and_set(table, &key, None, &value).unwrap();
        assert_eq!(set, cheque::store::Swap::Done);
    }
    store
}

#[tokio::test]
async fn events_that_a_node_leaves_out_never_make_a_deposit_lost() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (direct, payees) = cast.players();
    let opened = opened(world, &direct, &cast.request(60)).await;
    let never = direct.prepare_deposit(&cast.request(30)).await.unwrap();
    let (winner, payout) = play(world, &direct, &payees, &opened).await;
    assert_eq!(state(&direct, never.id).await, DepositState::NeverOpened);
    let pending = as_pending(&cast, opened.id);
    let options = RedeemOptions::default();
    payees[winner].redeem(opened.id, &options).await.unwrap();

    let proxy = Proxy::start(&world.node.provider).await;
    let reader = through(world, &proxy).await;
    let key = deposit_key(reader.bank(), opened.id);
    // What the store knows of the deposit counts where the node has forgotten what was in the purse.
    proxy.fail("eth_getLogs", Fault::Answer(json!([])));
    proxy.fail("eth_call", Fault::Forgets(opened.deposit.drawBlock));
    world.node.mine(5).await;
    let polled = payer(&cast, &reader, &cast.store).poll().await.unwrap();
    assert_eq!(polled.errors.len(), 1, "{polled:?}");
    proxy.heal();
    for store in [&cast.store, &pending] {
        let payer = payer(&cast, &reader, store);
        proxy.fail("eth_getLogs", Fault::Answer(json!([])));
        let known = store.get(Table::Deposits, &key).unwrap();
        // At once, when the redemption is young, and later, when nothing but the draw block's purse tells.
        for _ in 0..2 {
            let polled = payer.poll().await.unwrap();
            let [(of, PayerError::Bank(BankError::NoEvent { id, .. }))] = &polled.errors[..] else {
                panic!("{polled:?}");
            };
            assert_eq!((*of, *id), (opened.id, opened.id));
            assert!(polled.events.is_empty());
            assert_eq!(store.get(Table::Deposits, &key).unwrap(), known);
            // As many as may come within a second.
            world.node.mine(4).await;
        }
        proxy.heal();
        let redeemed = DepositState::Redeemed {
            payee: payees[winner].policy().payee,
            payout,
        };
        assert_eq!(state(&payer, opened.id).await, redeemed);
    }
}

#[tokio::test]
async fn a_payee_needs_no_events_and_nobody_believes_one_against_the_purse() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (direct, payees) = cast.players();
    let opened = opened(world, &direct, &cast.request(60)).await;
    let (winner, payout) = play(world, &direct, &payees, &opened).await;
    world.node.mine(4).await;
    let loser = (winner + 1) % 3;

    let proxy = Proxy::start(&world.node.provider).await;
    let reader = through(world, &proxy).await;
    let invented = redeemed_event(&reader, opened.id, cast.payees[loser].address);
    proxy.fail("eth_getLogs", Fault::Answer(invented));
    let closed = reader
        .closed(opened.id, 1, world.head().await)
        .await
        .unwrap();
    assert!(
        matches!(closed, Some(Closed::Redeemed { .. })),
        "{closed:?}"
    );
    let drawn = DepositState::Drawn {
        winner: Some(cast.payees[winner].address),
    };
    assert_eq!(
        state(&payer(&cast, &reader, &cast.store), opened.id).await,
        drawn
    );

    let asked = proxy.asked("eth_getLogs");
    for number in [loser, winner] {
        let payee = payee_with(&cast, &reader, number, &payees[number]).await;
        let won = payee.won().await.unwrap();
        assert_eq!(won.len(), usize::from(number == winner));
        let settled = payee.settle().await.unwrap();
        assert_eq!(settled.len(), won.len());
    }
    assert_eq!(proxy.asked("eth_getLogs"), asked);
    let account = cast.payees[winner].address;
    assert_eq!(world.balance(account).await, payout.to_u256());
}

/// The payee over another reader, with what it was paid.
async fn payee_with(cast: &Cast, reader: &Reader, number: usize, from: &Payee) -> Payee {
    let store = memory();
    for position in from.ledger().await.unwrap() {
        let bank = reader.bank().address();
        let key = cheque::store::received_key(bank, position.deposit_id(), position.payee());
        let set = store.compare_and_set(Table::Received, &key, None, &position.to_bytes());
        assert_eq!(set.unwrap(), cheque::store::Swap::Done);
    }
    let party = &cast.payees[number];
    Payee::new(
        reader.clone(),
        crate::node::policy(reader, party.address),
        store,
    )
    .with_wallet(party.wallet.clone())
}

/// An event that says somebody was paid.
fn redeemed_event(reader: &Reader, id: DepositId, payee: Address) -> Value {
    let event = Redeemed {
        depositId: id.0,
        payee,
        to: Address::ZERO,
        spent: 1,
        payout: 1,
    };
    let event = event.encode_log_data();
    json!([{
        "address": reader.bank().address(),
        "topics": event.topics(),
        "data": event.data,
        "blockNumber": "0x1",
        "blockHash": B256::ZERO,
        "transactionHash": B256::ZERO,
        "transactionIndex": "0x0",
        "logIndex": "0x0",
        "removed": false,
    }])
}
