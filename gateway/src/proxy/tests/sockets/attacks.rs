//! Clients that do not pay, do not read, or leave.

use super::*;

#[tokio::test]
async fn asks_the_upstream_after_the_payment_only() {
    let mut shop = Shop::new(patient()).await;
    assert_eq!(
        shop.refused("/events", &[]).await,
        StatusCode::PAYMENT_REQUIRED
    );
    let forged = [("cheque", shop.stand.payer.cheque(100).to_string())];
    assert_eq!(
        shop.refused("/events", &forged).await,
        StatusCode::PAYMENT_REQUIRED
    );
    let proof = shop.stand.payer.opening(10).to_string();
    let paying = |origin: &str| [("cheque", proof.clone()), ("origin", origin.to_owned())];
    for origin in ["https://evil.example", "https://page.example.evil", "null"] {
        assert_eq!(
            shop.refused("/events", &paying(origin)).await,
            StatusCode::FORBIDDEN
        );
    }
    let mut no_key = paying("https://page.example").to_vec();
    no_key.push(("sec-websocket-version", "12".to_owned()));
    assert_eq!(
        shop.refused("/events", &no_key).await,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(shop.refused("/tokens", &[]).await, StatusCode::BAD_REQUEST);
    // One price would buy any number of calls.
    assert_eq!(shop.refused("/calls", &[]).await, StatusCode::BAD_REQUEST);
    assert!(shop.upstream.connected.try_recv().is_err());
    assert_eq!(shop.stand.balance().await, 0);
    let listed = paying("https://page.example");
    let (mut client, _) = shop.connect("/events", &listed).await.unwrap();
    shop.upstream.send.send(Message::text("a")).unwrap();
    assert_eq!(data(&mut client).await, "a");
    assert!(shop.upstream.connected.try_recv().is_ok());
    // A payment buys one WebSocket.
    assert_eq!(shop.refused("/events", &listed).await, StatusCode::CONFLICT);
}

#[tokio::test]
async fn closes_a_websocket_that_is_never_paid() {
    let mut shop = Shop::new(hasty()).await;
    let (mut client, _) = shop.open("/events", 7).await;
    client.send(Message::text("a")).await.unwrap();
    assert_eq!(shop.read().await, Message::text("a"));
    // Neither direction is free.
    client.send(Message::text("b")).await.unwrap();
    assert_eq!(wish(&mut client).await.0, "10");
    // The payment of another account does not help.
    let other = Payer::native(2);
    let authorization = shop.credential("/events", &other.opening(500)).await;
    tell(&mut client, SocketFrame::Authorization { authorization }).await;
    assert_eq!(receipt(&mut client).await.balance, "500");
    let error = frame(&mut client).await;
    assert!(
        matches!(error, SocketFrame::PaymentError { status: 402, .. }),
        "{error:?}"
    );
    let last = receipt(&mut client).await;
    assert_eq!((&*last.charged, &*last.balance), ("5", "2"));
    assert_eq!(closed(&mut client).await, CloseCode::Policy);
    let read = shop.end().await;
    assert!(read.iter().all(Message::is_close), "{read:?}");
    assert_eq!(shop.charged().await, 5);
    assert_eq!(shop.stand.shop.balance(&other).await, 500);
}

#[tokio::test]
async fn closes_on_a_flood_of_unpaid_messages() {
    let mut shop = Shop::new(patient()).await;
    let (mut client, _) = shop.open("/events", 5).await;
    for _ in 0..100 {
        client.send(Message::text("x")).await.unwrap();
    }
    wish(&mut client).await;
    let error = frame(&mut client).await;
    assert!(
        matches!(error, SocketFrame::PaymentError { status: 429, .. }),
        "{error:?}"
    );
    assert_eq!(receipt(&mut client).await.charged, "5");
    assert_eq!(shop.read().await, Message::text("x"));
    shop.end().await;
}

#[tokio::test]
async fn closes_after_many_failed_payments() {
    let shop = Shop::new(patient()).await;
    let (mut client, _) = shop.open("/events", 5).await;
    for _ in 0..16 {
        let authorization = "Payment e30".to_owned();
        tell(&mut client, SocketFrame::Authorization { authorization }).await;
        let error = frame(&mut client).await;
        assert!(
            matches!(error, SocketFrame::PaymentError { status: 402, .. }),
            "{error:?}"
        );
    }
    let error = frame(&mut client).await;
    assert!(
        matches!(error, SocketFrame::PaymentError { status: 429, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn charges_messages_of_a_client_that_hangs_up() {
    let mut shop = Shop::new(patient()).await;
    let (mut client, _) = shop.open("/events", 100).await;
    client.send(Message::text("a")).await.unwrap();
    assert_eq!(shop.read().await, Message::text("a"));
    drop(client);
    shop.end().await;
    assert_eq!(shop.charged().await, 5);
    assert_eq!(shop.stand.balance().await, 95);
}

#[tokio::test]
async fn drops_a_client_that_does_not_read() {
    let limits = ProxyLimits {
        unread: Duration::from_millis(300),
        ..patient()
    };
    let mut shop = Shop::new(limits).await;
    let (client, _) = shop.open("/events", 1_000).await;
    for _ in 0..200 {
        let large = Message::binary(vec![7; 512 << 10]);
        shop.upstream.send.send(large).unwrap();
    }
    shop.end().await;
    // Messages fill the connection's buffers, and no more.
    let charged = shop.charged().await;
    assert!(charged < 200 * 5, "{charged}");
    drop(client);
}

#[tokio::test]
async fn websockets_share_the_memory_of_bodies() {
    let limits = ProxyLimits {
        memory: 256 << 10,
        ..patient()
    };
    let shop = Shop::new(limits).await;
    let (client, _) = shop.open("/events", 5).await;
    let proof = [("cheque", shop.stand.payer.cheque(10).to_string())];
    let busy = StatusCode::SERVICE_UNAVAILABLE;
    assert_eq!(shop.refused("/events", &proof).await, busy);
    // The refused payment was not taken.
    assert_eq!(shop.stand.balance().await, 0);
    drop(client);
    let left = async {
        while shop.stand.proxy.shared.budget.left() < 256 << 10 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, left).await.expect("memory is lost");
}

#[tokio::test]
async fn pings_do_not_stop_the_clock_of_a_websocket() {
    let shop = Shop::new(patient()).await;
    // For one and a half seconds.
    let (client, _) = shop.open("/timed", 15).await;
    let (mut send, mut read) = client.split();
    let flood = async {
        while send.send(Message::Ping(Bytes::new())).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let asked = async {
        loop {
            if let Message::Text(text) = read.next().await.unwrap().unwrap() {
                return SocketFrame::decode(&text);
            }
        }
    };
    let asked = async {
        tokio::select! {
            asked = asked => asked,
            () = flood => None,
        }
    };
    let asked = timeout(SOON, asked).await.expect("the time must be paid");
    assert!(
        matches!(asked, Some(SocketFrame::PaymentNeedVoucher { .. })),
        "{asked:?}"
    );
}
