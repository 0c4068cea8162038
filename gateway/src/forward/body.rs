//! Bodies on their way through the gateway: never collected, and never waited for without end.

use super::{error::ForwardError, headers::clean_answer, link::Given};
use bytes::Bytes;
use cheque::Amount;
use http_body::{Body, Frame, SizeHint};
use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep};

/// The state of an upload, for the one who waits for the answer.
#[derive(Clone, Debug)]
pub(super) struct Progress(Arc<Mutex<State>>);

#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    /// The moment of the last frame.
    pub(super) last: Instant,
    pub(super) is_complete: bool,
}

impl Progress {
    pub(super) fn new(is_complete: bool) -> Self {
        Self(Arc::new(Mutex::new(State {
            last: Instant::now(),
            is_complete,
        })))
    }

    pub(super) fn get(&self) -> State {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, is_complete: bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = State {
            last: Instant::now(),
            is_complete,
        };
    }
}

/// A timer that starts again with each frame.
#[derive(Debug)]
struct IdleTimer {
    limit: Duration,
    timer: Pin<Box<Sleep>>,
}

impl IdleTimer {
    fn new(limit: Duration) -> Self {
        Self {
            limit,
            timer: Box::pin(sleep(limit)),
        }
    }

    fn restart(&mut self) {
        self.timer.as_mut().reset(Instant::now() + self.limit);
    }

    fn poll_over(&mut self, context: &mut Context<'_>) -> bool {
        self.timer.as_mut().poll(context).is_ready()
    }
}

/// A client's body: at most so many bytes, and no pause longer than the limit.
#[derive(Debug)]
pub(super) struct Upload<B> {
    body: B,
    left: u64,
    idle: IdleTimer,
    progress: Progress,
}

impl<B> Upload<B> {
    pub(super) fn new(body: B, max_bytes: u64, idle: Duration, progress: Progress) -> Self {
        Self {
            body,
            left: max_bytes,
            idle: IdleTimer::new(idle),
            progress,
        }
    }
}

impl<B> Body for Upload<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = ForwardError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ForwardError>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) else {
            if this.idle.poll_over(context) {
                return Poll::Ready(Some(Err(ForwardError::UploadStalled)));
            }
            return Poll::Pending;
        };
        this.idle.restart();
        this.progress
            .set(frame.is_none() || this.body.is_end_stream());
        let Some(frame) = frame else {
            return Poll::Ready(None);
        };
        let frame = frame.map_err(|error| ForwardError::Upload(error.into()))?;
        if let Some(data) = frame.data_ref() {
            let bytes = u64::try_from(data.len()).unwrap_or(u64::MAX);
            let Some(left) = this.left.checked_sub(bytes) else {
                return Poll::Ready(Some(Err(ForwardError::UploadTooLarge)));
            };
            this.left = left;
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The upstream's body, frame by frame as it comes.
#[derive(Debug)]
pub struct AnswerBody {
    body: Given,
    idle: IdleTimer,
}

impl AnswerBody {
    pub(super) fn new(body: Given, idle: Duration) -> Self {
        Self {
            body,
            idle: IdleTimer::new(idle),
        }
    }

    /// Goes on after a pause of the reader: the pause was not the upstream's.
    pub(crate) fn resume(&mut self) {
        self.idle.restart();
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = ForwardError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ForwardError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            this.idle.restart();
            return Poll::Ready(frame.map(|frame| match frame {
                Ok(frame) => Ok(match frame.into_trailers() {
                    Ok(mut trailers) => {
                        clean_answer(&mut trailers, Amount::ZERO);
                        Frame::trailers(trailers)
                    }
                    Err(frame) => frame,
                }),
                Err(error) => Err(ForwardError::Broken(error)),
            }));
        }
        if this.idle.poll_over(context) {
            return Poll::Ready(Some(Err(ForwardError::TimedOut)));
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
