//! A payee's spending, whatever fees its node tells.

use crate::fixtures::{Fixture, HOUR, memory, open_deposit, pay_and_draw};
use crate::node::coins;
use crate::over;
use crate::payee_steps::{redeemed, set_gas_price, wins};
use crate::proxied::through;
use crate::proxy::{Fault, Proxy};
use cheque::bank::{BankError, RedeemError};
use cheque::payee::{PayeeService, PayeeSettings};
use cheque::tx::{OutboxError, TxError};
use serde_json::json;

/// The limit of a refusal for its cost.
fn worth<T: std::fmt::Debug>(refused: Result<T, RedeemError>) -> u128 {
    match refused.unwrap_err() {
        RedeemError::Outbox(OutboxError::Tx(TxError::CostTooHigh { required, limit })) => {
            assert!(required > limit);
            limit.to()
        }
        other => panic!("not refused for its cost: {other}"),
    }
}

#[tokio::test]
async fn records_no_seed_for_more_than_the_wins_pay() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let (payer, payees) = fixture.actors();
    let opened = open_deposit(world, &payer, &fixture.request(HOUR)).await;
    let (winner, payout) = pay_and_draw(world, &payer, &payees, &opened).await;
    let (payee, draw) = (&payees[winner], opened.deposit.drawTime);
    let (node, account) = (&world.node, payee.policy().payee);
    node.automine(false).await;
    let sent = node.all_transactions(account).await;
    // Recording a seed takes more than 100,000 gas.
    let high = u64::try_from(payout.get() / 100_000 / 1_000_000_000).unwrap();
    set_gas_price(world, high).await;
    let limit = worth(payee.submit_seed(draw, &[opened.id]).await);
    assert_eq!(limit, payout.get());
    assert_eq!(worth(payee.submit_seed(draw, &[]).await), 0);
    assert_eq!(node.all_transactions(account).await, sent);

    set_gas_price(world, high / 10).await;
    let tx = payee
        .submit_seed(draw, &[opened.id])
        .await
        .unwrap()
        .unwrap();
    // The market rises beyond what the wins pay while the recording is pending.
    node.set_base_fee(high).await;
    world
        .advance(payee.wallet().unwrap().bump_after() + 1)
        .await;
    set_gas_price(world, high).await;
    let raised = payee.check_seed(&tx, &[opened.id], true).await;
    assert_eq!(worth(raised), payout.get());
    // Nobody says which wins the seed is for.
    let _status = payee.check(&tx, true).await;
    let pending = payee.pending_txs().await.unwrap();
    assert_eq!(
        pending.iter().map(|tx| tx.hash).collect::<Vec<_>>(),
        [tx.hash]
    );
}

/// With a false fee history alone, a payee once paid 7.4 coins to redeem 0.02.
#[tokio::test]
async fn believes_no_fee_history_far_from_the_newest_block() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let account = &fixture.payees[0];
    let proxy = Proxy::start(&world.node.provider).await;
    let profile = *world.reader.profile();
    let reader = through(world, &proxy).await.with_profile(profile);
    let payee = over::payee(world, &reader, account, memory());
    let settings = PayeeSettings::new(payee.policy(), reader.profile());
    let service = PayeeService::new(payee, settings);
    let draw = world.now().await + HOUR;
    let id = wins(&fixture, &service, &[draw], 24 * HOUR).await[0].id;
    world.mine_at(draw + 1).await;
    let dear = json!("0x2386f26fc10000");
    let history = json!({ "baseFeePerGas": [dear, dear, dear], "reward": null });
    proxy.fail("eth_feeHistory", Fault::Answer(history));
    let refused = reader.prices().await.unwrap_err();
    assert!(matches!(refused, BankError::ImplausibleFee(_)), "{refused}");
    let _step = service.step().await;
    let told = service.health().last_error.unwrap();
    assert!(
        told.contains("the node tells a base fee of 10000000000000000"),
        "{told}"
    );
    assert_eq!(world.node.all_transactions(account.address).await, 0);

    proxy.heal();
    let (payout, _) = redeemed(&service, id).await;
    assert_eq!(payout, coins(100));
}
