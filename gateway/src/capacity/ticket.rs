//! Tickets, and bodies that carry them.

use super::shell::{Capacity, Held};
use crate::offers::Work;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll},
};
use tokio::time::Instant;

/// The right to forward one request now. If it is dropped, the request counts with its announced maximum.
#[derive(Debug)]
#[must_use = "a ticket is to be given back at the end of the request"]
pub struct Ticket {
    capacity: Capacity,
    work: Work,
    began: Instant,
    /// The number of the limit, and the units; `None` without a limit.
    held: Option<(u64, Held)>,
}

impl Ticket {
    pub(super) fn new(capacity: Capacity, work: Work, held: Option<(u64, Held)>) -> Self {
        Self {
            capacity,
            work,
            began: Instant::now(),
            held,
        }
    }

    /// Ends the request, whose answer had so many bytes: gives back what it has not used. Failures and timeouts cost like
    /// answers, by their time.
    pub fn give_back(self, bytes: u64) {
        if let Some(held) = self.held {
            let elapsed = self.began.elapsed().as_millis();
            let milliseconds = u64::try_from(elapsed).unwrap_or(u64::MAX);
            let used = self.work.used(bytes, milliseconds);
            self.capacity.give_back(held, used);
        }
    }
}

/// A body that gives a ticket back at its end, or when it is dropped.
#[derive(Debug)]
pub struct Metered<B> {
    body: B,
    bytes: u64,
    ticket: Option<Ticket>,
}

impl<B> Metered<B> {
    /// Gives the body of an answer the ticket of its request.
    pub const fn new(body: B, ticket: Ticket) -> Self {
        Self {
            body,
            bytes: 0,
            ticket: Some(ticket),
        }
    }

    fn end(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            ticket.give_back(self.bytes);
        }
    }
}

impl<B> Drop for Metered<B> {
    fn drop(&mut self) {
        self.end();
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Metered<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                self.bytes = self.bytes.saturating_add(length as u64);
            }
            Poll::Ready(Some(Err(_)) | None) => self.end(),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
