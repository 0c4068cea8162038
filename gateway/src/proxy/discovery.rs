//! The documents that clients read before a request. They are free.

use super::{
    body::{ProxyBody, ReadBody, full, read},
    prefix::bounded_network,
    reply::{busy, no_capacity, problem},
    selling::failure,
    shared::Shared,
};
use crate::{
    discovery::PAY_PATH,
    forward::{ForwardError, Origin},
    offers::Work,
    seller::Seller,
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    header::{
        ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH,
        CONTENT_TYPE, ETAG, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
        IF_UNMODIFIED_SINCE, LAST_MODIFIED, RANGE,
    },
    request::Parts,
};
use http_body_util::{BodyExt, Full};
use std::time::Duration;
use tokio::time::timeout;

/// The longest OpenAPI document to which prices are added, in bytes. A longer one passes as it is.
const MAX_DOCUMENT: usize = 2 << 20;

/// The time to read such a document.
const READ: Duration = Duration::from_secs(20);

/// Request headers that ask for less than the whole document as text.
const PARTIAL: [HeaderName; 7] = [
    ACCEPT_ENCODING,
    IF_MATCH,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    IF_RANGE,
    IF_UNMODIFIED_SINCE,
    RANGE,
];

/// Answer headers that are about the bytes before the change.
const OF_BYTES: [HeaderName; 7] = [
    ACCEPT_RANGES,
    CONTENT_LENGTH,
    ETAG,
    LAST_MODIFIED,
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
];

/// Answers with the gateway's own document.
pub(super) fn cheque_json(
    seller: &Seller,
    origin: &Origin,
    authority: &str,
) -> Response<ProxyBody> {
    let scheme = if origin.is_secure { "https" } else { "http" };
    let document = seller.well_known(format!("{scheme}://{authority}{PAY_PATH}"));
    // Plain data always has a JSON form.
    let body = serde_json::to_vec(&document).unwrap_or_default();
    let mut response = Response::new(full(Bytes::from(body)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // The URL in it is that of the request's host, and the least payout moves.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Answers with the upstream's OpenAPI document, and adds the prices if it can be read.
pub(super) async fn openapi(
    shared: &Shared,
    mut head: Parts,
    origin: &Origin,
) -> Response<ProxyBody> {
    head.method = Method::GET;
    for name in &PARTIAL {
        head.headers.remove(name);
    }
    head.headers.remove(CONTENT_LENGTH);
    let request = Request::from_parts(head, Full::<Bytes>::default());
    // The document is free, and takes a place like everything that is forwarded.
    let capacity = &shared.settings.capacity;
    let _ticket = match capacity.enter_free(origin.address, &Work::ONE) {
        Ok(ticket) => ticket,
        Err(refusal) => return no_capacity(&refusal),
    };
    let Ok(_place) = timeout(READ, shared.documents.acquire()).await else {
        return busy();
    };
    let answer = match shared.upstream.send(request, origin, None).await {
        Ok(answer) => answer.response,
        Err(error) => return failure(&error),
    };
    let (mut head, body) = answer.into_parts();
    if head.status != StatusCode::OK || !is_json(&head.headers) {
        return Response::from_parts(head, body.boxed_unsync());
    }
    let reading = async {
        let read = read(body, MAX_DOCUMENT).await?;
        Ok::<_, ForwardError>(match read {
            ReadBody::Whole(bytes) => match shared.seller.annotate(&bytes) {
                Some(priced) => {
                    for name in &OF_BYTES {
                        head.headers.remove(name);
                    }
                    held(shared, origin, Bytes::from(priced))
                }
                None => held(shared, origin, bytes),
            },
            ReadBody::Longer(rest) => Some(rest.boxed_unsync()),
        })
    };
    match timeout(READ, reading).await {
        Ok(Ok(Some(body))) => Response::from_parts(head, body),
        Ok(Ok(None)) => busy(),
        Ok(Err(error)) => failure(&error),
        Err(_) => problem(
            StatusCode::GATEWAY_TIMEOUT,
            "upstream_timeout",
            "the upstream did not send its document in time; ask again",
        ),
    }
}

/// A document as a body, which counts as its reader's memory. `None`: that is used up.
fn held(shared: &Shared, origin: &Origin, bytes: Bytes) -> Option<ProxyBody> {
    let mut share = shared.budget.share(bounded_network(origin.address));
    let has_room = share.grow(bytes.len());
    has_room.then(|| full(share.hold(bytes)))
}

/// True for an answer in JSON that is not compressed.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).map(str::trim);
    let is_json = kind.is_some_and(|kind| {
        let kind = kind.to_ascii_lowercase();
        kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
    });
    is_json && !headers.contains_key(CONTENT_ENCODING)
}
