//! Calls over a network.

use super::*;
use jsonrpsee::{
    core::{
        ClientError,
        client::{ClientT, SubscriptionClientT},
    },
    http_client::{HeaderMap, HttpClient},
    rpc_params,
    ws_client::WsClientBuilder,
};
use std::sync::atomic::{AtomicU64, Ordering};

/// Starts a server on a port of this machine, with a clock that advances by 1 ns per reading.
async fn running(token: Option<Token>) -> (Arc<Service<Id, Store>>, Running<Id, Store>, Store) {
    let store = Store::default();
    let clock = AtomicU64::new(0);
    let operator = open(&store);
    let service = Arc::new(Service::new(operator, move || {
        clock.fetch_add(1, Ordering::Relaxed)
    }));
    let listen = Listen {
        address: ([127, 0, 0, 1], 0).into(),
        token,
    };
    let running = serve(Arc::clone(&service), listen).await.unwrap();
    (service, running, store)
}

#[tokio::test]
async fn answers_calls_over_http() {
    let (service, running, store) = running(None).await;
    let url = format!("http://{}", running.address());
    let client = HttpClient::builder().build(url).unwrap();
    let call = async |method: &str, arguments: Value| -> Result<Value, String> {
        let mut builder = jsonrpsee::core::params::ArrayParams::new();
        for argument in arguments.as_array().unwrap() {
            builder.insert(argument).unwrap();
        }
        client
            .request(method, builder)
            .await
            .map_err(|error| match error {
                ClientError::Call(error) => error.message().to_owned(),
                other => panic!("{other}"),
            })
    };
    let connected = service.change(|operator, now| operator.connect(&[1, 1], b"home", now));
    connected.await.unwrap().unwrap();
    let info = call("les_serverInfo", json!([])).await.unwrap();
    assert_eq!(info["totalConnectedCapacity"], 100);
    for id in ["0x0101", "0x0202", "0x0303"] {
        let added = call("les_addBalance", json!([id, 2 * MILLION]))
            .await
            .unwrap();
        assert_eq!(added, json!([0, 2_000_000]));
    }
    let noted = json!(["0x0101", 0, "invoice 7"]);
    let added = call("les_addBalance", noted).await.unwrap();
    assert_eq!(added, json!([2_000_000, 2_000_000]));
    let found = call("les_priorityClientInfo", json!(["0x0102", "0x0000", 1]))
        .await
        .unwrap();
    assert_eq!(found["0x0202"]["pricing/balance"], 2_000_000);
    assert_eq!(
        (found.as_object().unwrap().len(), &found["0x0303"]),
        (2, &json!({}))
    );
    let found = call("les_priorityClientInfo", json!(["0x0000", "0x0202", 9]))
        .await
        .unwrap();
    assert_eq!(found.as_object().unwrap().len(), 1);
    let set = json!([["0x0101"], [], { "capacity": 300, "pricing/timeFactor": 5 }]);
    assert_eq!(call("les_setClientParams", set).await.unwrap(), Value::Null);
    // Call of a client of the second generation.
    let set = json!([["0x0101"], { "pricing/alert": 7 }]);
    assert_eq!(call("les_setClientParams", set).await.unwrap(), Value::Null);
    let set = json!([["0x0101"], "vip", { "pricing/alert": 8 }]);
    assert!(call("les_setClientParams", set).await.is_err());
    let bias = call("les_setConnectedBias", json!([1_000])).await;
    assert_eq!(bias.unwrap(), Value::Null);
    let refused = call("les_setConnectedBias", json!([-1])).await.unwrap_err();
    assert!(refused.starts_with("invalid bias -1"), "{refused}");
    let set = call("les_setDefaultParams", json!([{ "pricing/timeFactor": 6 }])).await;
    assert_eq!(set.unwrap(), Value::Null);
    let found = call("les_clientInfo", json!([[]])).await.unwrap();
    assert_eq!(found["0x0101"]["capacity"], 300);
    assert_eq!(found["0x0101"]["pricing/timeFactor"], 5);
    assert_eq!(found["0x0101"]["pricing/alert"], 7);
    assert_eq!(found["0x0101"]["pricing/totalAmount"], 0);
    assert_eq!(found["0x0101"]["pricing/balanceMeta"], "invoice 7");
    for (method, arguments) in [
        ("les_latestCheckpoint", json!([])),
        ("les_getCheckpoint", json!([7])),
        ("les_getCheckpointContractAddress", json!([])),
    ] {
        let refused = call(method, arguments).await.unwrap_err();
        assert!(
            refused.starts_with("a market has no checkpoints"),
            "{refused}"
        );
    }
    let refused = call("les_clientInfo", json!([["0x01"], []]))
        .await
        .unwrap_err();
    assert!(refused.starts_with("invalid client id '0x01'"), "{refused}");

    running.stop().await.unwrap();
    assert!(
        client
            .request::<Value, _>("les_serverInfo", rpc_params![])
            .await
            .is_err()
    );
    let reopened = open(&store).client_info(&[[1, 1]], &[], 0).unwrap();
    assert_eq!(reopened[&[1, 1]]["priority"], true);
}

