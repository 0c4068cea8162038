//! Events for the operator, and their moments.

use super::*;

#[test]
fn delivers_events_to_matching_subscriptions() {
    let mut operator = open(&Store::default());
    let subscription = |tags: &[&str], underrun| {
        let tags = tags.iter().map(ToString::to_string).collect();
        Market::subscription(tags, underrun).unwrap()
    };
    let (free, rich) = (
        subscription(&["$free"], true),
        subscription(&["$priority"], false),
    );
    operator.connect(&[1, 1], b"home", 0).unwrap();
    operator.add_balance(&[1, 1], 5 * MILLION, 0).unwrap();
    operator.poll(0).unwrap();
    for capacity in [2_000, 2_000, 50] {
        limit(&mut operator, capacity, 0);
    }
    operator.poll(SECOND).unwrap();
    operator.disconnect(&[1, 1], SECOND).unwrap();
    let events = operator.take_events();
    let received = |subscription| -> Vec<String> {
        let received = events.iter().filter(|event| event.is_for(subscription));
        let texts = received.map(|event| match event.payload().get("clientEvent") {
            Some(kind) => kind.as_str().unwrap().to_owned(),
            None => event.payload()["totalCapacity"].to_string(),
        });
        texts.collect()
    };
    assert_eq!(received(&free), ["connect", "50"]);
    assert_eq!(
        received(&rich),
        [
            "priceUpdate",
            "updateCapacity",
            "2000",
            "50",
            "updateCapacity",
            "disconnect"
        ]
    );
    assert!(Market::subscription(vec!["$nobody".into()], false).is_err());
}

fn subscription(tags: &[&str], underrun: bool) -> Subscription {
    let tags = tags.iter().map(ToString::to_string).collect();
    Market::subscription(tags, underrun).unwrap()
}

/// Polls at every event until `until`, and returns the events of clients with their moments.
fn reported(operator: &mut Market, until: u64) -> Vec<(u64, String)> {
    let mut reported = Vec::new();
    let mut now = 0;
    while operator.next_event() <= until {
        now = operator.next_event().max(now);
        operator.poll(now).unwrap();
        for event in operator.take_events() {
            let payload = event.payload();
            let (kind, id) = (&payload["clientEvent"], &payload["clientId"]);
            reported.push((
                now,
                format!("{} {}", id.as_str().unwrap(), kind.as_str().unwrap()),
            ));
        }
    }
    reported
}

#[test]
fn announces_decrease_at_once_and_applies_it_later() {
    let mut operator = open(&Store::default());
    two_clients(&mut operator);
    let requested = set(json!({ "capacity": 800 }));
    operator
        .set_client_params(&[[1, 1]], &[], &requested, 0)
        .unwrap();
    operator.poll(0).unwrap();
    operator.take_events();
    let now = 5 * SECOND;
    limit(&mut operator, 450, now);
    let events = operator.take_events();
    let [event] = &events[..] else {
        panic!("{events:?}");
    };
    let totals = [
        "totalCapacity",
        "totalConnectedCapacity",
        "priorityConnectedCapacity",
    ];
    assert_eq!(
        totals.map(|name| event.payload()[name].as_u64().unwrap()),
        [450, 900, 800]
    );
    assert_eq!(event.payload().len(), 3);
    assert_eq!(operator.server_info()["totalCapacity"], 450);
    let until = now + SECOND;
    assert_eq!(operator.next_event(), until);
    assert!(operator.poll(until - 1).unwrap().is_empty());
    assert_eq!(operator.server_info()["totalConnectedCapacity"], 900);
    // The operator chooses the client that yields, so the pool takes nothing.
    let requested = set(json!({ "capacity": 350 }));
    operator
        .set_client_params(&[[1, 1]], &[], &requested, until - 1)
        .unwrap();
    operator.poll(until - 1).unwrap();
    operator.take_events();
    assert_eq!(reported(&mut operator, until), []);
    assert_eq!(operator.server_info()["totalConnectedCapacity"], 450);

    // Now the operator does not choose.
    limit(&mut operator, 300, until);
    operator.take_events();
    let reported = reported(&mut operator, until + SECOND);
    let expected = ["0x0101 updateCapacity", "0x0202 updateCapacity"];
    assert_eq!(
        reported,
        expected.map(|text| (until + SECOND, text.to_owned()))
    );
    assert!(operator.server_info()["totalConnectedCapacity"].as_u64() <= Some(300));
}

