//! Clients that do not pay, do not read, or leave; and sellers that want too much.

use super::*;

#[tokio::test]
async fn ends_a_stream_that_is_never_paid_and_charges_its_parts() {
    let (upstream, parts) = streaming_as(SSE);
    let stand = Stand::limited(upstream, hasty()).await;
    let mut body = begin(&stand, "/events", 7).await;
    send(&parts, "data: 1\n\ndata: 2\n\n");
    assert_eq!(next(&mut body).await, "data: 1\n\n");
    assert_eq!(wish(&next(&mut body).await).required_cumulative, "10");
    let receipt: MppReceipt = event("payment-receipt", &next(&mut body).await);
    assert_eq!((&*receipt.charged, &*receipt.balance), ("5", "2"));
    let (left, trailers) = rest(body).await.unwrap();
    assert!(left.is_empty());
    assert_eq!(trailers.unwrap()[BALANCE], "2");
    // The upstream is not kept busy.
    timeout(SOON, parts.closed()).await.expect("still open");
    assert_eq!(settled(&stand).await, Amount::new(5));
}

#[tokio::test]
async fn breaks_off_bytes_that_are_not_paid() {
    let (upstream, parts) = streaming_as(BYTES);
    let stand = Stand::limited(upstream, hasty()).await;
    let mut body = begin(&stand, "/metered", 3).await;
    parts.send(vec![7; 10 << 10]).unwrap();
    let paid = next(&mut body).await;
    assert_eq!(paid.len(), 3 << 10);
    // A part must not pass for the whole.
    let error = rest(body).await.unwrap_err();
    assert!(matches!(error, crate::forward::ForwardError::Unpaid));
    assert_eq!(settled(&stand).await, Amount::new(3));
}

#[tokio::test]
async fn takes_no_money_of_another_account_for_a_stream() {
    let (upstream, parts) = streaming_as(SSE);
    let stand = Stand::limited(upstream, hasty()).await;
    let other = Payer::native(2);
    let mut body = begin(&stand, "/events", 5).await;
    send(&parts, "data: 1\n\ndata: 2\n\n");
    assert_eq!(next(&mut body).await, "data: 1\n\n");
    wish(&next(&mut body).await);
    top_up(&stand, &other.opening(500)).await;
    let receipt: MppReceipt = event("payment-receipt", &next(&mut body).await);
    assert_eq!(receipt.charged, "5");
    assert_eq!(stand.shop.balance(&other).await, 500);
}

#[tokio::test]
async fn charges_no_more_than_the_client_accepts_and_adds() {
    let (upstream, parts) = streaming_as(BYTES);
    let stand = Stand::limited(upstream, patient()).await;
    let mut asked = request("/metered", Some(&stand.payer.opening(900)));
    asked.headers_mut().insert(MAX, HeaderValue::from(3));
    let mut body = stand.proxy.answer(asked, ORIGIN).await.into_body();
    parts.send(vec![7; 20 << 10]).unwrap();
    read(&mut body, 3 << 10).await;
    assert_eq!(stand.balance().await, 897);
    // Other money of the account is safe: the limit rises by what is added.
    top_up(&stand, &stand.payer.cheque(905)).await;
    read(&mut body, 5 << 10).await;
    top_up(&stand, &stand.payer.cheque(1_000)).await;
    read(&mut body, 12 << 10).await;
    drop(parts);
    let (_, trailers) = rest(body).await.unwrap();
    assert_eq!(trailers.unwrap()[CHARGED], "20");
    assert_eq!(stand.balance().await, 980);
}

#[tokio::test]
async fn sells_no_begin_of_an_event_that_is_not_paid() {
    let (upstream, parts) = streaming_as(SSE);
    let stand = Stand::limited(upstream, hasty()).await;
    let mut body = begin(&stand, "/events", 5).await;
    // All but the last line feed of the second event comes, and the client could leave with its text.
    send(&parts, "data: 1\n\ndata: 2\n");
    assert_eq!(next(&mut body).await, "data: 1\n\n");
    send(&parts, "\n");
    assert_eq!(wish(&next(&mut body).await).required_cumulative, "10");
    let receipt: MppReceipt = event("payment-receipt", &next(&mut body).await);
    assert_eq!(receipt.charged, "5");
    let left = rest(body).await.unwrap().0;
    assert!(left.is_empty());
}

#[tokio::test]
async fn sells_an_event_in_parts_if_its_size_is_paid() {
    let (upstream, parts) = streaming_as(SSE);
    let stand = Stand::limited(upstream, hasty()).await;
    let mut body = begin(&stand, "/metered", 17).await;
    send(&parts, "data: 1");
    assert_eq!(next(&mut body).await, "data: 1");
    // The event is larger than what was paid. Nothing can be asked within it, and no part passes for the whole.
    parts.send(vec![b'x'; 64 << 10]).unwrap();
    let mut delivered = 7;
    let error = loop {
        match timeout(SOON, body.frame()).await.unwrap().unwrap() {
            Ok(frame) => delivered += frame.into_data().unwrap().len(),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, crate::forward::ForwardError::Unpaid));
    assert!(delivered <= 17 << 10, "{delivered}");
    let charged = settled(&stand).await.get();
    assert_eq!(charged, delivered.div_ceil(1 << 10) as u128);
}

