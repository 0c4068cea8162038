//! Requests for payments: refused, repeated, previewed.

use super::*;
use crate::support::http::request_with;

#[test]
fn rejects_bad_requests_without_paying() {
    let node = Node::start();
    let payer = payer(&node);
    let service = Payer::start(&payer, &ROUNDS);
    let id = service.wait_for(0, "active")["id"].clone();
    let request = |payee: &str, amount: Value| json!({ "payee": payee, "amount": amount });
    let (payee, stranger) = (node.address(1), node.address(5));
    for (request, status, code) in [
        (request(&payee, json!("0")), 422, "bad_amount"),
        (
            request(&payee, json!("400000000000000001")),
            409,
            "not_covered",
        ),
        (request(&stranger, json!("1")), 409, "not_listed"),
        (request("0x12", json!("1")), 422, "bad_request"),
        (request(&payee, json!("1e18")), 422, "bad_request"),
        (request(&payee, json!("-1")), 422, "bad_request"),
        (json!({ "payee": payee }), 422, "bad_request"),
        (
            json!({ "payee": payee, "amount": "1", "from": payee }),
            422,
            "bad_request",
        ),
        (
            json!({ "payee": payee, "amount": "1", "payee_cutoff": -1 }),
            422,
            "bad_request",
        ),
        (json!([]), 422, "bad_request"),
        (json!([payee, "1"]), 422, "bad_request"),
        (request(&payee, json!(1e17)), 422, "bad_request"),
        (
            json!({ "payee": payee, "amount": "1", "id": "a b" }),
            422,
            "bad_request",
        ),
        (
            json!({ "payee": payee, "amount": "1", "preview": 1 }),
            422,
            "bad_request",
        ),
    ] {
        let (answered, refused) = service.0.ask("POST", "/cheques", Some(&request));
        assert_eq!(
            (answered, &refused["code"]),
            (status, &json!(code)),
            "{request}"
        );
        assert!(refused["error"].is_string(), "{refused}");
    }
    for (path, status) in [
        (format!("/deposits/{payee}"), 400),
        (format!("/deposits/0x{}", "5".repeat(64)), 404),
        ("/payees/me".to_owned(), 400),
        // The last letter's case is wrong.
        (
            "/payees/0x70997970C51812dc3A010C7d01b50e0d17dc79c8".to_owned(),
            400,
        ),
        ("/deposits?limit=0".to_owned(), 400),
        ("/deposits?state=lost".to_owned(), 400),
    ] {
        assert_eq!(service.0.ask("GET", &path, None).0, status, "{path}");
    }
    let one = service
        .0
        .get(&format!("/deposits/{}", id.as_str().unwrap()));
    assert_eq!(one["spent"], json!("0"));
}

#[test]
fn pays_once_for_repeated_requests_of_one_id() {
    let node = Node::start();
    let payee = node.address(1);
    let mut service = Payer::start(&payer(&node), &ROUNDS);
    service.wait_for(0, "active");
    let request = |amount: &str, id: &str| json!({ "payee": payee, "amount": amount, "id": id });
    let ask = |service: &Payer, request: &Value| service.0.ask("POST", "/cheques", Some(request));
    let (status, first) = ask(&service, &request("7", "one"));
    assert_eq!(
        (status, &first["repeated"]),
        (200, &json!(false)),
        "{first}"
    );

    // The same proofs, also after a restart and after other payments.
    let (_, second) = ask(&service, &request("5", "two"));
    assert_eq!(second["spent"], json!("12"));
    service.0.kill_and_restart();
    let (status, again) = ask(&service, &request("7", "one"));
    assert_eq!((status, &again["repeated"]), (200, &json!(true)), "{again}");
    for field in ["proofs", "deposit", "spent", "left"] {
        assert_eq!(again[field], first[field], "{field}");
    }
    let url = service.0.url.get();
    let plain = json!({ "payee": payee, "amount": "7" });
    let named = |name: &str| {
        let header = format!("idempotency-key: {name}\r\n");
        request_with(&header, &url, "POST", "/cheques", Some(&plain)).unwrap()
    };
    assert_eq!(named("\"one\"").1["proofs"], first["proofs"]);

    // Another payment of the same name is refused.
    for other in [
        request("8", "one"),
        json!({ "payee": node.address(2), "amount": "7", "id": "one" }),
    ] {
        let (status, refused) = ask(&service, &other);
        assert_eq!(
            (status, &refused["code"]),
            (409, &json!("id_reused")),
            "{other}"
        );
    }

    // Eight at once are one payment.
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (url, request) = (url.clone(), request("100", "three"));
            std::thread::spawn(move || {
                request_with("", &url, "POST", "/cheques", Some(&request)).unwrap()
            })
        })
        .collect();
    let answers: Vec<_> = tasks.into_iter().map(|task| task.join().unwrap()).collect();
    for (status, answer) in &answers {
        assert_eq!(
            (*status, &answer["spent"]),
            (200, &json!("112")),
            "{answer}"
        );
        assert_eq!(answer["proofs"], answers[0].1["proofs"]);
    }
    let made = answers
        .iter()
        .filter(|(_, answer)| answer["repeated"] == json!(false));
    assert_eq!(made.count(), 1);

    // Without a name, each request pays.
    for spent in ["119", "126"] {
        let (_, paid) = ask(&service, &plain);
        assert_eq!(paid["spent"], json!(spent));
    }
}

#[test]
fn previews_a_payment_with_its_value_and_pays_nothing() {
    let node = Node::start();
    let payee = node.address(1);
    let service = Payer::start(&payer(&node), &ROUNDS);
    service.wait_for(0, "active");
    let request = json!({ "payee": payee, "amount": "100000000000000000", "preview": true });
    let (status, shown) = service.0.ask("POST", "/cheques", Some(&request));
    assert_eq!((status, &shown["preview"]), (200, &json!(true)), "{shown}");
    assert_eq!(shown["proofs"], Value::Null);
    let part = &shown["parts"][0];
    assert_eq!(part["spent"], json!("100000000000000000"));
    assert_eq!(part["payout"], json!("125000000000000000"));
    let units = |value: &Value| value.as_str().unwrap().parse::<u128>().unwrap();
    // The chance is 4 of 5, so four fifths of the cost are missing in the value, rounded down.
    let (value, cost) = (units(&part["value"]), units(&part["redeem_cost"]));
    assert_eq!(value, (units(&part["payout"]) - cost) * 4 / 5);
    assert!(cost > 0);
    let deposit = service.deposits()[0]["id"].as_str().unwrap().to_owned();
    let one = service.0.get(&format!("/deposits/{deposit}"));
    assert_eq!(one["spent"], json!("0"));

    // The list by state has the deposit once.
    let listed = service.0.get("/deposits?state=active&limit=1");
    assert_eq!(listed["deposits"].as_array().unwrap().len(), 1);
    assert_eq!(listed["next"], Value::Null);
    assert_eq!(
        service.0.get("/deposits?state=reclaimed")["deposits"],
        json!([])
    );
}
