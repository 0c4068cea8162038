//! What each outcome of the upstream costs.

use super::*;
use crate::ledger::Extended;

async fn settled(outcome: Outcome, terms: Terms) -> Receipt {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    let paid = shop.buy(1, &[payer.opening(25)]).await;
    let receipt = shop.ledger.settle(&paid, (outcome, terms), None, NOW).await;
    let receipt = receipt.unwrap().unwrap();
    let sums = shop.sums(&payer).await;
    assert_eq!(
        (sums.charged, sums.reserved),
        (receipt.charged, Amount::ZERO)
    );
    assert_eq!(receipt.balance.get() + receipt.charged.get(), 25);
    receipt
}

const fn answered(status: u16, cost: u128) -> Outcome {
    Outcome::Answered {
        status,
        cost: Some(Amount::new(cost)),
    }
}

#[tokio::test]
async fn charges_what_the_upstream_reports() {
    for (cost, charged) in [(0, 0), (1, 1), (10, 10), (11, 10)] {
        let receipt = settled(answered(200, cost), Terms::default()).await;
        assert_eq!((receipt.charged.get(), receipt.released), (charged, false));
        let broken = Outcome::Broken {
            cost: Some(Amount::new(cost)),
        };
        let receipt = settled(broken, Terms::default()).await;
        assert_eq!((receipt.charged.get(), receipt.released), (charged, false));
    }
    assert_eq!(settled(SERVED, Terms::default()).await.charged, PRICE);
}

#[tokio::test]
async fn releases_what_the_upstream_did_not_serve() {
    for outcome in [
        Outcome::Failed,
        Outcome::NotForwarded,
        Outcome::TimedOut,
        answered(500, 10),
        answered(503, 10),
        answered(404, 10),
    ] {
        let receipt = settled(outcome, Terms::default()).await;
        assert!(receipt.released, "{outcome:?}");
    }
    let charging = Terms {
        charge_4xx: true,
        has_body: false,
    };
    assert_eq!(settled(answered(404, 10), charging).await.charged, PRICE);
    assert!(settled(answered(500, 10), charging).await.released);
}

#[tokio::test]
async fn charges_the_fourth_client_error_in_a_row_with_a_body() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    let terms = Terms {
        charge_4xx: false,
        has_body: true,
    };
    let mut free = Vec::new();
    let statuses = [400, 400, 400, 400, 200, 400];
    for (request, status) in (1..).zip(statuses) {
        let paid = shop
            .buy(request, &[payer.opening(100 + u128::from(request))])
            .await;
        let receipt = shop
            .ledger
            .settle(&paid, (answered(status, 10), terms), None, NOW);
        free.push(receipt.await.unwrap().unwrap().released);
    }
    assert_eq!(free, [true, true, true, false, false, true]);
}

#[tokio::test]
async fn released_payment_buys_its_request_and_no_other() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    let paid = shop.buy(1, &[payer.opening(10)]).await;
    assert!(shop.settle(&paid, Outcome::Failed).await.released);
    assert_eq!(shop.refused(2, &[payer.opening(10)]).await, Refusal::Used);
    let again = shop.buy(1, &[payer.opening(10)]).await;
    // The settlement of the first attempt, once more, touches nothing.
    let late = shop
        .ledger
        .settle(&paid, (SERVED, Terms::default()), None, NOW);
    assert_eq!(late.await.unwrap(), None);
    assert_eq!(shop.settle(&again, SERVED).await.charged, PRICE);
}

#[tokio::test]
async fn gives_the_stored_answer_for_ten_minutes() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    let paid = shop.buy(1, &[payer.opening(30)]).await;
    let outcome = (SERVED, Terms::default());
    let settled = shop
        .ledger
        .settle(&paid, outcome, Some(vec![7; 64 << 10]), NOW);
    settled.await.unwrap();
    let payment = paying(&[payer.opening(30)]);
    match admit(&shop.ledger, &ask(1, NOW + 599), &payment).await {
        Admitted::Again(again) => {
            assert_eq!(again.answer.len(), 64 << 10);
            assert_eq!(
                (again.receipt.charged, again.receipt.balance.get()),
                (PRICE, 20)
            );
        }
        other => panic!("{other:?}"),
    }
    let late = refusal(admit(&shop.ledger, &ask(1, NOW + 600), &payment).await);
    assert_eq!(late, Refusal::Used);
    // A larger answer is not kept.
    let paid = shop.buy(2, &[payer.cheque(31)]).await;
    let settled = shop
        .ledger
        .settle(&paid, outcome, Some(vec![7; (64 << 10) + 1]), NOW);
    settled.await.unwrap();
    assert_eq!(shop.refused(2, &[payer.cheque(31)]).await, Refusal::Used);
}

#[tokio::test]
async fn stream_reserves_more_from_the_balance() {
    let (shop, payer) = (Shop::new(), Payer::native(1));
    let paid = shop.buy(1, &[payer.opening(25)]).await;
    let Extended::Reserved(more) = shop.ledger.extend(&paid, Amount::new(15)).await.unwrap() else {
        panic!("the balance covers it");
    };
    assert_eq!((more.reserved().get(), more.balance().get()), (25, 0));
    let refused = shop.ledger.extend(&more, Amount::new(1)).await.unwrap();
    let balance = Amount::ZERO;
    assert_eq!(refused, Extended::Insufficient { balance });
    // The client tops the account up meanwhile.
    let added = shop
        .ledger
        .add(&ask(9, NOW), &paying(&[payer.cheque(30)]))
        .await;
    assert_eq!(added.unwrap().unwrap().balance.get(), 5);
    let extended = shop.ledger.extend(&more, Amount::new(1)).await.unwrap();
    assert!(matches!(extended, Extended::Reserved(_)));
    let broken = Outcome::Broken {
        cost: Some(Amount::new(22)),
    };
    let receipt = shop.settle(&more, broken).await;
    assert_eq!((receipt.charged.get(), receipt.balance.get()), (22, 8));
    let lapsed = shop.ledger.extend(&more, Amount::new(1)).await.unwrap();
    assert_eq!(lapsed, Extended::Lapsed);
}
