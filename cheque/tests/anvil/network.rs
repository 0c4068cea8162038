//! The way to the node.

use crate::node;
use crate::node::{COIN, World};
use alloy_primitives::{Address, U256};
use cheque::Amount;
use cheque::chain::{Call, ChainError, Reader, connect};
use std::sync::atomic::Ordering;

#[tokio::test]
async fn speaks_http_and_websocket_and_says_what_is_wrong_with_other_urls() {
    let world = World::new().await;
    let bank = world.reader.bank().address();
    let socket = world.node.url.replace("http://", "ws://");
    let reader = Reader::open(connect(&socket).await.unwrap(), bank)
        .await
        .unwrap();
    assert_eq!(
        reader.head().await.unwrap(),
        world.reader.head().await.unwrap()
    );
    for url in ["", "localhost", "ftp://localhost", "/tmp/node.ipc"] {
        let refused = connect(url).await.unwrap_err();
        assert!(matches!(refused, ChainError::Url { .. }), "{refused}");
    }

    let provider = &world.node.provider;
    let nothing = Address::repeat_byte(0x33);
    let refused = Reader::open(provider.clone(), nothing).await.unwrap_err();
    assert!(matches!(refused, ChainError::NoBank { bank, .. } if bank == nothing));
    let other = cheque_bindings::CREATE2_DEPLOYER;
    let refused = Reader::open(provider.clone(), other).await.unwrap_err();
    assert!(
        matches!(refused, ChainError::NotABank(_) | ChainError::Reverted(_)),
        "{refused}"
    );
}

#[tokio::test]
async fn asks_again_what_was_lost_on_the_way_but_not_what_was_refused() {
    let world = World::new().await;
    let bank = world.reader.bank().address();
    let (url, connections) = node::unreliable(&world.node.url, 2);
    let reader = Reader::open(connect(&url).await.unwrap(), bank)
        .await
        .unwrap();
    assert_eq!(
        reader.head().await.unwrap(),
        world.reader.head().await.unwrap()
    );
    assert!(
        connections.load(Ordering::SeqCst) > 2,
        "two connections were cut"
    );

    let (url, connections) = node::unreliable(&world.node.url, usize::MAX);
    let refused = Reader::open(connect(&url).await.unwrap(), bank)
        .await
        .unwrap_err();
    assert!(matches!(refused, ChainError::Rpc(_)), "{refused}");
    assert_eq!(
        connections.load(Ordering::SeqCst),
        5,
        "one try and four more"
    );

    // A refusal is an answer: it comes at once.
    let poor = world.party(5).await;
    let much = U256::from(COIN) * U256::from(2_000);
    let fund = Call::fund(
        world.reader.bank(),
        Address::ZERO,
        poor.address,
        Amount::MAX,
    );
    let started = tokio::time::Instant::now();
    let refused = poor.sender.send(&fund.with_value(much)).await.unwrap_err();
    assert!(
        matches!(refused, ChainError::NotEnoughCoin { .. }),
        "{refused}"
    );
    assert!(started.elapsed() < std::time::Duration::from_millis(300));
}
