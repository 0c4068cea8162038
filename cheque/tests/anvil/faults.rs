//! Payer and payee over a node that fails, lies or omits events.

use crate::fixtures::{
    Fixture, HOUR, memory, open_deposit, pay, pay_and_draw, poll, rejection, state,
};
use crate::node::coins;
use crate::over;
use crate::proxied::{head_error, payer, through};
use crate::proxy::{Fault, Proxy};
use crate::settle::{settle, won};
use alloy_primitives::{Address, B256};
use alloy_sol_types::SolEvent;
use cheque::store::{Memory, Store, Table, deposit_key};
use cheque::{ClockError, DepositId};
use cheque::{
    bank::{BankError, Closed, HeadCheckError, Reader},
    payee::{Payee, ReceiveError, RedeemOptions},
    payer::{DepositState, PayerError},
};
use cheque_bindings::Redeemed;
use serde_json::{Value, json};
use std::{ops::ControlFlow, sync::Arc, time::Duration};

/// True if a payer refuses because of the head's time.
fn is_off_the_clock(error: &PayerError) -> bool {
    matches!(
        error,
        PayerError::Clock(ClockError::ClockBehind { .. } | ClockError::HeadStale { .. })
            | PayerError::Bank(BankError::Head(
                HeadCheckError::Ahead { .. } | HeadCheckError::Behind { .. }
            ))
    )
}

/// Slightly longer than the lifetime of a chain snapshot on this chain.
const STALE: Duration = Duration::from_millis(1_100);

fn payee(fixture: &Fixture, reader: &Reader, number: usize) -> Payee {
    let account = &fixture.payees[number];
    over::payee(&fixture.world, reader, account, memory())
}

#[tokio::test]
async fn refuses_payments_while_node_fails_and_recovers() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let id = open_deposit(world, &fixture.actors().0, &fixture.request(HOUR))
        .await
        .id;
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
    // All faults in parallel, because most of the time is waiting.
    let mut tests = Vec::new();
    for fault in faults {
        let proxy = Proxy::start(&world.node.provider).await;
        let reader = through(world, &proxy).await;
        let payer = payer(&fixture, &reader, &fixture.store);
        let payee = payee(&fixture, &reader, 0);
        tests.push(tokio::spawn(async move {
            let account = payee.policy().payee;
            proxy.fail("", fault.clone());
            let refused = payer.write_cheque(id, account, coins(1)).await;
            assert!(matches!(refused, Err(PayerError::Bank(_))), "{fault:?}");
            assert!(payer.poll().await.is_err(), "{fault:?}");
            assert!(payee.poll().await.is_err(), "{fault:?}");
            proxy.heal();
            payer.write_cheque(id, account, coins(1)).await.unwrap();
            let proof = payer.opening_proof(id, account).await.unwrap().unwrap();
            payee.receive_payment(None, &proof).await.unwrap().value
        }));
    }
    let count = tests.len() as u128;
    for test in tests {
        test.await.unwrap();
    }
    let payer = fixture.actors().0;
    let account = fixture.payees[0].address;
    let paid = payer.spent_and_left(id, account).await.unwrap().unwrap().0;
    assert_eq!(paid, coins(count), "a refused payment was recorded");
}

#[tokio::test]
async fn refuses_cheques_at_implausible_head() {
    // Neither the payer nor the payee concludes anything from such a head.
    let fixture = over::behind_the_clock(20).await;
    let world = &fixture.world;
    let proxy = Proxy::start(&world.node.provider).await;
    let reader = through(world, &proxy).await;
    let (payer, payee) = (
        payer(&fixture, &reader, &fixture.store),
        payee(&fixture, &reader, 0),
    );
    let account = payee.policy().payee;
    let created = payer.create_deposit(&fixture.request(HOUR)).await.unwrap();
    let id = created.id;
    world.node.mine(10).await;
    poll(&payer).await;
    pay(&payer, &payee, id, coins(1)).await;
    let head = world.head().await;
    let before = payer.deposits().await.unwrap();

    for seconds in [4_000, -4_000] {
        proxy.fail("eth_getBlockByNumber", Fault::TimeShift(seconds));
        let refused = payer.poll().await.unwrap_err();
        assert!(is_off_the_clock(&refused), "{refused}");
        tokio::time::sleep(2 * STALE).await;
        let refused = payer.write_cheque(id, account, coins(1)).await.unwrap_err();
        assert!(is_off_the_clock(&refused), "{refused}");
        let proof = payer.opening_proof(id, account).await.unwrap().unwrap();
        let refused = rejection(payee.receive_payment(None, &proof).await);
        assert_eq!(refused.code(), "stale_view", "{refused}");
        proxy.heal();
    }
    let back = HeadCheckError::WentBack {
        number: head - 5,
        before: head,
        limit: 64,
    };
    for (fault, expected) in [(Fault::Behind(5), Some(back)), (Fault::Ahead(5_000), None)] {
        proxy.fail("eth_getBlockByNumber", fault);
        tokio::time::sleep(2 * STALE).await;
        let PayerError::Bank(refused) = payer.poll().await.unwrap_err() else {
            panic!("not a chain error");
        };
        payer.write_cheque(id, account, coins(1)).await.unwrap_err();
        let ReceiveError::Bank(same) = payee.poll().await.unwrap_err() else {
            panic!("not a chain error");
        };
        for refused in [&refused, &same] {
            match expected {
                Some(expected) => assert_eq!(head_error(refused), expected),
                // The node has no state of such a block, and no such block.
                None => assert!(
                    matches!(
                        refused,
                        BankError::Node(_) | BankError::Head(HeadCheckError::Moved { .. })
                    ),
                    "{refused}"
                ),
            }
        }
        proxy.heal();
    }
    // A slightly shorter chain counts as a reorg.
    proxy.fail("eth_getBlockByNumber", Fault::Behind(3));
    poll(&payer).await;
    proxy.heal();
    proxy.fail("eth_getBlockByNumber", Fault::OtherBlocks);
    let PayerError::Bank(refused) = payer.poll().await.unwrap_err() else {
        panic!("not a chain error");
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
        "the records have changed"
    );
    payee.poll().await.unwrap();
    let (payment, accepted) = pay(&payer, &payee, id, coins(1)).await;
    assert_eq!((payment.spent, accepted.total), (coins(2), coins(2)));
}

