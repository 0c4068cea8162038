//! Batches of requests, in parts as small as the node demands.

use crate::http_client::words_of;
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

/// The number of single requests that get the refusal of a batch before it counts as a failure of the node. More than one,
/// because a node may have a reason of its own to refuse a request.
const MAX_SAME: usize = 3;

/// The answer to a part of a batch.
struct Part {
    answered: Vec<Response>,
    unanswered: Vec<SerializedRequest>,
    /// The refusal of the whole part.
    refusal: Option<Refusal>,
}

/// A node's refusal of a whole batch.
struct Refusal {
    error: TransportError,
    code: i64,
    /// `None` for a web page, which may name every request in another way.
    words: Option<String>,
}

impl Refusal {
    fn new(error: TransportError) -> Option<Self> {
        let (code, words) = match &error {
            RpcError::ErrorResp(said) => (said.code, Some(said.message.to_string())),
            RpcError::Transport(kind) => {
                let http = kind.as_http_error()?;
                let is_page = http.body.trim_start().starts_with('<');
                (http.status.into(), (!is_page).then(|| words_of(&http.body)))
            }
            _ => return None,
        };
        Some(Self { error, code, words })
    }

    /// True if the node gives the same refusal to a single request.
    fn is_answer(&self, answer: &Response) -> bool {
        answer.payload.as_error().is_some_and(|said| {
            let same_words = |words: &String| *words == said.message;
            self.code == said.code && self.words.as_ref().is_none_or(same_words)
        })
    }
}

/// Asks a batch of requests through `ask`. Where the node refuses it, or answers only some of the requests, asks the rest in
/// ever smaller parts, in the end one by one. Learns the size only from an answer that followed a refusal.
///
/// An error says that the node failed: that it gave single requests the refusal of the batch, among others. A request that
/// the node refuses even alone has that refusal as its answer.
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
    let mut refusal: Option<Refusal> = None;
    // True if the node has answered some request, so that a refusal is about the batch.
    let mut is_alive = false;
    // True if a single request got the refusal of a batch with it, which then tells nothing about the size.
    let mut is_of_request = false;
    let mut fits = None;
    let mut same = 0;
    while !left.is_empty() {
        let is_probe = refusal.is_some() && !is_alive;
        let asked = if is_probe { 1 } else { limit.min(left.len()) };
        if is_probe {
            // Moves the last request to the front: a batch often begins with several of a kind.
            let last = left.len() - 1;
            left.swap(0, last);
        }
        // After a refusal, a single part shows whether the size is right.
        let parts = if is_trial { 1 } else { AT_ONCE };
        let rest = left.split_off(asked.saturating_mul(parts).min(left.len()));
        let round = ask_round(left, asked, &ask).await?;
        let is_complete = round.unanswered.is_empty();
        left = round.unanswered;
        left.extend(rest);
        let alike = |answer: &Response| {
            let refusal = refusal.as_ref();
            refusal.is_some_and(|refusal| refusal.is_answer(answer))
        };
        let is_same = is_trial && asked == 1 && round.answered.iter().all(alike);
        is_of_request |= asked == 1 && round.answered.iter().any(alike);
        is_alive |= !is_same && !round.answered.is_empty();
        answers.extend(round.answered);
        if is_same {
            same += 1;
            if same == MAX_SAME
                && !left.is_empty()
                && let Some(refusal) = refusal.take()
            {
                return Err(refusal.error);
            }
        } else if !is_complete {
            limit = (asked / 2).max(1);
            is_trial = true;
            refusal = round.refusal;
            same = 0;
        } else if is_trial && (!is_probe || limit == 1) {
            fits = Some(limit);
            is_trial = false;
        }
    }
    if let Some(limit) = fits.filter(|_| !is_of_request) {
        size.learn(limit, Instant::now());
    }
    Ok(ResponsePacket::Batch(answers))
}

/// Asks requests in parts of a size, several parts at once.
async fn ask_round<A>(
    requests: Vec<SerializedRequest>,
    size: usize,
    ask: &impl Fn(RequestPacket) -> A,
) -> Result<Part, TransportError>
where
    A: Future<Output = Result<ResponsePacket, TransportError>>,
{
    let parts: Vec<_> = requests.chunks(size).map(<[_]>::to_vec).collect();
    let parts = stream::iter(parts.into_iter().map(|part| ask_part(part, ask)));
    let parts: Vec<_> = parts.buffered(AT_ONCE).collect().await;
    let mut round = Part {
        answered: Vec::with_capacity(requests.len()),
        unanswered: Vec::new(),
        refusal: None,
    };
    for part in parts {
        let part = part?;
        round.answered.extend(part.answered);
        round.unanswered.extend(part.unanswered);
        round.refusal = round.refusal.or(part.refusal);
    }
    Ok(round)
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
                refusal: None,
            }),
            ResponsePacket::Batch(_) => Err(TransportErrorKind::missing_batch_response(
                single.id().clone(),
            )),
        };
    }
    let (answered, refusal) = match ask(RequestPacket::Batch(requests.clone())).await {
        Ok(ResponsePacket::Batch(answers)) => (answers, None),
        // One object in place of a list.
        Ok(ResponsePacket::Single(answer)) => {
            let refusal = answer.payload.as_error().cloned().map(RpcError::ErrorResp);
            (Vec::new(), refusal.and_then(Refusal::new))
        }
        Err(error) if may_be_of_batch(&error) => (Vec::new(), Refusal::new(error)),
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
        refusal,
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
mod tests;
