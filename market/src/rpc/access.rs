//! Access to the operator's server: a layer around the library's rule for tokens, web pages and hosts.

use cheque::service::access::Gate;
use jsonrpsee::server::{HttpBody, HttpRequest, HttpResponse, http::response::internal_error};
use std::{
    pin::Pin,
    task::{Context, Poll},
};

/// Answers requests that the gate denies, and passes the others on.
#[derive(Clone, Debug)]
pub(super) struct Guarded<S> {
    pub(super) inner: S,
    pub(super) gate: Gate,
}

impl<S> tower::Service<HttpRequest> for Guarded<S>
where
    S: tower::Service<HttpRequest, Response = HttpResponse>,
    S::Future: Send + 'static,
{
    type Response = HttpResponse;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: HttpRequest) -> Self::Future {
        let Err(denial) = self.gate.check(request.headers()) else {
            return Box::pin(self.inner.call(request));
        };
        let response = HttpResponse::builder()
            .status(denial.status())
            .body(HttpBody::from(denial.to_string()));
        Box::pin(async move { Ok(response.unwrap_or_else(|_| internal_error())) })
    }
}
