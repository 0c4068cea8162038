//! Nodes that refuse batches, and nodes that refuse everything.

use super::*;
use alloy::rpc::json_rpc::{Request, ResponsePayload};
use std::borrow::Cow;

fn requests(count: u64) -> Vec<SerializedRequest> {
    let request = |id| Request::new("eth_call", Id::Number(id), ()).serialize();
    (0..count).map(|id| request(id).unwrap()).collect()
}

fn answer(id: &Id) -> Response {
    Response {
        id: id.clone(),
        payload: ResponsePayload::Success(serde_json::value::to_raw_value(&id).unwrap()),
    }
}

fn refusal(id: Id, message: &'static str) -> Response {
    let error = ErrorPayload {
        code: -32_000,
        message: Cow::Borrowed(message),
        data: None,
    };
    Response {
        id,
        payload: ResponsePayload::Failure(error),
    }
}

/// How a node refuses a batch.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    Status,
    Object,
    First,
    Rest,
    Page,
}

/// A node that answers batches of `most` requests, and its count of packets.
struct Node {
    most: usize,
    refusal: Refusal,
    packets: Mutex<usize>,
}

impl Node {
    fn new(most: usize, refusal: Refusal) -> Self {
        let packets = Mutex::default();
        Self {
            most,
            refusal,
            packets,
        }
    }

    fn packets(&self) -> usize {
        std::mem::take(&mut self.packets.lock().unwrap())
    }

    async fn ask(&self, packet: RequestPacket) -> Result<ResponsePacket, TransportError> {
        *self.packets.lock().unwrap() += 1;
        let RequestPacket::Batch(batch) = &packet else {
            return Ok(ResponsePacket::Single(answer(packet.requests()[0].id())));
        };
        let ids: Vec<_> = batch.iter().map(|request| request.id().clone()).collect();
        if ids.len() <= self.most {
            return Ok(ResponsePacket::Batch(ids.iter().map(answer).collect()));
        }
        match self.refusal {
            Refusal::Status => Err(TransportErrorKind::http_error(500, String::new())),
            Refusal::Object => Ok(ResponsePacket::Single(refusal(Id::None, "at most 3"))),
            Refusal::First => {
                let first = refusal(ids[0].clone(), "batch too large");
                Ok(ResponsePacket::Batch(vec![first]))
            }
            Refusal::Rest => {
                let answers = ids.iter().enumerate().map(|(place, id)| {
                    let is_answered = place < self.most;
                    let refused = || refusal(id.clone(), "response too large");
                    if is_answered { answer(id) } else { refused() }
                });
                Ok(ResponsePacket::Batch(answers.collect()))
            }
            Refusal::Page => {
                let error = serde_json::from_str::<u8>("<html>").unwrap_err();
                Err(TransportError::deser_err(error, "<html>"))
            }
        }
    }
}

#[tokio::test]
async fn finds_the_size_that_a_node_answers() {
    for refusal in [
        Refusal::Status,
        Refusal::Object,
        Refusal::First,
        Refusal::Rest,
        Refusal::Page,
    ] {
        for most in [0, 1, 3, 10, 99, 100, 200] {
            let (node, size) = (Node::new(most, refusal), BatchSize::default());
            let asked = requests(100);
            let ask = |packet| node.ask(packet);
            let answered = ask_batch(&size, &asked, ask).await.unwrap();
            let mut ids: Vec<_> = answered.response_ids().cloned().collect();
            ids.sort();
            let expected: Vec<_> = asked.iter().map(|asked| asked.id().clone()).collect();
            assert_eq!(ids, expected, "{refusal:?} {most}");
            assert!(answered.is_success());
            let first = node.packets();
            ask_batch(&size, &asked, ask).await.unwrap();
            let learned = size.get(Instant::now());
            let again = node.packets();
            assert_eq!(again, 100_usize.div_ceil(learned), "{refusal:?} {most}");
            assert!(first <= again + 7, "{first} packets, then {again}");
        }
    }
}

#[tokio::test]
async fn forgets_the_size_after_an_hour() {
    let (size, now) = (BatchSize::default(), Instant::now());
    assert_eq!(size.get(now), usize::MAX);
    size.learn(3, now);
    assert_eq!(size.get(now + SIZE_LIFE - Duration::from_secs(1)), 3);
    assert_eq!(size.get(now + SIZE_LIFE), usize::MAX);
}