#[test]
fn limits_market_events_to_shortages_on_request() {
    let mut operator = open(&Store::default());
    two_clients(&mut operator);
    let requested = set(json!({ "capacity": 800 }));
    operator
        .set_client_params(&[[1, 1]], &[], &requested, 0)
        .unwrap();
    operator.poll(0).unwrap();
    operator.take_events();
    let (all, shortages) = (subscription(&[], false), subscription(&[], true));
    // 900 are in use, until a second after a decrease is announced.
    for (capacity, is_short) in [
        (950, false),
        (900, false),
        (899, true),
        (899, true),
        (800, true),
        (850, true),
        (900, false),
        (2_000, false),
    ] {
        let before = &operator.server_info()["totalCapacity"];
        let is_new = *before != capacity;
        limit(&mut operator, capacity, 0);
        let events = operator.take_events();
        assert!(events.len() <= 1);
        let received = |by| events.iter().any(|event| event.is_for(by));
        assert_eq!(received(&all), is_new, "{capacity}");
        assert_eq!(received(&shortages), is_new && is_short, "{capacity}");
    }
    // Without tags a subscription has the events of all clients, which the older system left out; with tags also
    // those of the market.
    operator.disconnect(&[1, 1], 0).unwrap();
    let events = operator.take_events();
    assert_eq!(events.iter().filter(|event| event.is_for(&all)).count(), 1);
    let tagged = subscription(&["$priority"], false);
    assert_eq!(
        events.iter().filter(|event| event.is_for(&tagged)).count(),
        1
    );
    limit(&mut operator, 3_000, 0);
    assert!(operator.take_events()[0].is_for(&tagged));
}

#[test]
fn reports_notices_as_price_updates_at_their_moment() {
    let mut operator = open(&Store::default());
    two_clients(&mut operator);
    let requested = set(json!({ "pricing/timeFactor": 1_000, "pricing/periodicUpdate": 10_000 }));
    operator
        .set_client_params(&[[1, 1]], &[], &requested, 0)
        .unwrap();
    let requested = set(json!({ "pricing/negative/timeFactor": 1_000, "pricing/alert": 14_999 }));
    operator
        .set_client_params(&[[2, 2]], &[], &requested, 0)
        .unwrap();
    // Events of the changed prices.
    assert_eq!(operator.take_events().len(), 2);
    let reported = reported(&mut operator, 35 * SECOND);
    let [one, two] = ["0x0101 priceUpdate", "0x0202 priceUpdate"].map(str::to_owned);
    let expected = [
        (10 * SECOND, one.clone()),
        (15 * SECOND, two),
        (20 * SECOND, one.clone()),
        (30 * SECOND, one),
    ];
    assert_eq!(reported, expected);
    let infos = operator.client_info(&[], &[], 35 * SECOND).unwrap();
    assert_eq!(infos[&[1, 1]]["pricing/totalAmount"], 35_000);
    assert_eq!(infos[&[2, 2]]["pricing/totalAmount"], 35_000);
    assert_eq!(infos[&[2, 2]]["pricing/negBalance"], 35_000);
}

#[test]
fn restores_totals_and_notices_and_finds_them_by_tags() {
    let store = Store::default();
    let mut operator = open(&store);
    two_clients(&mut operator);
    let requested = set(json!({ "pricing/timeFactor": 1_000 }));
    operator
        .set_client_params(&[[1, 1]], &[], &requested, 0)
        .unwrap();
    let requested = set(json!({ "pricing/alert": 5 }));
    operator
        .set_client_params(&[[7, 7]], &[], &requested, 0)
        .unwrap();
    operator.save(7 * SECOND).unwrap();
    operator
        .add_balance(&[1, 1], -9 * MILLION, 7 * SECOND)
        .unwrap();
    drop(operator);
    let operator = open(&store);
    let infos = operator.client_info(&[], &["$all".to_owned()], 0).unwrap();
    let shown = |n: u8, name: &str| infos[&[n, n]][name].clone();
    assert_eq!(infos.keys().map(|id| id[0]).collect::<Vec<_>>(), [1, 7]);
    assert_eq!(shown(1, "pricing/totalAmount"), 7_000);
    assert_eq!(
        (shown(1, "pricing/balance"), shown(7, "pricing/alert")),
        (json!(0), json!(5))
    );
}
