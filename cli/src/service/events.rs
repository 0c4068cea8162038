//! Streams of server-sent events.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    http::StatusCode,
    response::{
        Sse,
        sse::{Event, KeepAlive},
    },
};
use futures_util::{Stream, stream};
use serde_json::{Value, json};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::CancellationToken;

use super::error::HttpError;

/// The largest number of open streams of a service.
const MAX_STREAMS: usize = 64;

/// The pause before another try, in seconds, for a caller that gets no stream.
const RETRY_AFTER: u64 = 10;

/// The open streams of a service, up to a bound.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    open: Arc<AtomicUsize>,
    max: usize,
    stop: CancellationToken,
}

/// One open stream.
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Streams {
    /// `stop` ends all streams. A stream holds its connection for as long as the caller likes, so streams get a quarter of the
    /// `connections`, and [`MAX_STREAMS`] at most. The only connection of a service is not for streams.
    pub(super) fn new(connections: usize, stop: CancellationToken) -> Self {
        let max = (connections / 4).clamp(1, MAX_STREAMS);
        Self {
            open: Arc::default(),
            max: max.min(connections.saturating_sub(1)),
            stop,
        }
    }

    /// Streams changes of deposits from now on, in the JSON of `show`. A slow client gets the number of missed events.
    pub(crate) fn deposits<T: Clone + Send + 'static>(
        &self,
        changes: Receiver<T>,
        show: fn(&T) -> Value,
    ) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>> + use<T>>, HttpError> {
        let open = self.begin().ok_or_else(|| {
            let text = format!("{} streams of events are open; close one", self.max);
            HttpError::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_streams", text)
                .with_retry_after(RETRY_AFTER)
        })?;
        let stop = self.stop.clone();
        let stream = stream::unfold((changes, open), move |(mut changes, open)| {
            let stop = stop.clone();
            async move {
                let next = tokio::select! {
                    biased;
                    () = stop.cancelled() => None,
                    next = changes.recv() => event(next, show),
                }?;
                Some((Ok(next), (changes, open)))
            }
        });
        Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
    }

    fn begin(&self) -> Option<Open> {
        let open = Open(Arc::clone(&self.open));
        let before = self.open.fetch_add(1, Ordering::AcqRel);
        (before < self.max).then_some(open)
    }
}

fn event<T>(next: Result<T, RecvError>, show: fn(&T) -> Value) -> Option<Event> {
    match next {
        Ok(change) => Some(
            Event::default()
                .event("deposit")
                .data(show(&change).to_string()),
        ),
        Err(RecvError::Lagged(missed)) => {
            let missed = json!({ "missed": missed }).to_string();
            Some(Event::default().event("missed").data(missed))
        }
        Err(RecvError::Closed) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::response::IntoResponse;

    fn open(streams: &Streams) -> Result<impl Sized + use<>, HttpError> {
        let (changes, _) = tokio::sync::broadcast::channel::<u8>(1);
        streams.deposits(changes.subscribe(), |change| json!(change))
    }

    #[tokio::test]
    async fn leaves_most_connections_to_other_requests() {
        for (connections, max) in [
            (1, 0),
            (2, 1),
            (7, 1),
            (40, 10),
            (256, 64),
            (1_024, 64),
            (usize::MAX, 64),
        ] {
            let streams = Streams::new(connections, CancellationToken::new());
            let mut opened: Vec<_> = (0..max).map(|_| open(&streams).ok()).collect();
            assert!(opened.iter().all(Option::is_some), "{connections}");
            assert!(open(&streams).is_err(), "{connections}");
            if opened.pop().is_some() {
                assert!(open(&streams).is_ok(), "{connections}");
            }
        }
    }

    #[tokio::test]
    async fn tells_a_refused_caller_when_to_try_again() {
        let streams = Streams::new(1, CancellationToken::new());
        let refused = open(&streams).err().unwrap().into_response();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refused.headers()["retry-after"], "10");
    }
}
