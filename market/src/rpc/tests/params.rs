//! Parameters, balances and information.

use super::*;

#[test]
fn rejects_invalid_parameters_by_name() {
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
            json!(0.000_000_000_5),
            "invalid value for parameter 'pricing/timeFactor'",
        ),
        (
            "pricing/timeFactor",
            json!(1e20),
            "invalid value for parameter 'pricing/timeFactor'",
        ),
        (
            "userTags",
            json!("vip"),
            "invalid value for parameter 'userTags'",
        ),
        ("userTags", json!(["$vip"]), "invalid client tag '$vip'"),
        (
            "pricing/alert",
            json!("1"),
            "invalid value for parameter 'pricing/alert'",
        ),
        (
            "pricing/periodicUpdate",
            json!(-1),
            "invalid value for parameter 'pricing/periodicUpdate'",
        ),
    ] {
        let requested = set(json!({ "pricing/capacityFactor": 7, name: value }));
        assert_eq!(
            error_text(operator.set_client_params(&[[1, 1]], &[], &requested, 0)),
            expected
        );
    }
    let requested = set(json!({ "pricing/timeFactor": 1, "capacity": 200 }));
    let expected = "invalid default parameter 'capacity'";
    assert_eq!(
        error_text(operator.set_default_params(&requested)),
        expected
    );
    let requested = set(json!({ "pricing/timeFactor": 1 }));
    let absent = operator.set_client_params(&[[1, 1], [9, 9]], &[], &requested, 0);
    assert_eq!(error_text(absent), "client 0x0909 is not connected");
    let both = operator.set_client_params(&[[8, 8], [9, 9]], &[], &requested, 0);
    assert!(error_text(both).starts_with("multiple errors: client 0x0808"));
    assert_eq!(
        error_text(operator.client_info(&[], &["$vip".into()], 0)),
        "invalid client tag '$vip'"
    );
    assert_eq!(operator.client_info(&[], &[], 0).unwrap(), before);
}

