//! Answers of the gateway's own.

use super::body::{ProxyBody, Unread, full};
use crate::{
    capacity::Refusal,
    wire::{Problem, Reply},
};
use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
};

/// Makes the answer of a reply.
pub(super) fn response(reply: Reply) -> Response<ProxyBody> {
    let mut response = Response::new(full(Bytes::from(reply.body)));
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    response
}

/// Answers a request that was not sold.
pub(super) fn problem(status: StatusCode, code: &str, detail: &str) -> Response<ProxyBody> {
    let problem = Problem {
        kind: "about:blank".to_owned(),
        status: status.as_u16(),
        detail: detail.to_owned(),
        code: code.to_owned(),
        balance: None,
    };
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let mut response = Response::new(full(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Answers a request for which there is no capacity.
pub(super) fn no_capacity(refusal: &Refusal) -> Response<ProxyBody> {
    let detail = refusal.to_string();
    match refusal.retry_seconds() {
        None => problem(StatusCode::PAYLOAD_TOO_LARGE, "too_costly", &detail),
        Some(seconds) => {
            let mut answer = problem(StatusCode::TOO_MANY_REQUESTS, "full", &detail);
            answer.headers_mut().insert(RETRY_AFTER, seconds.into());
            answer
        }
    }
}

/// Answers a request whose body was not read.
pub(super) fn unread(reason: Unread) -> Response<ProxyBody> {
    let (status, code, detail) = match reason {
        Unread::TooLarge => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "the body is too large; send less",
        ),
        Unread::Slow => (
            StatusCode::REQUEST_TIMEOUT,
            "slow_body",
            "the body did not arrive in time; send it again",
        ),
        Unread::Broken => (
            StatusCode::BAD_REQUEST,
            "broken_body",
            "the body broke off; send it again",
        ),
        Unread::Full => return busy(),
    };
    problem(status, code, detail)
}

/// Answers a request for whose bytes there is no memory.
pub(super) fn busy() -> Response<ProxyBody> {
    let detail = "too many bodies are on their way; send the same request again";
    let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, "busy", detail);
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from_static("2"));
    response
}
