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

/// The number of open streams of a service.
const MAX_STREAMS: usize = 64;

/// The open streams of a service, up to a bound.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    open: Arc<AtomicUsize>,
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
    /// `stop` ends all streams.
    pub(crate) fn new(stop: CancellationToken) -> Self {
        Self {
            open: Arc::default(),
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
            HttpError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too_many_streams",
                format!("{MAX_STREAMS} streams of events are open; close one"),
            )
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
        (before < MAX_STREAMS).then_some(open)
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

    #[tokio::test]
    async fn bounds_the_number_of_open_streams() {
        let streams = Streams::new(CancellationToken::new());
        let (changes, _) = tokio::sync::broadcast::channel::<u8>(1);
        let open = || streams.deposits(changes.subscribe(), |change| json!(change));
        let mut opened: Vec<_> = (0..MAX_STREAMS).map(|_| open().ok()).collect();
        assert!(opened.iter().all(Option::is_some));
        assert!(open().is_err());
        opened.pop();
        assert!(open().is_ok());
    }
}