#[tokio::test]
async fn asks_before_an_event_of_unknown_size() {
    let (upstream, parts) = streaming_as(SSE);
    let stand = Stand::limited(upstream, hasty()).await;
    let mut body = begin(&stand, "/metered", 1).await;
    send(&parts, "data: ");
    parts.send(vec![b'x'; 17 << 10]).unwrap();
    let required = wish(&next(&mut body).await).required_cumulative;
    let required: u128 = required.parse().unwrap();
    assert!((16..=18).contains(&required), "{required}");
    let receipt: MppReceipt = event("payment-receipt", &next(&mut body).await);
    assert_eq!(receipt.charged, "0");
}

#[tokio::test]
async fn sells_the_last_event_without_its_end() {
    let (upstream, parts) = streaming_as(SSE);
    let stand = Stand::limited(upstream, hasty()).await;
    let mut body = begin(&stand, "/metered", 2).await;
    send(&parts, "data: 1");
    drop(parts);
    assert_eq!(next(&mut body).await, "data: 1");
    let (left, trailers) = rest(body).await.unwrap();
    assert!(left.is_empty());
    assert_eq!(trailers.unwrap()[CHARGED], "1");
}

#[tokio::test]
async fn reads_nothing_of_the_upstream_while_unpaid() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stuck, mut is_stuck) = mpsc::channel(1);
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 100000000000\r\n\r\n";
        socket.write_all(head).await.unwrap();
        let part = vec![7; 64 << 10];
        while timeout(Duration::from_secs(1), socket.write_all(&part))
            .await
            .is_ok()
        {}
        stuck.send(()).await.unwrap();
        std::future::pending::<()>().await;
    });
    let stand = Stand::new(OFFERS, &format!("http://{address}"), LIMITS, patient());
    let mut body = begin(&stand, "/metered", 4).await;
    read(&mut body, 4 << 10).await;
    timeout(SOON, is_stuck.recv())
        .await
        .expect("the upstream is read")
        .unwrap();
    assert_eq!(stand.balance().await, 0);
}

#[tokio::test]
async fn takes_no_more_from_a_client_that_has_gone() {
    let (upstream, parts) = streaming_as(BYTES);
    let stand = Stand::limited(upstream, patient()).await;
    let mut body = begin(&stand, "/metered", 1_500).await;
    parts.send(vec![7; 1_024]).unwrap();
    next(&mut body).await;
    drop(body);
    // The stream has no end. The piece that was reserved has one.
    while parts.send(vec![7; 1_024]).is_ok() {
        tokio::task::yield_now().await;
    }
    let charged = settled(&stand).await;
    assert!(charged <= Amount::new(64), "{charged}");
}

#[tokio::test]
async fn takes_one_piece_from_a_client_that_hangs_up_before_headers() {
    let (parts, queue) = mpsc::unbounded_channel::<Vec<u8>>();
    let queue = Arc::new(tokio::sync::Mutex::new(Some(queue)));
    let (told, mut asked) = mpsc::channel::<()>(1);
    let go = Arc::new(tokio::sync::Notify::new());
    let wait = go.clone();
    let answer = move || {
        let (told, wait, queue) = (told.clone(), wait.clone(), queue.clone());
        async move {
            told.send(()).await.unwrap();
            wait.notified().await;
            let queue = queue.lock().await.take().unwrap();
            let parts = futures_util::stream::unfold(queue, |mut queue| async move {
                Some((
                    Ok::<_, std::convert::Infallible>(queue.recv().await?),
                    queue,
                ))
            });
            axum::body::Body::from_stream(parts)
        }
    };
    let stand = Stand::limited(Router::new().fallback(any(answer)), patient()).await;
    let proof = stand.payer.opening(1_500);
    tokio::select! {
        _ = stand.ask("/metered", Some(&proof)) => panic!("answered too early"),
        _ = asked.recv() => {}
    }
    go.notify_one();
    while parts.send(vec![7; 1_024]).is_ok() {
        tokio::task::yield_now().await;
    }
    let charged = settled(&stand).await;
    assert!(charged <= Amount::new(64), "{charged}");
}

#[tokio::test]
async fn takes_one_piece_from_a_client_that_does_not_read() {
    let (upstream, parts) = streaming_as(BYTES);
    let limits = ProxyLimits {
        unread: Duration::from_millis(200),
        ..patient()
    };
    let stand = Stand::limited(upstream, limits).await;
    let unread = begin(&stand, "/metered", 1_500).await;
    while parts.send(vec![7; 1_024]).is_ok() {
        tokio::task::yield_now().await;
    }
    let charged = settled(&stand).await;
    assert!(charged <= Amount::new(64), "{charged}");
    drop(unread);
}

#[tokio::test]
async fn stops_a_silent_stream_whose_time_is_not_paid() {
    let (upstream, parts) = streaming_as(SSE);
    let stand = Stand::limited(upstream, hasty()).await;
    // A second ahead has to be paid.
    let little = stand.ask("/timed", Some(&stand.payer.opening(9))).await;
    assert_eq!(little.status(), StatusCode::PAYMENT_REQUIRED);
    let answer = stand.ask("/timed", Some(&stand.payer.cheque(15))).await;
    let mut body = answer.into_body();
    assert_eq!(wish(&next(&mut body).await).accepted_cumulative, "15");
    let receipt: MppReceipt = event("payment-receipt", &next(&mut body).await);
    let charged: u128 = receipt.charged.parse().unwrap();
    assert!((1..=15).contains(&charged), "{charged}");
    timeout(SOON, parts.closed()).await.expect("still open");
}
