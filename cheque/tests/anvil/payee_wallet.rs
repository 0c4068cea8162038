//! The payee's service without a wallet, and with little or no coin in it.

use crate::cast::{Cast, memory};
use crate::node::coins;
use crate::payee_service::{redeemed, sends, sent_by, service, set_gas_price, status, waits, wins};
use alloy_primitives::U256;
use cheque::HISTORY_WINDOW;
use cheque::payee::Payee;
use cheque::payee::{PayeeService, PayeeSettings, WaitReason};
use std::time::Duration;

#[tokio::test]
async fn a_service_without_a_wallet_says_so_and_one_without_coin_is_told_and_tries_again() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let party = &cast.payees[0];
    let store = memory();
    let service = service(world, party, store.clone());
    let draw = world.head().await + 60;
    let id = wins(&cast, &service, &[draw], HISTORY_WINDOW).await[0].id;
    world.node.mine_to(draw + 1).await;
    let bare = Payee::new(world.reader.clone(), world.policy(party), store);
    let settings = PayeeSettings::new(bare.policy(), bare.reader().profile());
    let bare = PayeeService::new(bare, settings);
    assert_eq!(waits(&bare, id).await.because, WaitReason::NoWallet);

    let nothing = U256::from(1_000);
    world
        .node
        .anvil("anvil_setBalance", (party.address, nothing))
        .await;
    let stepped = service.step().await.unwrap();
    assert_eq!(stepped.failed, [id]);
    let failed = status(&service, id).await;
    assert_eq!(failed.state.name(), "won");
    let retry_at = stepped.head + 1;
    let expected = format!("tried again at block {retry_at}");
    let reason = failed.reason();
    assert!(reason.contains("1000 wei and needs"), "{reason}");
    assert!(reason.contains(&expected), "{reason}");

    world.node.endow(party.address).await;
    sends(&service, id).await;
    assert_eq!(redeemed(&service, id).await.0, coins(100));
    assert_eq!(status(&service, id).await.trouble, None);
}

#[tokio::test]
async fn with_too_little_coin_for_all_the_wins_that_end_first_are_redeemed() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let party = &cast.payees[0];
    let service = service(world, party, memory());
    let draw = world.head().await + 80;
    let all = wins(&cast, &service, &[draw; 2], 2_000).await;
    let first = wins(&cast, &service, &[draw], 1_000).await.remove(0).id;
    world.node.mine_to(draw).await;
    set_gas_price(world, 10).await;
    // Enough for one, with what nodes add for safety.
    let coin = format!("{:#x}", U256::from(3_500_000_000_000_000u64));
    world
        .node
        .anvil("anvil_setBalance", (party.address, coin))
        .await;
    let stepped = service.step().await.unwrap();
    assert!(stepped.failed.is_empty());
    assert_eq!(status(&service, first).await.state.name(), "redeeming");
    for opened in &all {
        assert_eq!(status(&service, opened.id).await.state.name(), "won");
    }
    // The node answers before it has mined.
    while sent_by(world, party.address).await == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.node.endow(party.address).await;
    redeemed(&service, first).await;
    redeemed(&service, all[1].id).await;
}
