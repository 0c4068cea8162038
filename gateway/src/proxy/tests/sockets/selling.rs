//! Messages that are sold.

use super::*;

#[tokio::test]
async fn sells_messages_in_both_directions_and_takes_payments() {
    let mut shop = Shop::new(patient()).await;
    // Two messages.
    let (mut client, handshake) = shop.open("/events", 10).await;
    assert_eq!(handshake.status(), StatusCode::SWITCHING_PROTOCOLS);
    client.send(Message::text("hello")).await.unwrap();
    assert_eq!(shop.read().await, Message::text("hello"));
    shop.upstream.send.send(Message::text("a")).unwrap();
    assert_eq!(data(&mut client).await, "a");
    shop.upstream.send.send(Message::text("b")).unwrap();
    let expected = ("15".to_owned(), "10".to_owned());
    assert_eq!(wish(&mut client).await, expected);
    // A failed payment changes nothing.
    let authorization = "Payment e30".to_owned();
    tell(&mut client, SocketFrame::Authorization { authorization }).await;
    let error = frame(&mut client).await;
    assert!(
        matches!(error, SocketFrame::PaymentError { status: 402, .. }),
        "{error:?}"
    );
    // The connection was paid by the short form, and is topped up by MPP.
    let proof = shop.stand.payer.cheque(20);
    let authorization = shop.credential("/events", &proof).await;
    tell(&mut client, SocketFrame::Authorization { authorization }).await;
    let paid = receipt(&mut client).await;
    assert_eq!((&*paid.accepted_cumulative, &*paid.charged), ("20", "0"));
    assert_eq!(data(&mut client).await, "b");
    let wrapped = SocketFrame::Message {
        data: r#"{"mpp":"payment-close-request"}"#.to_owned(),
    };
    tell(&mut client, wrapped).await;
    let raw = r#"{"mpp":"payment-close-request"}"#;
    assert_eq!(shop.read().await, Message::text(raw));
    tell(&mut client, SocketFrame::PaymentCloseRequest).await;
    let SocketFrame::PaymentCloseReady { data } = frame(&mut client).await else {
        panic!("not ready to close");
    };
    assert_eq!((&*data.charged, &*data.balance), ("20", "0"));
    assert_eq!(closed(&mut client).await, CloseCode::Normal);
    shop.end().await;
}

#[tokio::test]
async fn goes_on_after_a_payment_beside_the_websocket() {
    let shop = Shop::new(patient()).await;
    let (mut client, _) = shop.open("/events", 5).await;
    for text in ["a", "b"] {
        shop.upstream.send.send(Message::text(text)).unwrap();
    }
    assert_eq!(data(&mut client).await, "a");
    wish(&mut client).await;
    let post = Request::post(PAY_PATH).header("host", "shop.example");
    let proof = shop.stand.payer.cheque(10).to_string();
    let post = post.body(Full::new(Bytes::from(proof))).unwrap();
    let added = shop.stand.proxy.answer(post, ORIGIN).await;
    assert_eq!(added.status(), StatusCode::NO_CONTENT);
    assert_eq!(data(&mut client).await, "b");
}

#[tokio::test]
async fn sells_bytes_of_messages_as_they_are() {
    let mut shop = Shop::new(patient()).await;
    let (mut client, _) = shop.open("/metered", 100).await;
    let binary = Message::binary(vec![7; 3 << 10]);
    client.send(binary.clone()).await.unwrap();
    assert_eq!(shop.read().await, binary);
    shop.upstream.send.send(binary.clone()).unwrap();
    assert_eq!(next(&mut client).await, binary);
    let closing = CloseFrame {
        code: CloseCode::Library(4_007),
        reason: "done".into(),
    };
    client.close(Some(closing.clone())).await.unwrap();
    assert_eq!(shop.read().await, Message::Close(Some(closing)));
    assert_eq!(shop.charged().await, 6);
}

#[tokio::test]
async fn sells_a_websocket_at_one_price_and_gives_free_ones() {
    for (path, charged) in [("/answer", PRICE), ("/free", 0)] {
        let mut shop = Shop::new(patient()).await;
        let (mut client, handshake) = shop.open(path, PRICE).await;
        if charged > 0 {
            assert_eq!(handshake.headers()[CHARGED], "10");
        }
        // Frames of the gateway mean nothing here.
        let text = Message::text(SocketFrame::PaymentCloseRequest.encode());
        client.send(text.clone()).await.unwrap();
        assert_eq!(shop.read().await, text);
        shop.upstream.send.send(text.clone()).unwrap();
        assert_eq!(next(&mut client).await, text);
        client.close(None).await.unwrap();
        shop.end().await;
        assert_eq!(shop.charged().await, charged);
    }
}

#[tokio::test]
async fn releases_the_payment_of_a_refused_handshake() {
    let refusing = Router::new().fallback(|| async { (StatusCode::NOT_FOUND, "no socket") });
    let stand = Stand::before(refusing).await;
    let address = serve(stand.proxy.clone()).await;
    let (upstream, _) = upstream().await;
    let shop = Shop {
        stand,
        address,
        upstream,
    };
    let proof = shop.stand.payer.opening(10).to_string();
    for _ in 0..3 {
        let paying = [("cheque", proof.clone())];
        assert_eq!(
            shop.refused("/events", &paying).await,
            StatusCode::NOT_FOUND
        );
        assert_eq!(shop.stand.balance().await, 10);
    }
}

#[tokio::test]
async fn closes_all_websockets_when_the_host_stops() {
    let shop = Shop::new(patient()).await;
    let (mut metered, _) = shop.open("/events", 100).await;
    let mut unpaid = shop.page("/events").await;
    shop.stand.proxy.drain();
    assert_eq!(receipt(&mut metered).await.charged, "0");
    assert_eq!(closed(&mut metered).await, CloseCode::Away);
    assert_eq!(error(&mut unpaid).await, 402);
    assert_eq!(closed(&mut unpaid).await, CloseCode::Policy);
    // At one price, and free.
    for path in ["/answer", "/free"] {
        let shop = Shop::new(patient()).await;
        let (mut client, _) = shop.open(path, PRICE).await;
        shop.stand.proxy.drain();
        assert_eq!(closed(&mut client).await, CloseCode::Away);
        let settled = shop.stand.proxy.settled();
        timeout(SOON, settled).await.expect("a task is left");
    }
}

#[tokio::test]
async fn closes_a_silent_websocket() {
    let limits = ProxyLimits {
        silence: Duration::from_millis(200),
        ..patient()
    };
    for path in ["/events", "/answer"] {
        let mut shop = Shop::new(limits).await;
        let (mut client, _) = shop.open(path, 100).await;
        if path == "/events" {
            assert_eq!(receipt(&mut client).await.charged, "0");
        }
        assert_eq!(closed(&mut client).await, CloseCode::Away);
        shop.end().await;
    }
}
