//! Whole answers as bytes, for a client that lost one: the ledger keeps them for some minutes.
//!
//! A JSON object with status and headers, a line feed, and the body.

use super::{
    body::{ProxyBody, full},
    budget::Share,
    reply::{busy, problem},
    shared::Shared,
};
use crate::{ledger::Receipt, wire::Protocol};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    status: u16,
    /// Names and the bytes of their values.
    headers: Vec<(String, Vec<u8>)>,
}

/// Encodes an answer.
pub(super) fn encode(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Vec<u8> {
    let fields = headers.iter();
    let fields = fields.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    let head = Head {
        status: status.as_u16(),
        headers: fields.collect(),
    };
    // Plain data always has a JSON form.
    let mut bytes = serde_json::to_vec(&head).unwrap_or_default();
    bytes.push(b'\n');
    bytes.extend_from_slice(body);
    bytes
}

/// The reason why a stored answer is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// There is no memory for it now.
    Busy,
    /// The bytes are no answer.
    Unreadable,
}

/// Sends a stored answer, with its receipt.
pub(super) fn again(
    shared: &Shared,
    answer: &[u8],
    (receipt, protocol): (&Receipt, &Protocol),
    share: Share,
) -> Response<ProxyBody> {
    match decode(answer, share) {
        Ok(mut answer) => {
            let (status, now) = (answer.status(), (shared.settings.now)());
            let (seller, headers) = (&shared.seller, answer.headers_mut());
            seller.receipt(headers, receipt, protocol, status, now);
            answer
        }
        Err(lost) => lost.reply(),
    }
}

impl Lost {
    /// Answers in place of the stored answer.
    pub(super) fn reply(self) -> Response<ProxyBody> {
        match self {
            Self::Busy => busy(),
            Self::Unreadable => problem(
                StatusCode::INTERNAL_SERVER_ERROR,
                "stored_answer",
                "the stored answer cannot be read; it was paid for, and is lost",
            ),
        }
    }
}

/// Decodes an answer. Its bytes are of the share.
pub(super) fn decode(bytes: &[u8], mut share: Share) -> Result<Response<ProxyBody>, Lost> {
    match share.grow(bytes.len()) {
        true => read(bytes, share).ok_or(Lost::Unreadable),
        false => Err(Lost::Busy),
    }
}

fn read(bytes: &[u8], share: Share) -> Option<Response<ProxyBody>> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (head, body) = bytes.split_at(end);
    let head: Head = serde_json::from_slice(head).ok()?;
    let body = share.hold(body.get(1..)?.to_vec());
    let mut response = Response::new(full(body));
    *response.status_mut() = StatusCode::from_u16(head.status).ok()?;
    for (name, value) in &head.headers {
        let name: HeaderName = name.parse().ok()?;
        response
            .headers_mut()
            .append(name, HeaderValue::from_bytes(value).ok()?);
    }
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::{super::budget::Budget, *};
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn keeps_status_headers_and_any_bytes() {
        let mut headers = HeaderMap::new();
        headers.append("set-cookie", HeaderValue::from_static("a=1"));
        headers.append("set-cookie", HeaderValue::from_bytes(b"b=\xfc").unwrap());
        let body = b"\n{\"x\":1}\n\xff";
        let bytes = encode(StatusCode::CREATED, &headers, body);
        let answer = decode(&bytes, Budget::new(1 << 20, 0).share(None)).unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
        assert_eq!(answer.headers(), &headers);
        let read = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(read, body[..]);
    }

    #[test]
    fn refuses_other_bytes() {
        for bytes in [
            &b""[..],
            b"{}",
            b"{}\n",
            b"{\"status\":20,\"headers\":[]}\n",
        ] {
            let lost = decode(bytes, Budget::new(1 << 20, 0).share(None)).unwrap_err();
            assert_eq!(lost, Lost::Unreadable, "{bytes:?}");
        }
        let busy = decode(b"{}", Budget::new(0, 0).share(None)).unwrap_err();
        assert_eq!(busy, Lost::Busy);
    }
}
