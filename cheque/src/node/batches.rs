//! Batches of requests, in parts as small as the node demands.

use alloy::{
    rpc::json_rpc::{
        ErrorPayload, Id, RequestPacket, Response, ResponsePacket, RpcError, SerializedRequest,
    },
    transports::{TransportError, TransportErrorKind},
};
use futures_util::{StreamExt, stream};
use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// The number of parts of a batch that a node is asked at once.
const AT_ONCE: usize = 8;

/// How long the size of a batch is remembered, so that a passing failure does not make all later batches small.
const SIZE_LIFE: Duration = Duration::from_secs(3_600);

/// The largest batch that a node answers, learned from its refusals.
#[derive(Debug, Default)]
pub(super) struct BatchSize(Mutex<Option<(Instant, usize)>>);

impl BatchSize {
    /// Returns the learned size, if the node has refused a batch in the last hour.
    pub(super) fn learned(&self, now: Instant) -> Option<usize> {
        let learned = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let young = learned.filter(|(at, _)| now.saturating_duration_since(*at) < SIZE_LIFE);
        young.map(|(_, size)| size)
    }

    fn get(&self, now: Instant) -> usize {
        self.learned(now).unwrap_or(usize::MAX)
    }

    fn learn(&self, size: usize, now: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, size));
    }
}

/// The answer to a part of a batch.
struct Part {
    answered: Vec<Response>,
    unanswered: Vec<SerializedRequest>,
}

/// Asks a batch of requests through `ask`. Where the node refuses it, or answers only some of the requests, asks the rest in
/// ever smaller parts, in the end one by one.
///
/// An error says that the node failed. A request that the node refuses even alone has that refusal as its answer.
pub(super) async fn ask_batch<A>(
    size: &BatchSize,
    requests: &[SerializedRequest],
    ask: impl Fn(RequestPacket) -> A,
) -> Result<ResponsePacket, TransportError>
where
    A: Future<Output = Result<ResponsePacket, TransportError>>,
{
    let mut left = requests.to_vec();
    let mut answers = Vec::with_capacity(left.len());
    let mut limit = size.get(Instant::now());
    let mut is_trial = false;
    while !left.is_empty() {
        let asked = limit.min(left.len());
        // After a refusal, a single part shows whether the size is right.
        let parts = if is_trial { 1 } else { AT_ONCE };
        let rest = left.split_off(asked.saturating_mul(parts).min(left.len()));
        let parts: Vec<_> = left.chunks(asked).map(<[_]>::to_vec).collect();
        let parts = stream::iter(parts.into_iter().map(|part| ask_part(part, &ask)));
        let parts: Vec<_> = parts.buffered(AT_ONCE).collect().await;
        left = Vec::new();
        for part in parts {
            let part = part?;
            answers.extend(part.answered);
            left.extend(part.unanswered);
        }
        let is_complete = left.is_empty();
        left.extend(rest);
        if !is_complete {
            limit = (asked / 2).max(1);
            is_trial = true;
        } else if is_trial {
            size.learn(limit, Instant::now());
            is_trial = false;
        }
    }
    Ok(ResponsePacket::Batch(answers))
}

async fn ask_part<A>(
    requests: Vec<SerializedRequest>,
    ask: &impl Fn(RequestPacket) -> A,
) -> Result<Part, TransportError>
where
    A: Future<Output = Result<ResponsePacket, TransportError>>,
{
    if let [single] = requests.as_slice() {
        let answer = ask(RequestPacket::Single(single.clone())).await?;
        return match answer {
            ResponsePacket::Single(answer) => Ok(Part {
                answered: vec![answer],
                unanswered: Vec::new(),
            }),
            ResponsePacket::Batch(_) => Err(TransportErrorKind::missing_batch_response(
                single.id().clone(),
            )),
        };
    }
    let answered = match ask(RequestPacket::Batch(requests.clone())).await {
        Ok(ResponsePacket::Batch(answers)) => answers,
        // One object in place of a list.
        Ok(ResponsePacket::Single(_)) => Vec::new(),
        Err(error) if may_be_of_batch(&error) => Vec::new(),
        Err(error) => return Err(error),
    };
    let wanted: HashSet<&Id> = requests.iter().map(SerializedRequest::id).collect();
    let mut seen = HashSet::new();
    let answered: Vec<_> = answered
        .into_iter()
        .filter(|answer| !answer.payload.as_error().is_some_and(blames_batch))
        .filter(|answer| wanted.contains(&answer.id) && seen.insert(answer.id.clone()))
        .collect();
    let unanswered = requests.iter().filter(|asked| !seen.contains(asked.id()));
    Ok(Part {
        unanswered: unanswered.cloned().collect(),
        answered,
    })
}

/// True if smaller batches may have no such error: an HTTP status that does not ask for credentials or patience, or an
/// answer that cannot be read.
fn may_be_of_batch(error: &TransportError) -> bool {
    match error {
        RpcError::Transport(kind) => kind.as_http_error().is_some_and(|http| {
            http.status >= 400 && !matches!(http.status, 401 | 407 | 429 | 503)
        }),
        RpcError::DeserError { .. } => true,
        RpcError::ErrorResp(refusal) => blames_batch(refusal),
        _ => false,
    }
}

/// True if the error of a request is about the batch around it. Geth says "batch too large" and "response too large".
pub(super) fn blames_batch(refusal: &ErrorPayload) -> bool {
    let said = refusal.message.to_ascii_lowercase();
    refusal.data.is_none() && (said.contains("batch") || said.contains("response too large"))
}

#[cfg(test)]
mod tests {
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

    #[tokio::test]
    async fn learns_nothing_from_a_node_that_fails() {
        for error in [
            || TransportErrorKind::http_error(500, "down".to_owned()),
            || TransportErrorKind::http_error(401, "no key".to_owned()),
            || TransportErrorKind::custom_str("cut"),
        ] {
            let size = BatchSize::default();
            let ask = |_| std::future::ready(Err(error()));
            let failed = ask_batch(&size, &requests(100), ask).await.unwrap_err();
            assert_eq!(failed.to_string(), error().to_string());
            assert_eq!(size.get(Instant::now()), usize::MAX);
        }
    }
}
