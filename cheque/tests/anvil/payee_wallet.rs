//! The payee's service without a wallet, or with a wallet that lacks coin.

use crate::fixtures::{Fixture, HOUR, memory};
use crate::node::coins;
use crate::over;
use crate::payee_steps::{redeemed, sends, service, set_gas_price, status, waits, wins};
use alloy_primitives::U256;
use cheque::payee::{PayeeService, PayeeSettings, WaitReason};
use std::time::Duration;

#[tokio::test]
async fn reports_missing_wallet_and_retries_without_coin() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let account = &fixture.payees[0];
    let store = memory();
    let service = service(world, account, store.clone());
    let draw = world.now().await + HOUR;
    let id = wins(&fixture, &service, &[draw], 24 * HOUR).await[0].id;
    world.mine_at(draw + 1).await;
    let bare = over::with_policy(world, &world.reader, world.policy(account), store);
    let settings = PayeeSettings::new(bare.policy(), bare.reader().profile());
    let bare = PayeeService::new(bare, settings);
    assert_eq!(waits(&bare, id).await.reason, WaitReason::NoWallet);

    let nothing = U256::from(1_000);
    world.node.set_coin(account.address, nothing).await;
    let stepped = service.step().await.unwrap();
    assert_eq!(stepped.failed, [id]);
    let failed = status(&service, id).await;
    assert_eq!(failed.state.name(), "won");
    let expected = "tried again at the next block";
    let reason = failed.reason();
    assert!(reason.contains("1000 wei and needs"), "{reason}");
    assert!(reason.contains(expected), "{reason}");

    world.node.endow(account.address).await;
    sends(&service, id).await;
    assert_eq!(redeemed(&service, id).await.0, coins(100));
    assert_eq!(status(&service, id).await.last_error, None);
}

#[tokio::test]
async fn redeems_earliest_window_first_when_coin_is_short() {
    let fixture = Fixture::new().await;
    let world = &fixture.world;
    let account = &fixture.payees[0];
    let service = service(world, account, memory());
    let draw = world.now().await + HOUR;
    let all = wins(&fixture, &service, &[draw; 2], 24 * HOUR).await;
    let first = wins(&fixture, &service, &[draw], 12 * HOUR)
        .await
        .remove(0)
        .id;
    world.mine_at(draw).await;
    set_gas_price(world, 10).await;
    // Enough for one redemption with the node's gas margin.
    let coin = U256::from(5_000_000_000_000_000u64);
    world.node.set_coin(account.address, coin).await;
    let stepped = service.step().await.unwrap();
    assert!(stepped.failed.is_empty());
    assert_eq!(status(&service, first).await.state.name(), "redeeming");
    for opened in &all {
        assert_eq!(status(&service, opened.id).await.state.name(), "won");
    }
    // The node replies before it mines.
    while world.node.transactions(account.address).await == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.node.endow(account.address).await;
    redeemed(&service, first).await;
    redeemed(&service, all[1].id).await;
}
