//! Rounds of deposits, and their cutoffs.

use super::*;

#[test]
fn opens_rounds_pays_survives_a_kill_and_reports_events() {
    let node = Node::start();
    let (payer, payee) = (payer(&node), node.machine(1));
    let budget = ["--daily-budget", "1ether"];
    let rounds = [&ROUNDS[..], &budget].concat();
    let mut service = Payer::start(&payer, &rounds);
    let first = service.wait_for(0, "active");
    assert_eq!(first["amount"], json!("500000000000000000"));
    let draw = first["draw_time"].as_u64().unwrap();
    assert_eq!(first["estimated_expiry"], json!(draw - 45));
    let (status, paid) = service.pay(&payee.address, "100000000000000000");
    assert_eq!(status, 200, "{paid}");
    let proof = paid["proofs"][0].as_str().unwrap().to_owned();
    let spent = (
        &paid["payee"],
        &paid["deposit"],
        &paid["spent"],
        &paid["left"],
    );
    let (amount, left) = (json!("100000000000000000"), json!("300000000000000000"));
    assert_eq!(spent, (&json!(payee.address), &first["id"], &amount, &left));
    assert_eq!(payee.json(&["receive", &proof])["total"], amount);

    // The answered payment is on disk, and a caller that lost the answer finds it.
    service.0.kill_and_restart();
    let found = service.0.get(&format!("/payees/{}", payee.address));
    let found = &found["deposits"][0];
    assert_eq!(
        (&found["spent"], &found["opening"]),
        (&amount, &json!(proof))
    );
    let last = payee.fails(3, &["receive", found["proof"].as_str().unwrap()]);
    assert!(last.contains("counted before"), "{last}");
    let (_, more) = service.pay(&payee.address, "1");
    assert_eq!(more["spent"], json!("100000000000000001"));
    assert_eq!(
        service.deposits().len(),
        1,
        "the restart must keep the round"
    );

    // The second round opens in time; the third exceeds the budget.
    let mut events = service.0.lines("/events");
    node.advance(556);
    service.wait_for(0, "past_cutoff");
    let event = events.find_map(|line| {
        let line = line.unwrap();
        Some(line.strip_prefix("data: ")?.to_owned())
    });
    let event: Value = serde_json::from_str(&event.unwrap()).unwrap();
    let change = (&event["deposit"], &event["before"], &event["state"]);
    assert_eq!(
        change,
        (&first["id"], &json!("active"), &json!("past_cutoff"))
    );
    let second = service.wait_for(1, "active");
    let (status, paid) = service.pay(&payee.address, "7");
    assert_eq!((status, &paid["deposit"]), (200, &second["id"]));
    node.advance(556);
    service.wait_for(1, "past_cutoff");
    let round = support::wait_for(|| {
        let round = service.0.get("/deposits")["round"].clone();
        (round["blocked"] == json!(true)).then_some(round)
    });
    let round = round.expect("the round must be blocked");
    let reason = round["reason"].as_str().unwrap();
    assert!(
        reason.contains("the budget of a day is 1000000000000000000"),
        "{round}"
    );
    let (status, refused) = service.pay(&payee.address, "7");
    assert_eq!((status, &refused["code"]), (409, &json!("not_covered")));

    let one = service
        .0
        .get(&format!("/deposits/{}", first["id"].as_str().unwrap()));
    assert_eq!(one["spent"], json!("100000000000000001"));
    let left = &one["allowances_left"];
    assert_eq!(left[&payee.address], json!("299999999999999999"), "{one}");
    assert_eq!(left[node.address(2)], json!("100000000000000000"));
    assert_eq!(service.0.get("/health")["ok"], json!(true));
    let metrics: Vec<_> = service.0.lines("/metrics").map(Result::unwrap).collect();
    for metric in [
        "cheque_payer_payments_total 2",
        "cheque_payer_round_blocked 1",
    ] {
        assert!(metrics.iter().any(|line| line == metric), "{metrics:?}");
    }
    // The open stream of events does not delay the end.
    service.0.stop();
    let listed = payer.json(&["deposit", "list"]);
    assert_eq!(listed.as_array().unwrap().len(), 2);
}

