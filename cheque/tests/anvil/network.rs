//! The connection to the node: addresses, retries, fees of rollups, secrets.

use crate::node;
use crate::node::{COIN, World};
use crate::proxy::Proxy;
use alloy_primitives::{Address, U256};
use cheque::{Amount, FeeModel};
use cheque::{
    bank::{BankError, Reader},
    node::{NodeError, connect},
    tx::{Call, TxError, Wallet},
};
use std::io::{Read, Write};
use std::sync::atomic::Ordering;

#[tokio::test]
async fn connects_over_http_and_websocket_and_rejects_other_urls() {
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
    for url in ["", "localhost", "ftp://localhost", "/node.ipc"] {
        let refused = connect(url).await.unwrap_err();
        assert!(matches!(refused, NodeError::Url { .. }), "{refused}");
    }

    let provider = &world.node.provider;
    let nothing = Address::repeat_byte(0x33);
    let refused = Reader::open(provider.clone(), nothing).await.unwrap_err();
    assert!(matches!(refused, BankError::NoBank { bank, .. } if bank == nothing));
    let other = cheque_bindings::CREATE2_DEPLOYER;
    let refused = Reader::open(provider.clone(), other).await.unwrap_err();
    assert!(
        matches!(
            refused,
            BankError::NotABank(_) | BankError::Node(NodeError::Reverted(_))
        ),
        "{refused}"
    );
}

#[tokio::test]
async fn retries_lost_requests_but_not_refused_ones() {
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
        "no retry after the cut connections"
    );

    let (url, connections) = node::unreliable(&world.node.url, usize::MAX);
    let refused = Reader::open(connect(&url).await.unwrap(), bank)
        .await
        .unwrap_err();
    assert!(
        matches!(refused, BankError::Node(NodeError::Rpc(_))),
        "{refused}"
    );
    assert_eq!(
        connections.load(Ordering::SeqCst),
        5,
        "not one try and four retries"
    );

    // A refusal is an answer.
    let poor = world.account(5).await;
    let proxy = Proxy::start(&world.node.provider).await;
    let provider = connect(&proxy.url).await.unwrap();
    let wallet = Wallet::new(provider, node::signer(5), world.reader.bank().chain_id());
    let much = U256::from(COIN) * U256::from(2_000);
    let fund = Call::fund(
        world.reader.bank(),
        Address::ZERO,
        poor.address,
        Amount::MAX,
    );
    let refused = wallet.send(&fund.with_value(much)).await.unwrap_err();
    assert!(
        matches!(refused, TxError::NotEnoughCoin { .. }),
        "{refused}"
    );
    // At the latest block, and at the pending block.
    assert_eq!(
        proxy.asked("eth_estimateGas"),
        2,
        "asked again after a refusal"
    );
}

#[tokio::test]
async fn adds_data_fee_on_rollup() {
    let world = World::new().await;
    let mut profile = *world.reader.profile();
    profile.fees = FeeModel::OpStack;
    let rollup = world.reader.clone().with_profile(profile);
    // Without the contract, the fee is unknown.
    let refused = rollup.prices().await.unwrap_err();
    assert!(
        matches!(refused, BankError::NoFeeOracle(31_337)),
        "{refused}"
    );
    // PUSH2 0x1234 PUSH0 MSTORE PUSH1 32 PUSH0 RETURN: returns 0x1234 wei for any call.
    let oracle = "0x420000000000000000000000000000000000000F";
    world
        .node
        .anvil("anvil_setCode", (oracle, "0x6112345f5260205ff3"))
        .await;
    // The fee of layer 1, and that of the rollup's operator.
    assert_eq!(
        rollup.prices().await.unwrap().data_fee,
        U256::from(2 * 0x1234)
    );
    assert_eq!(world.reader.prices().await.unwrap().data_fee, U256::ZERO);
}

#[tokio::test]
async fn omits_secrets_of_node_url_from_errors() {
    let world = World::new().await;
    let bank = world.reader.bank().address();
    let (cut, _) = node::unreliable(&world.node.url, usize::MAX);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let echo = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 19\r\n\r\nCannot POST /secret";
            let mut client = client.unwrap();
            let asked = client.read(&mut [0; 4096]).unwrap();
            assert!(asked > 0);
            client.write_all(answer).unwrap();
        }
    });
    let mut errors = Vec::new();
    for url in [cut, echo] {
        let host = url.strip_prefix("http://").unwrap();
        let url = format!("http://secret:secret@{host}/secret?key=secret");
        let provider = connect(&url).await.unwrap();
        errors.push(Reader::open(provider, bank).await.unwrap_err());
    }
    for url in [
        "ftp://secret:secret@host/secret",
        "host/secret",
        "ws://127.0.0.1:9/secret",
    ] {
        errors.push(connect(url).await.unwrap_err().into());
    }
    for error in errors {
        let mut said = format!("{error} {error:?}");
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            said += &format!(" {cause} {cause:?}");
            source = cause.source();
        }
        assert!(!said.contains("secret"), "{said}");
    }
}