#[test]
fn keeps_balances_between_zero_and_the_limit() {
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
fn applies_parameters_to_listed_and_tagged_clients_only() {
    let store = Store::default();
    let mut operator = open(&store);
    for n in 1..=4 {
        operator.connect(&[n, n], b"home", 0).unwrap();
    }
    let tag = |tags: Value| set(json!({ "userTags": tags }));
    operator.add_balance(&[2, 2], 5 * MILLION, 0).unwrap();
    operator.poll(0).unwrap();
    operator
        .set_client_params(&[[2, 2], [3, 3]], &[], &tag(json!(["vip", "eu"])), 0)
        .unwrap();
    let prices = set(json!({ "pricing/timeFactor": 3, "pricing/negative/requestCostFactor": 4 }));
    let tags = ["vip".to_owned(), "$priority".to_owned()];
    operator
        .set_client_params(&[[4, 4]], &tags, &prices, 0)
        .unwrap();
    operator
        .set_client_params(&[], &[], &set(json!({ "pricing/timeFactor": 9 })), 0)
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

    // Tags and balances are stored; connections and their prices are not.
    let mut operator = open(&store);
    let found = |operator: &Market, tags: &[&str]| -> Vec<u8> {
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
fn changes_no_client_if_one_cannot_change() {
    let store = Store::default();
    let mut operator = open(&store);
    two_clients(&mut operator);
    let before = operator.client_info(&[], &[], 0).unwrap();
    let requested = set(json!({
        "capacity": 300,
        "pricing/timeFactor": 3,
        "pricing/alert": 9,
        "userTags": ["vip"],
    }));
    let both = [[1, 1], [2, 2]];
    let refused = error_text(operator.set_client_params(&both, &[], &requested, 0));
    assert!(
        refused.starts_with("client 0x0202: a client without tokens"),
        "{refused}"
    );
    assert_eq!(operator.client_info(&[], &[], 0).unwrap(), before);
    assert!(operator.poll(0).unwrap().is_empty());
    assert!(operator.take_events().is_empty());

    operator
        .set_client_params(&both[..1], &[], &requested, 0)
        .unwrap();
    let info = &operator.client_info(&both[..1], &[], 0).unwrap()[&[1, 1]];
    assert_eq!(info["capacity"], 300);
    assert_eq!(info["pricing/timeFactor"], 3);
    assert_eq!(info["pricing/alert"], 9);
    assert_eq!(info["userTags"], json!(["vip"]));
    let info = operator.server_info();
    assert_eq!(info["totalConnectedCapacity"], 400);
    assert_eq!(info["priorityConnectedCapacity"], 300);
    assert_eq!(
        (&info["minimumCapacity"], &info["totalCapacity"]),
        (&json!(100), &json!(1_000))
    );
}

#[test]
fn names_every_client_with_an_error() {
    let mut operator = open(&Store::default());
    for n in 1..=3 {
        operator.connect(&[n, n], b"home", 0).unwrap();
    }
    let requested = set(json!({ "capacity": 300 }));
    let ids = [[1, 1], [2, 2], [3, 3]];
    let refused = error_text(operator.set_client_params(&ids, &[], &requested, 0));
    let texts: Vec<_> = refused.split("client 0x").skip(1).collect();
    assert!(refused.starts_with("multiple errors: client 0x0101: a client"));
    assert_eq!(texts.len(), 3, "{refused}");
}

#[test]
fn rejects_more_than_the_total_capacity() {
    let mut operator = open(&Store::default());
    two_clients(&mut operator);
    let mut ask = |capacity: u64, ids: &[Id]| {
        let requested = set(json!({ "capacity": capacity }));
        operator.set_client_params(ids, &[], &requested, 0)
    };
    let expected = "total capacity exceeded: 1001 requested for all clients, 1000 available; \
                    request less, or for fewer clients";
    assert_eq!(error_text(ask(1_001, &[[1, 1]])), expected);
    let both = error_text(ask(501, &[[1, 1], [2, 2]]));
    assert!(both.starts_with("total capacity exceeded: 1002 "), "{both}");
    let largest = error_text(ask(u64::MAX, &[[1, 1], [2, 2]]));
    assert!(
        largest.starts_with("total capacity exceeded: "),
        "{largest}"
    );
    // The capacity would suffice, but not for a client without tokens, nor beside it.
    assert!(error_text(ask(500, &[[1, 1], [2, 2]])).starts_with("client 0x0202"));
    ask(900, &[[1, 1]]).unwrap();
}

#[test]
fn changes_nothing_on_store_failure() {
    let store = Store::default();
    let mut operator = open(&store);
    two_clients(&mut operator);
    let before = operator.client_info(&[], &[], 0).unwrap();
    store.fail(true);
    for stored in [
        json!({ "userTags": ["vip"] }),
        json!({ "pricing/alert": 9 }),
    ] {
        let mut requested = set(stored);
        requested.extend(set(json!({ "capacity": 300, "pricing/timeFactor": 3 })));
        let refused = operator.set_client_params(&[[1, 1]], &[], &requested, 0);
        assert!(matches!(refused, Err(OperatorError::Load(_))));
    }
    let requested = set(json!({ "pricing/timeFactor": 5 }));
    operator.set_default_params(&requested).unwrap_err();
    operator.set_connected_bias(5).unwrap_err();
    operator.add_balance(&[1, 1], 5, 0).unwrap_err();
    assert_eq!(operator.client_info(&[], &[], 0).unwrap(), before);
    assert!(operator.poll(0).unwrap().is_empty());
    assert!(operator.take_events().is_empty());
    operator.connect(&[3, 3], b"home", 0).unwrap();
    let infos = operator.client_info(&[[3, 3]], &[], 0).unwrap();
    assert_eq!(infos[&[3, 3]]["pricing/timeFactor"], 0);
}

#[test]
fn applies_default_prices_to_later_clients_across_restart() {
    let store = Store::default();
    let mut operator = open(&store);
    operator.connect(&[1, 1], b"home", 0).unwrap();
    let factor = |operator: &mut Market, n: u8| {
        operator.connect(&[n, n], b"away", 0).unwrap();
        let infos = operator.client_info(&[], &[], 0).unwrap();
        let names = ["pricing/capacityFactor", "pricing/negative/timeFactor"];
        names.map(|name| infos[&[n, n]][name].as_u64().unwrap())
    };
    let requested = set(json!({ "pricing/capacityFactor": 5 }));
    operator.set_default_params(&requested).unwrap();
    assert_eq!(factor(&mut operator, 2), [5, 0]);
    // Other prices do not change.
    let requested = set(json!({ "pricing/negative/timeFactor": u64::MAX }));
    operator.set_default_params(&requested).unwrap();
    // An invalid parameter prevents all changes.
    let requested = set(json!({ "pricing/capacityFactor": 6, "speed": 7 }));
    let expected = "invalid default parameter 'speed'";
    assert_eq!(
        error_text(operator.set_default_params(&requested)),
        expected
    );
    let infos = operator.client_info(&[[1, 1]], &[], 0).unwrap();
    assert_eq!(infos[&[1, 1]]["pricing/capacityFactor"], 0);
    drop(operator);
    assert_eq!(factor(&mut open(&store), 3), [5, u64::MAX]);
}

#[test]
fn restores_bias_after_a_restart() {
    let store = Store::default();
    let mut operator = open(&store);
    // At a token per second, no lead lasts for such a bias.
    let prices = json!({ "pricing/timeFactor": 1 });
    operator.set_default_params(&set(prices)).unwrap();
    operator.set_connected_bias(i64::MAX).unwrap();
    let refused = error_text(operator.set_connected_bias(-1));
    assert!(refused.starts_with("invalid bias -1"), "{refused}");
    drop(operator);
    let mut operator = open(&store);
    let mut max = || {
        two_clients(&mut operator);
        let clients = operator.clients_mut();
        clients.set_capacity(&[1, 1], 900, 0, 0).unwrap();
        operator.add_balance(&[2, 2], 5_000 * MILLION, 0).unwrap();
        operator.poll(0).unwrap();
        let clients = operator.clients_mut();
        clients.max_capacity(&[2, 2], 0, 0, 0).unwrap()
    };
    assert_eq!(max(), 100);
}

#[test]
fn rejects_damaged_defaults() {
    let prices = [&[1][..], &[0; 96]].concat();
    // Numbers above all prices and durations.
    let large = [&[1][..], &[0xff; 96]].concat();
    for (key, bytes, expected) in [
        ("prices", &prices[..], ""),
        ("prices", &prices[..96], "of 96 bytes are damaged"),
        ("prices", &large, "of 97 bytes are damaged"),
        ("prices", &[], "of 0 bytes are damaged"),
        ("prices", &[2; 97], "version 2"),
        ("bias", &prices[..17], ""),
        ("bias", &prices[..9], "of 9 bytes are damaged"),
        ("bias", &large[..17], "of 17 bytes are damaged"),
    ] {
        let store = Store::default();
        let mut batch = crate::store::Batch::new();
        batch.put(format!("market:defaults:{key}"), bytes);
        crate::store::Store::write(&store, &batch).unwrap();
        match try_open(&store) {
            Ok(_) => assert_eq!(expected, ""),
            Err(error) => {
                let text = error.to_string();
                assert!(
                    !error.is_caller_error() && text.contains(expected),
                    "{text}"
                );
                assert_ne!(expected, "");
            }
        }
    }
}

#[test]
fn rejects_alert_together_with_periodic_update() {
    let mut operator = open(&Store::default());
    let mut notices = |requested: Value| {
        let done = operator.set_client_params(&[[1, 1]], &[], &set(requested), 0);
        let info = operator.client_info(&[[1, 1]], &[], 0).unwrap();
        let info = &info[&[1, 1]];
        let shown = ["pricing/alert", "pricing/periodicUpdate"].map(|name| info.get(name).cloned());
        done.map(|()| shown)
    };
    let (alert, period) = (Some(json!(7)), Some(json!(8)));
    let set = |alert: u64, period: u64| json!({ "pricing/alert": alert, "pricing/periodicUpdate": period });
    assert_eq!(
        error_text(notices(set(7, 8))),
        "invalid value for parameter 'pricing/alert': 'pricing/periodicUpdate' is set as well, \
         and a client has only one of them; omit one"
    );
    assert_eq!(notices(set(7, 0)).unwrap(), [alert, None]);
    // One kind of notice replaces the other.
    let changed = notices(json!({ "pricing/periodicUpdate": 8 }));
    assert_eq!(changed.unwrap(), [None, period.clone()]);
    assert_eq!(notices(set(0, 8)).unwrap(), [None, period]);
    assert_eq!(
        notices(json!({ "pricing/alert": 0 })).unwrap(),
        [None, None]
    );
}