/// A copy of a store as it is now.
fn copy(store: &Memory) -> Arc<Memory> {
    let copy = memory();
    let mut each = |table, key: &[u8], value: &[u8]| {
        let set = copy.compare_and_set(table, key, None, value).unwrap();
        assert_eq!(set, cheque::store::Swap::Done);
        ControlFlow::Continue(())
    };
    store.scan_all(&mut each).unwrap();
    copy
}

#[tokio::test]
async fn keeps_deposit_when_node_omits_events() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (direct, payees) = fixture.actors();
    let opened = direct.create_deposit(&fixture.request(HOUR)).await;
    let opened = opened.unwrap();
    // The payer has sent the opening, and not seen the deposit.
    let pending = copy(&fixture.store);
    assert_eq!(state(&direct, opened.id).await, DepositState::Active);
    let never = direct.prepare_deposit(&fixture.request(HOUR / 2)).await;
    let never = never.unwrap();
    let (winner, payout) = pay_and_draw(world, &direct, &payees, &opened).await;
    assert_eq!(state(&direct, never.id).await, DepositState::NeverOpened);
    let options = RedeemOptions::default();
    payees[winner].redeem(opened.id, &options).await.unwrap();

    let proxy = Proxy::start(&world.node.provider).await;
    let reader = through(world, &proxy).await;
    let key = deposit_key(reader.bank(), opened.id);
    world.node.mine(5).await;
    for store in [&fixture.store, &pending] {
        let payer = payer(&fixture, &reader, store);
        proxy.fail("eth_getLogs", Fault::Answer(json!([])));
        let known = store.get(Table::Deposits, &key).unwrap();
        // Right after the redemption, and later.
        for _ in 0..2 {
            let polled = payer.poll().await.unwrap();
            let [(of, PayerError::Bank(BankError::NoEvent { id, .. }))] = &polled.errors[..] else {
                panic!("{polled:?}");
            };
            assert_eq!((*of, *id), (opened.id, opened.id));
            assert!(polled.events.is_empty());
            assert_eq!(store.get(Table::Deposits, &key).unwrap(), known);
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
async fn trusts_purse_over_events() {
    // The payee reads no events at all.
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (direct, payees) = fixture.actors();
    let opened = open_deposit(world, &direct, &fixture.request(HOUR)).await;
    let (winner, payout) = pay_and_draw(world, &direct, &payees, &opened).await;
    world.node.mine(4).await;
    let loser = (winner + 1) % 3;

    let proxy = Proxy::start(&world.node.provider).await;
    let reader = through(world, &proxy).await;
    let invented = redeemed_event(&reader, opened.id, fixture.payees[loser].address);
    proxy.fail("eth_getLogs", Fault::Answer(invented));
    let head = reader.head().await.unwrap();
    let closed = reader.closed(opened.id, 1, &head).await.unwrap();
    assert!(
        matches!(closed, Some(Closed::Redeemed { .. })),
        "{closed:?}"
    );
    let drawn = DepositState::Drawn {
        winner: Some(fixture.payees[winner].address),
    };
    assert_eq!(
        state(&payer(&fixture, &reader, &fixture.store), opened.id).await,
        drawn
    );

    let asked = proxy.asked("eth_getLogs");
    for number in [loser, winner] {
        let payee = payee_with(&fixture, &reader, number, &payees[number]).await;
        let won = won(&payee).await.unwrap();
        assert_eq!(won.len(), usize::from(number == winner));
        let settled = settle(&payee).await.unwrap();
        assert_eq!(settled.len(), won.len());
    }
    assert_eq!(proxy.asked("eth_getLogs"), asked);
    let account = fixture.payees[winner].address;
    assert_eq!(world.balance(account).await, payout.to_u256());
}

/// The payee over another reader, with the positions of `from`.
async fn payee_with(fixture: &Fixture, reader: &Reader, number: usize, from: &Payee) -> Payee {
    let store = memory();
    for position in from.positions().await.unwrap() {
        let bank = reader.bank().address();
        let key = cheque::store::position_key(bank, position.deposit_id(), position.payee());
        let set = store.compare_and_set(Table::Positions, &key, None, &position.to_bytes());
        assert_eq!(set.unwrap(), cheque::store::Swap::Done);
    }
    let account = &fixture.payees[number];
    over::payee(&fixture.world, reader, account, store)
}

/// A `Redeemed` event with `payee` as the winner.
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
