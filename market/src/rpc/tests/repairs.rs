//! Facts that the older system, or this one before, got wrong.

use super::*;

fn info(operator: &Market, n: u8) -> Params {
    let infos = operator.client_info(&[[n, n]], &[], 0).unwrap();
    infos[&[n, n]].clone()
}

/// The last version of the older system left both out.
#[test]
fn shows_free_and_total_priority_capacity() {
    let mut operator = open(&Store::default());
    two_clients(&mut operator);
    let shown = |operator: &Market| {
        let info = operator.server_info();
        [
            "freeClientCapacity",
            "totalPriorityCapacity",
            "priorityConnectedCapacity",
        ]
        .map(|name| info[name].as_u64().unwrap())
    };
    assert_eq!(shown(&operator), [100, 100, 100]);
    let set = |operator: &mut Market, n: u8, capacity: u64| {
        let requested = set(json!({ "capacity": capacity }));
        operator.set_client_params(&[[n, n]], &[], &requested, 0)
    };
    set(&mut operator, 1, 300).unwrap();
    assert_eq!(shown(&operator), [100, 300, 300]);
    // The sum may exceed the total of 1,000.
    set(&mut operator, 8, 600).unwrap();
    set(&mut operator, 9, 900).unwrap();
    assert_eq!(shown(&operator), [100, 1_800, 300]);
    set(&mut operator, 9, 0).unwrap();
    assert_eq!(shown(&operator), [100, 900, 300]);
}

/// The older system, in its last version, set capacities of connections only.
#[test]
fn gives_a_client_its_capacity_when_it_connects() {
    let store = Store::default();
    let mut operator = open(&store);
    let capacity = |capacity: u64| set(json!({ "capacity": capacity }));
    for n in [1, 2, 3] {
        operator
            .set_client_params(&[[n, n]], &[], &capacity(400), 0)
            .unwrap();
    }
    operator.add_balance(&[1, 1], 5 * MILLION, 0).unwrap();
    operator.add_balance(&[2, 2], 9 * MILLION, 0).unwrap();
    assert_eq!(info(&operator, 1)["capacity"], 400);
    drop(operator);
    let mut operator = open(&store);
    assert_eq!(operator.connect(&[1, 1], b"home", 0).unwrap(), 400);
    assert_eq!(operator.connect(&[2, 2], b"home", 0).unwrap(), 400);
    // Without tokens a client has the minimum.
    assert_eq!(operator.connect(&[3, 3], b"home", 0).unwrap(), 100);
    // Tokens bring the capacity, as far as the priority allows.
    operator.add_balance(&[3, 3], 3 * MILLION, 0).unwrap();
    let raised = info(&operator, 3)["capacity"].as_u64().unwrap();
    assert!((201..300).contains(&raised), "{raised}");
    operator
        .set_client_params(&[[1, 1]], &[], &capacity(0), 0)
        .unwrap();
    operator.disconnect(&[1, 1], 0).unwrap();
    assert_eq!(operator.connect(&[1, 1], b"home", 0).unwrap(), 100);
    assert!(info(&open(&store), 1).get("capacity").is_none());
    // More than there is cannot be had by anyone.
    let refused = error_text(operator.set_client_params(&[[9, 9]], &[], &capacity(1_001), 0));
    assert!(refused.starts_with("total capacity exceeded"), "{refused}");
}

#[test]
fn forgets_no_capacity_that_could_not_be_stored() {
    let store = Store::default();
    let mut operator = open(&store);
    store.fail(true);
    let requested = set(json!({ "capacity": 300 }));
    let refused = operator.set_client_params(&[[9, 9]], &[], &requested, 0);
    assert!(matches!(refused, Err(OperatorError::Load(_))));
    assert!(info(&operator, 9).get("capacity").is_none());
}

/// This system took whole prices only; the older one took every JSON number.
#[test]
fn takes_prices_as_decimal_numbers() {
    let store = Store::default();
    let mut operator = open(&store);
    operator.connect(&[1, 1], b"home", 0).unwrap();
    operator.add_balance(&[1, 1], 9_000 * MILLION, 0).unwrap();
    let prices = set(json!({ "pricing/timeFactor": 0.5, "pricing/negative/timeFactor": 1e9 }));
    operator
        .set_client_params(&[[1, 1]], &[], &prices, 0)
        .unwrap();
    operator.set_default_params(&prices).unwrap();
    let shown = |operator: &Market, n| {
        let info = info(operator, n);
        ["pricing/timeFactor", "pricing/negative/timeFactor"].map(|name| info[name].clone())
    };
    let expected = [json!(0.5), json!(1_000_000_000)];
    assert_eq!(shown(&operator, 1), expected);
    let infos = operator.client_info(&[], &[], 10 * SECOND).unwrap();
    assert_eq!(infos[&[1, 1]]["pricing/balance"], 9_000 * MILLION - 5);
    drop(operator);
    let mut operator = open(&store);
    operator.connect(&[2, 2], b"home", 0).unwrap();
    assert_eq!(shown(&operator, 2), expected);
}

/// The last version of the older system dropped the argument that its documentation names.
#[test]
fn keeps_the_note_of_a_balance() {
    let store = Store::default();
    let mut operator = open(&store);
    let add =
        |operator: &mut Market, amount, meta| operator.add_noted_balance(&[1, 1], amount, meta, 0);
    add(&mut operator, 5, Some("invoice 7")).unwrap();
    operator.add_balance(&[1, 1], 5, 0).unwrap();
    let long = "x".repeat(1_025);
    let refused = error_text(add(&mut operator, 5, Some(&long)));
    assert_eq!(refused, "invalid value for parameter 'pricing/balanceMeta'");
    // Without the balance there is no note.
    add(&mut operator, i64::MAX, Some("too much")).unwrap_err();
    let operator = open(&store);
    let found = info(&operator, 1);
    assert_eq!(
        (&found["pricing/balanceMeta"], &found["pricing/balance"]),
        (&json!("invoice 7"), &json!(10))
    );
    let mut operator = operator;
    add(&mut operator, 0, Some("")).unwrap();
    assert!(info(&operator, 1).get("pricing/balanceMeta").is_none());
}

/// Before, every selection by tags read every stored balance.
#[test]
fn selects_connected_clients_without_reading_balances() {
    let store = Store::default();
    let mut operator = open(&store);
    for n in 10..60 {
        operator.add_balance(&[n, n], MILLION, 0).unwrap();
    }
    two_clients(&mut operator);
    let tags = set(json!({ "userTags": ["vip"] }));
    operator
        .set_client_params(&[[1, 1]], &[], &tags, 0)
        .unwrap();
    let reads = |operator: &Market, tags: &[&str]| {
        let tags: Vec<_> = tags.iter().map(ToString::to_string).collect();
        let before = store.reads();
        let selected = operator.select(&[], &tags, 0).unwrap();
        (selected.len(), store.reads() - before)
    };
    assert_eq!(reads(&operator, &["$connected"]), (2, 0));
    assert_eq!(reads(&operator, &["$free", "$connected"]), (1, 0));
    assert_eq!(reads(&operator, &["vip", "$priority"]), (1, 0));
    let (all, read) = reads(&operator, &["$all"]);
    assert!(all == 52 && read >= 50, "{all} {read}");
    assert_eq!(reads(&operator, &["$priority"]).0, 51);
}
