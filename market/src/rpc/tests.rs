use super::*;
use crate::{balance::*, pool::*, store::Memory};
use jsonrpsee::{
    core::{
        ClientError,
        client::{ClientT, SubscriptionClientT},
    },
    http_client::{HeaderMap, HttpClient},
    rpc_params,
    ws_client::WsClientBuilder,
};
use serde_json::{Value, json};
use std::{
    num::NonZeroU64,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

type Id = [u8; 2];
type Store = Arc<Memory>;

const SECOND: u64 = 1_000_000_000;
const MILLION: i64 = 1_000_000;

fn open(store: &Store) -> Operator<Id, Store> {
    let tracker =
        BalanceTracker::open(Arc::clone(store), b"market:", BalanceSettings::default(), 0);
    let positive = |n| NonZeroU64::new(n).unwrap();
    let settings = ClientPoolSettings {
        pool: PoolSettings {
            min_capacity: positive(100),
            active_bias_ns: 1,
            step_divisor: positive(10),
            fine_step_divisor: positive(100),
        },
        allowance_ns: SECOND,
        connected_bias_ns: 0,
    };
    let clients = ClientPool::new(tracker.unwrap(), settings);
    let mut operator = Operator::open(clients, Arc::clone(store), b"market:").unwrap();
    let limits = Limits {
        count: 10,
        capacity: 1_000,
    };
    operator.set_limits(limits, 0);
    operator.take_events();
    operator
}

fn params(value: Value) -> Params {
    value.as_object().unwrap().clone()
}

fn said<T: std::fmt::Debug>(result: Result<T, OperatorError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn invalid_parameters_are_refused_by_name_and_change_nothing() {
    let mut operator = open(&Store::default());
    operator.connect(&[1, 1], b"home", 0).unwrap();
    let before = operator.client_info(&[], &[], 0).unwrap();
    for (name, value, expected) in [
        ("speed", json!(1), "invalid client parameter 'speed'"),
        (
            "capacity",
            json!(99),
            "invalid value for parameter 'capacity'",
        ),
        (
            "pricing/timeFactor",
            json!(-1),
            "invalid value for parameter 'pricing/timeFactor'",
        ),
        (
            "pricing/timeFactor",
            json!(0.5),
            "invalid value for parameter 'pricing/timeFactor'",
        ),
        (
            "userTags",
            json!("vip"),
            "invalid value for parameter 'userTags'",
        ),
        ("userTags", json!(["$vip"]), "invalid client tag '$vip'"),
    ] {
        let set = params(json!({ "pricing/capacityFactor": 7, name: value }));
        assert_eq!(
            said(operator.set_client_params(&[[1, 1]], &[], &set, 0)),
            expected
        );
    }
    let set = params(json!({ "pricing/timeFactor": 1, "capacity": 200 }));
    let expected = "invalid default parameter 'capacity'";
    assert_eq!(said(operator.set_default_params(&set)), expected);
    let set = params(json!({ "pricing/timeFactor": 1 }));
    let absent = operator.set_client_params(&[[1, 1], [9, 9]], &[], &set, 0);
    assert_eq!(said(absent), "client 0x0909 is not connected");
    let both = operator.set_client_params(&[[8, 8], [9, 9]], &[], &set, 0);
    assert!(said(both).starts_with("multiple errors: client 0x0808"));
    assert_eq!(
        said(operator.client_info(&[], &["$vip".into()], 0)),
        "invalid client tag '$vip'"
    );
    assert_eq!(operator.client_info(&[], &[], 0).unwrap(), before);
}

#[test]
fn balances_move_between_zero_and_the_largest_and_nowhere_else() {
    let mut operator = open(&Store::default());
    let mut add = |amount| {
        let added = operator.add_balance(&[1, 1], amount, 0);
        added.map(|added| (added.old, added.new))
    };
    assert_eq!(add(2 * MILLION).unwrap(), (0, 2_000_000));
    assert_eq!(add(-3 * MILLION).unwrap(), (2_000_000, 0));
    assert_eq!(add(i64::MAX).unwrap(), (0, (1 << 63) - 1));
    assert!(add(1).is_err());
    assert_eq!(add(0).unwrap().1, (1 << 63) - 1);
}

#[test]
fn parameters_apply_to_listed_clients_and_to_those_with_all_tags_and_to_nobody_else() {
    let store = Store::default();
    let mut operator = open(&store);
    for n in 1..=4 {
        operator.connect(&[n, n], b"home", 0).unwrap();
    }
    let tag = |tags: Value| params(json!({ "userTags": tags }));
    operator.add_balance(&[2, 2], 5 * MILLION, 0).unwrap();
    operator.poll(0).unwrap();
    operator
        .set_client_params(&[[2, 2], [3, 3]], &[], &tag(json!(["vip", "eu"])), 0)
        .unwrap();
    let prices =
        params(json!({ "pricing/timeFactor": 3, "pricing/negative/requestCostFactor": 4 }));
    let tags = ["vip".to_owned(), "$priority".to_owned()];
    operator
        .set_client_params(&[[4, 4]], &tags, &prices, 0)
        .unwrap();
    operator
        .set_client_params(&[], &[], &params(json!({ "pricing/timeFactor": 9 })), 0)
        .unwrap();
    let infos = operator.client_info(&[], &[], 2 * SECOND + 1).unwrap();
    let factors: Vec<_> = infos
        .values()
        .map(|info| info["pricing/timeFactor"].clone())
        .collect();
    assert_eq!(factors, [0, 3, 0, 3]);
    assert_eq!(infos[&[4, 4]]["pricing/negative/requestCostFactor"], 4);
    assert_eq!(infos[&[2, 2]]["pricing/balance"], 5_000_000 - 6);
    assert_eq!(infos[&[2, 2]]["connectionTime"], 2);
    operator.disconnect(&[3, 3], 2 * SECOND + 1).unwrap();
    operator.save(2 * SECOND + 1).unwrap();
    drop(operator);

    // Tags and balances are stored; connections and their prices end.
    let mut operator = open(&store);
    let found = |operator: &Operator<Id, Store>, tags: &[&str]| -> Vec<u8> {
        let tags: Vec<_> = tags.iter().map(ToString::to_string).collect();
        let found = operator.client_info(&[], &tags, 0).unwrap();
        found.keys().map(|id| id[0]).collect()
    };
    assert_eq!(found(&operator, &["vip", "$disconnected"]), [2, 3]);
    assert_eq!(found(&operator, &["vip", "$free"]), [3]);
    assert_eq!(found(&operator, &["$all"]), [2, 3]);
    assert!(found(&operator, &[]).is_empty());
    operator
        .set_client_params(&[[3, 3]], &[], &tag(json!([])), 0)
        .unwrap();
    assert_eq!(found(&open(&store), &["vip"]), [2]);
}

#[test]
fn default_prices_are_those_of_clients_that_connect_later() {
    let mut operator = open(&Store::default());
    operator.connect(&[1, 1], b"home", 0).unwrap();
    operator
        .set_default_params(&params(json!({ "pricing/capacityFactor": 5 })))
        .unwrap();
    operator.connect(&[2, 2], b"away", 0).unwrap();
    let infos = operator.client_info(&[], &[], 0).unwrap();
    assert_eq!(infos[&[1, 1]]["pricing/capacityFactor"], 0);
    assert_eq!(infos[&[2, 2]]["pricing/capacityFactor"], 5);
}

#[test]
fn capacity_that_is_not_granted_is_an_error_of_that_client_alone() {
    let mut operator = open(&Store::default());
    for n in 1..=2 {
        operator.connect(&[n, n], b"home", 0).unwrap();
    }
    operator.add_balance(&[1, 1], 5 * MILLION, 0).unwrap();
    operator.poll(0).unwrap();
    let set = params(json!({ "capacity": 300 }));
    let refused = said(operator.set_client_params(&[[1, 1], [2, 2]], &[], &set, 0));
    assert!(
        refused.starts_with("client 0x0202: a client without tokens"),
        "{refused}"
    );
    let info = operator.server_info();
    assert_eq!(info["totalConnectedCapacity"], 400);
    assert_eq!(info["priorityConnectedCapacity"], 300);
    assert_eq!(
        (&info["minimumCapacity"], &info["totalCapacity"]),
        (&json!(100), &json!(1_000))
    );
}

#[test]
fn events_go_to_those_who_asked_for_them() {
    let mut operator = open(&Store::default());
    let subscription = |tags: &[&str], underrun| {
        let tags = tags.iter().map(ToString::to_string).collect();
        Operator::<Id, Store>::subscription(tags, underrun).unwrap()
    };
    let (free, rich) = (
        subscription(&["$free"], true),
        subscription(&["$priority"], false),
    );
    operator.connect(&[1, 1], b"home", 0).unwrap();
    operator.add_balance(&[1, 1], 5 * MILLION, 0).unwrap();
    operator.poll(0).unwrap();
    for capacity in [2_000, 50] {
        operator.set_limits(
            Limits {
                count: 10,
                capacity,
            },
            0,
        );
    }
    operator.poll(0).unwrap();
    operator.disconnect(&[1, 1], 0).unwrap();
    let events = operator.take_events();
    let heard = |subscription| -> Vec<String> {
        let heard = events.iter().filter(|event| event.is_for(subscription));
        let texts = heard.map(|event| match event.payload().get("clientEvent") {
            Some(kind) => kind.as_str().unwrap().to_owned(),
            None => event.payload()["totalCapacity"].to_string(),
        });
        texts.collect()
    };
    assert_eq!(heard(&free), ["connect", "50"]);
    assert_eq!(
        heard(&rich),
        [
            "priceUpdate",
            "updateCapacity",
            "2000",
            "50",
            "updateCapacity",
            "disconnect"
        ]
    );
    assert!(Operator::<Id, Store>::subscription(vec!["$nobody".into()], false).is_err());
}

/// A market on a port of this machine, at a time that the test sets.
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
async fn the_calls_are_answered_over_http() {
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
    service
        .with(|operator, now| operator.connect(&[1, 1], b"home", now))
        .unwrap();
    let info = call("les_serverInfo", json!([])).await.unwrap();
    assert_eq!(info["totalConnectedCapacity"], 100);
    for id in ["0x0101", "0x0202", "0x0303"] {
        let added = call("les_addBalance", json!([id, 2 * MILLION]))
            .await
            .unwrap();
        assert_eq!(added, json!([0, 2_000_000]));
    }
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
    let set = call("les_setDefaultParams", json!([{ "pricing/timeFactor": 6 }])).await;
    assert_eq!(set.unwrap(), Value::Null);
    let found = call("les_clientInfo", json!([[]])).await.unwrap();
    assert_eq!(found["0x0101"]["capacity"], 300);
    assert_eq!(found["0x0101"]["pricing/timeFactor"], 5);
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
async fn events_arrive_over_websocket() {
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
    service
        .with(|operator, now| operator.connect(&[1, 1], b"home", now))
        .unwrap();
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
async fn without_the_token_and_from_web_pages_nothing_is_answered() {
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
async fn other_machines_are_not_served_without_a_token() {
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
    assert_eq!(
        Token::new("short").unwrap_err(),
        TokenError::Short { found: 5 }
    );
    assert_eq!(
        Token::new(&"ä".repeat(40)).unwrap_err(),
        TokenError::Characters
    );
}