#[tokio::test]
async fn delivers_events_over_websocket() {
    let (service, running, _) = running(None).await;
    let url = format!("ws://{}", running.address());
    let client = WsClientBuilder::default().build(url).await.unwrap();
    let subscribe = async |tags: Value| {
        let arguments = rpc_params![tags, true];
        client
            .subscribe::<Value, _>("les_subscribeEvent", arguments, "les_unsubscribeEvent")
            .await
    };
    assert!(subscribe(json!(["$nobody"])).await.is_err());
    let mut events = subscribe(json!(["$all"])).await.unwrap();
    let connected = service.change(|operator, now| operator.connect(&[1, 1], b"home", now));
    connected.await.unwrap().unwrap();
    let event = events.next().await.unwrap().unwrap();
    assert_eq!(
        (&event["clientEvent"], &event["clientId"]),
        (&json!("connect"), &json!("0x0101"))
    );
    assert_eq!(event["clientInfo"]["capacity"], 100);
    running.stop().await.unwrap();
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn refuses_requests_without_token_and_from_web_pages() {
    let secret = "0123456789abcdef0123456789abcdef";
    let (_service, running, _) = running(Some(Token::new(secret).unwrap())).await;
    let url = format!("http://{}", running.address());
    let answered = async |headers: &[(&'static str, String)]| {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let client = HttpClient::builder()
            .set_headers(map.clone())
            .build(&url)
            .unwrap();
        let http = client
            .request::<Value, _>("les_serverInfo", rpc_params![])
            .await
            .is_ok();
        let builder = WsClientBuilder::default().set_headers(map);
        let ws = builder.build(url.replace("http", "ws")).await.is_ok();
        assert_eq!(http, ws);
        http
    };
    let bearer = |token: &str| ("authorization", format!("Bearer {token}"));
    assert!(!answered(&[]).await);
    assert!(!answered(&[bearer("")]).await);
    assert!(!answered(&[bearer(&secret.replace('f', "e"))]).await);
    assert!(!answered(&[("authorization", secret.to_owned())]).await);
    assert!(!answered(&[bearer(secret), ("origin", "http://127.0.0.1".to_owned())]).await);
    assert!(answered(&[bearer(secret)]).await);
}

#[tokio::test]
async fn needs_a_token_to_serve_other_machines() {
    let service = Arc::new(Service::new(open(&Store::default()), || 0));
    let address = ([0, 0, 0, 0], 0).into();
    let refused = serve(
        service,
        Listen {
            address,
            token: None,
        },
    )
    .await
    .unwrap_err();
    assert!(matches!(refused, ServeError::NoToken { .. }), "{refused}");
    assert!(DEFAULT_ADDRESS.ip().is_loopback());
}