#[test]
fn keeps_several_deposits_open_and_pays_from_the_first_drawn() {
    let node = Node::start();
    let (payer, payee) = (payer(&node), node.machine(1));
    let rounds = ["--draw-in", "20m", "--every", "5m", "--min-payout", "0"];
    let list = ["--allowances", "payees.csv", "--redeem-window", "1h"];
    let service = Payer::start(&payer, &[&list[..], &rounds].concat());
    let first = service.wait_for(0, "active");
    node.advance(301);
    let second = service.wait_for(1, "active");
    let time = |deposit: &Value| deposit["draw_time"].as_u64().unwrap();
    let between = time(&second) - time(&first);
    assert!((300..400).contains(&between), "{between}");
    let (status, paid) = service.pay(&payee.address, "7");
    assert_eq!((status, &paid["deposit"]), (200, &first["id"]));
    // Both pay for what is more than the first has left.
    let (status, paid) = service.pay(&payee.address, "500000000000000000");
    assert_eq!((status, &paid["deposit"]), (200, &second["id"]));
    assert_eq!(paid["proofs"].as_array().unwrap().len(), 2);
}

#[test]
fn keeps_the_cutoffs_of_payee_and_flag() {
    let node = Node::start();
    let (payer, payee) = (payer(&node), node.machine(1));
    let service = Payer::start(&payer, &[&ROUNDS[..], &["--cutoff", "60s"]].concat());
    let first = service.wait_for(0, "active");
    let draw = first["draw_time"].as_u64().unwrap();
    assert_eq!(first["estimated_expiry"], json!(draw - 60));
    node.advance(draw - 100 - node.now());
    let pay = |cutoff: u64| {
        let request = json!({ "payee": payee.address, "amount": "7", "payee_cutoff": cutoff });
        service.0.ask("POST", "/cheques", Some(&request))
    };
    // As soon as the service sees the new head.
    let refused = support::wait_for(|| {
        let (status, answer) = pay(120);
        (status == 409).then_some(answer)
    });
    assert_eq!(refused.unwrap()["code"], json!("not_covered"));
    let (status, paid) = pay(30);
    assert_eq!((status, &paid["deposit"]), (200, &first["id"]));
}

#[test]
fn opens_deposits_at_the_usual_times_without_further_flags() {
    let node = Node::start();
    let service = Payer::start(&payer(&node), &["--allowances", "payees.csv"]);
    let first = service.wait_for(0, "active");
    let draw = first["draw_time"].as_u64().unwrap();
    let window = first["redeem_until"].as_u64().unwrap() - draw;
    assert_eq!(window, 86_400);
    // Half an hour to the next deposit, and the margins of a local chain.
    let ahead = draw - node.now();
    assert!((1_800..1_860).contains(&ahead), "{ahead}");
}

#[test]
fn rejects_bad_rounds_keys_and_lists_at_startup() {
    let node = Node::start();
    let payer = payer(&node);
    let run = ["payer", "run", "--create-store", "--listen", "127.0.0.1:0"];
    let fails = |more: &[&str]| payer.fails(1, &[&run[..], more].concat());
    let file = ["--allowances", "payees.csv", "--draw-in"];
    // A second to be mined, one to pay in before the cutoff of 45 s, and one to open the next round.
    let error = fails(&[&file[..], &["47"]].concat());
    assert!(error.contains("the minimum is 48"), "{error}");
    let error = fails(&[&file[..], &["5m", "--every", "5m"]].concat());
    assert!(error.contains("the minimum is 348"), "{error}");
    let error = fails(&["--allowances", "gone.csv"]);
    assert!(error.contains("gone.csv"), "{error}");
    let error = fails(&["--allowances", "-", "--draw-in", "10m"]);
    assert!(error.contains("name a file"), "{error}");
    let error = fails(&[&ROUNDS[..], &["--signer-keystore", "gone.json"]].concat());
    assert!(error.contains("gone.json"), "{error}");
    for wrong in [
        &["--allowances", "payees.csv", "--every", "5m"][..],
        &["--draw-in", "10m"],
        &["--retention", "1 fortnight"],
        &[&ROUNDS[..], &["--nearly-spent", "0.9"]].concat(),
    ] {
        payer.fails(2, &[&run[..], wrong].concat());
    }
    let keyless = node.keyless();
    assert!(keyless.fails(1, &run).contains("key is not named"));
}
