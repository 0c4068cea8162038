//! Steps of a payee's service from a paid deposit to its redemption.

use super::{
    fixtures::{Fixture, HOUR, open_deposit, pay, request},
    node::{Account, World, coins},
};
use alloy::providers::Provider;
use alloy_primitives::{Address, Bytes, TxHash};
use cheque::payee::{HoldingState, HoldingStatus, PayeeService, PayeeSettings, Waiting};
use cheque::payer::{Draw, Opened};
use cheque::store::Store;
use cheque::{Amount, DepositId, bank::redeem};
use std::sync::Arc;
use std::time::Duration;

/// A gas price in gwei at which redeeming costs more than a tenth of 0.1 coins, even after the fall of a block without
/// transactions; ten times as much is more than the whole.
pub(crate) const HIGH_GAS_PRICE: u64 = 70;

/// A freshly started service with the default settings.
pub(crate) fn service(world: &World, account: &Account, store: Arc<dyn Store>) -> PayeeService {
    with_settings(world, account, store, |_| {})
}

pub(crate) fn with_settings(
    world: &World,
    account: &Account,
    store: Arc<dyn Store>,
    change: impl FnOnce(&mut PayeeSettings),
) -> PayeeService {
    let payee = world.payee(account, store);
    let mut settings = PayeeSettings::new(payee.policy(), payee.reader().profile());
    change(&mut settings);
    PayeeService::new(payee, settings)
}

/// Makes a step without failures, and returns the new state of a deposit.
pub(crate) async fn step(service: &PayeeService, id: DepositId) -> HoldingState {
    let stepped = service.step().await.unwrap();
    assert!(stepped.failed.is_empty(), "{:?}", status(service, id).await);
    status(service, id).await.state
}

pub(crate) async fn status(service: &PayeeService, id: DepositId) -> HoldingStatus {
    let all = service.status().await.unwrap();
    let found = all
        .into_iter()
        .find(|status| status.position.deposit_id() == id);
    found.expect("the deposit is in the ledger")
}

/// Opens a deposit of 0.1 coins for each draw time, and pays all of its amount to the first payee, a certain winner.
pub(crate) async fn wins(
    fixture: &Fixture,
    service: &PayeeService,
    draws: &[u64],
    window: u64,
) -> Vec<Opened> {
    let (payer, _) = fixture.actors();
    let mut all = Vec::new();
    for draw in draws {
        let mut request = request(&[&fixture.payees[0]], &fixture.payer, 0);
        request.draw = Draw::At(*draw);
        request.redeem_window = Some(window);
        let opened = open_deposit(&fixture.world, &payer, &request).await;
        // For some services only what is 3 seconds old is confirmed.
        fixture.world.node.mine(3).await;
        service.payee().poll().await.unwrap();
        pay(&payer, service.payee(), opened.id, coins(100)).await;
        all.push(opened);
    }
    all
}

/// Sets the gas price in gwei. Empty blocks hardly change the price.
pub(crate) async fn set_gas_price(world: &World, gwei: u64) {
    world.node.set_base_fee(gwei).await;
    world.node.mine(1).await;
}

/// Makes a step and returns why the win still waits.
pub(crate) async fn waits(service: &PayeeService, id: DepositId) -> Waiting {
    match step(service, id).await {
        HoldingState::Won(wait) => wait,
        other => panic!("the win does not wait: {other:?}"),
    }
}

/// Makes a step and returns the pending redemption.
pub(crate) async fn sends(service: &PayeeService, id: DepositId) -> TxHash {
    match step(service, id).await {
        HoldingState::Redeeming { hash } => hash,
        other => panic!("no redemption is pending: {other:?}"),
    }
}

/// Waits until a redemption is mined, and returns its payout and block. The node replies before mining.
pub(crate) async fn redeemed(service: &PayeeService, id: DepositId) -> (Amount, u64) {
    for _ in 0..200 {
        match step(service, id).await {
            HoldingState::Redeemed { payout, block } => return (payout, block),
            HoldingState::Redeeming { .. } => tokio::time::sleep(Duration::from_millis(20)).await,
            other => panic!("the win is not redeemed: {other:?}"),
        }
    }
    panic!("the transaction is not mined");
}

/// Waits for the redemption of a win of [`wins`], and returns its block.
pub(crate) async fn paid_block(service: &PayeeService, id: DepositId) -> u64 {
    let (payout, block) = redeemed(service, id).await;
    assert_eq!(payout, coins(100));
    block
}

/// A win and its pending redemption, which has become worthless: a stranger has redeemed the whole deposit for the payee.
/// Blocks are made by [`Node::mine`](super::node::Node::mine) then.
pub(crate) async fn overtaken(fixture: &Fixture, service: &PayeeService) -> (DepositId, TxHash) {
    let world = &fixture.world;
    let node = &world.node;
    let draw = world.now().await + HOUR;
    let opened = wins(fixture, service, &[draw], HOUR).await.remove(0);
    let stranger = world.account(77).await;
    world.draw(&opened.deposit).await;
    node.automine(false).await;
    let first = sends(service, opened.id).await;
    let raw = node.provider.get_raw_transaction_by_hash(first).await;
    node.drop_transactions().await;
    node.automine(true).await;
    let redemption = service
        .payee()
        .redemption(opened.id, Address::ZERO, Bytes::new());
    let (redemption, round) = (redemption.await.unwrap(), world.beacon.round(draw));
    let by_stranger = redeem(&world.reader, &stranger.wallet, &redemption, Some(&round)).await;
    assert_eq!(by_stranger.unwrap().payout, coins(100));
    node.automine(false).await;
    let raw = raw.unwrap().expect("the node has the transaction");
    let _pending = node.provider.send_raw_transaction(&raw).await.unwrap();
    (opened.id, first)
}