/// A node that gives everything the same answer, and its count of packets.
async fn ask_refusing(
    count: u64,
    answer: impl Fn(&RequestPacket) -> Result<ResponsePacket, TransportError>,
) -> (Result<ResponsePacket, TransportError>, usize, BatchSize) {
    let (size, packets) = (BatchSize::default(), Mutex::new(0));
    let ask = |packet| {
        *packets.lock().unwrap() += 1;
        std::future::ready(answer(&packet))
    };
    let answered = ask_batch(&size, &requests(count), ask).await;
    let asked = *packets.lock().unwrap();
    (answered, asked, size)
}

/// The refusal of a packet, with the id of a single request.
fn refused(
    packet: &RequestPacket,
    message: &'static str,
) -> Result<ResponsePacket, TransportError> {
    let id = packet
        .as_single()
        .map_or(Id::None, |single| single.id().clone());
    Ok(ResponsePacket::Single(refusal(id, message)))
}

#[tokio::test]
async fn learns_nothing_from_a_node_that_fails() {
    for error in [
        || TransportErrorKind::http_error(500, "down".to_owned()),
        || TransportErrorKind::http_error(401, "no key".to_owned()),
        || TransportErrorKind::custom_str("cut"),
    ] {
        let (failed, packets, size) = ask_refusing(100, |_| Err(error())).await;
        assert_eq!(failed.unwrap_err().to_string(), error().to_string());
        assert!(packets <= 2, "{packets} packets");
        assert_eq!(size.learned(Instant::now()), None);
    }
}

/// A closed account, for example: the node gives each request the refusal that it gave the batch.
#[tokio::test]
async fn takes_the_same_refusal_of_singles_for_a_failure() {
    let said = |packet: &RequestPacket| refused(packet, "the app is disabled");
    let (failed, packets, size) = ask_refusing(100, said).await;
    let failed = failed.unwrap_err();
    let payload = failed.as_error_resp().unwrap();
    assert_eq!(payload.message, "the app is disabled");
    assert_eq!(packets, 1 + MAX_SAME);
    assert_eq!(size.learned(Instant::now()), None);
}

/// The page names each request in another way. The node's pause is kept.
#[tokio::test]
async fn takes_the_same_status_with_pages_for_a_failure() {
    let pause = Some(Duration::from_secs(30));
    let number = Mutex::new(0);
    let said = |packet: &RequestPacket| {
        *number.lock().unwrap() += 1;
        let page = format!("<html>Ray {}", number.lock().unwrap());
        let Some(single) = packet.as_single() else {
            let error = TransportErrorKind::http_error_with_retry_after(403, page, pause);
            return Err(error);
        };
        let mut answer = refusal(single.id().clone(), "");
        answer.payload = ResponsePayload::Failure(ErrorPayload {
            code: 403,
            message: page.into(),
            data: None,
        });
        Ok(ResponsePacket::Single(answer))
    };
    let (failed, packets, size) = ask_refusing(100, said).await;
    let failed = failed.unwrap_err();
    let kind = failed.as_transport_err().unwrap();
    assert_eq!(kind.retry_after(), pause);
    assert_eq!(kind.as_http_error().unwrap().status, 403);
    assert_eq!(packets, 1 + MAX_SAME);
    assert_eq!(size.learned(Instant::now()), None);
}

/// The requests of the batch that the node answers keep their answers.
#[tokio::test]
async fn asks_on_if_the_node_refuses_some_singles_alike() {
    let said = |packet: &RequestPacket| match packet.as_single() {
        Some(single) if *single.id() != Id::Number(99) => {
            Ok(ResponsePacket::Single(answer(single.id())))
        }
        _ => refused(packet, "not on this plan"),
    };
    let (answered, _, size) = ask_refusing(100, said).await;
    let answered = answered.unwrap();
    assert_eq!(answered.responses().len(), 100);
    assert_eq!(answered.iter_errors().count(), 1);
    // The refusal may be about that request, so that it tells nothing about the size.
    assert_eq!(size.learned(Instant::now()), None);
}

/// The node fails between the halves of a batch: a size of 1 is no fact about it.
#[tokio::test]
async fn learns_nothing_from_a_node_that_begins_to_fail() {
    let answers = Mutex::new(0);
    let said = |packet: &RequestPacket| {
        let first = packet.as_single().filter(|_| *answers.lock().unwrap() == 0);
        let Some(single) = first else {
            return refused(packet, "internal error");
        };
        *answers.lock().unwrap() += 1;
        Ok(ResponsePacket::Single(answer(single.id())))
    };
    let (failed, packets, size) = ask_refusing(100, said).await;
    assert!(failed.is_err());
    assert!(packets <= 12, "{packets} packets");
    assert_eq!(size.learned(Instant::now()), None);
}
