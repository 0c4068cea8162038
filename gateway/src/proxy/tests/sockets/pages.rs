//! Pages, whose first message is the payment.

use super::*;

#[tokio::test]
async fn a_page_pays_by_its_first_message() {
    let mut shop = Shop::new(patient()).await;
    let mut client = shop.page("/events").await;
    let forged = shop.stand.payer.cheque(10);
    shop.pay(&mut client, "/events", &forged).await;
    assert_eq!(error(&mut client).await, 402);
    assert!(shop.upstream.connected.try_recv().is_err());
    let opening = shop.stand.payer.opening(10);
    shop.pay(&mut client, "/events", &opening).await;
    let first = receipt(&mut client).await;
    assert_eq!((&*first.accepted_cumulative, &*first.charged), ("10", "0"));
    client.send(Message::text("hello")).await.unwrap();
    assert_eq!(shop.read().await, Message::text("hello"));
    shop.upstream.send.send(Message::text("a")).unwrap();
    assert_eq!(data(&mut client).await, "a");
    // The same payment buys no second WebSocket.
    let mut second = shop.page("/events").await;
    shop.pay(&mut second, "/events", &opening).await;
    assert_eq!(error(&mut second).await, 409);
    drop(client);
    assert_eq!(shop.charged().await, 10);
}

#[tokio::test]
async fn a_page_that_does_not_pay_reaches_nothing() {
    let mut shop = Shop::new(hasty()).await;
    let mut silent = shop.page("/events").await;
    let mut talking = shop.page("/events").await;
    talking.send(Message::text("hello")).await.unwrap();
    for client in [&mut silent, &mut talking] {
        assert_eq!(error(client).await, 402);
        assert_eq!(closed(client).await, CloseCode::Policy);
    }
    let mut failing = shop.page("/events").await;
    let unknown = shop.stand.payer.cheque(10);
    for _ in 0..3 {
        shop.pay(&mut failing, "/events", &unknown).await;
        assert_eq!(error(&mut failing).await, 402);
    }
    assert_eq!(error(&mut failing).await, 402);
    assert!(shop.upstream.connected.try_recv().is_err());
    // A route at one price is paid by a header.
    let headers = PAGE.map(|(name, value)| (name, value.to_owned()));
    assert_eq!(
        shop.refused("/answer", &headers).await,
        StatusCode::PAYMENT_REQUIRED
    );
}

#[tokio::test]
async fn waiting_pages_are_bounded_and_leave_places() {
    let shop = Shop::new(patient()).await;
    let mut waiting = Vec::new();
    for _ in 0..page::MAX_WAITING {
        waiting.push(shop.page("/events").await);
    }
    let headers = PAGE.map(|(name, value)| (name, value.to_owned()));
    let busy = StatusCode::SERVICE_UNAVAILABLE;
    assert_eq!(shop.refused("/events", &headers).await, busy);
    // Others are served.
    let (mut client, _) = shop.open("/events", 5).await;
    shop.upstream.send.send(Message::text("a")).unwrap();
    assert_eq!(data(&mut client).await, "a");
    waiting.clear();
    let again = async {
        while shop.stand.proxy.shared.pages.available_permits() < page::MAX_WAITING {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, again).await.expect("a place is lost");
    drop(shop.page("/events").await);
}
