//! Answers that deviate from JSON-RPC 2.0, read as the node meant them.

use crate::http_client::words_of;
use alloy::{
    rpc::json_rpc::{
        ErrorPayload, Id, RequestPacket, Response, ResponsePacket, ResponsePayload, RpcError,
    },
    transports::{TransportError, TransportErrorKind},
};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Reads the answer to `request`:
///
/// - an object with a result and `"error": null`, or the reverse;
/// - an error that is a text;
/// - a list with the answer to a single request;
/// - a number of a request as text;
/// - a refusal of a single request that only the HTTP status tells, such as 403 with a web page. The error has the status as
///   its code.
///
/// Statuses that say nothing about the request stay errors of the transport: 401, 404 and 429, for example.
pub(super) fn read_answer(
    request: &RequestPacket,
    answered: Result<ResponsePacket, TransportError>,
) -> Result<ResponsePacket, TransportError> {
    let answer = match answered {
        Err(RpcError::DeserError { err, text }) => {
            reread(&text).ok_or(RpcError::DeserError { err, text })?
        }
        Err(RpcError::Transport(kind)) => refusal(request, kind)?,
        answered => answered?,
    };
    Ok(with_ids_of(request, answer))
}

/// True if an HTTP status refuses a request, and says nothing about the next.
pub(crate) const fn refuses_request(status: u16) -> bool {
    matches!(status, 400 | 403 | 405 | 410 | 413 | 414 | 422 | 451 | 501)
}

/// Returns the refusal in an HTTP error.
fn refusal(
    request: &RequestPacket,
    kind: TransportErrorKind,
) -> Result<ResponsePacket, TransportError> {
    let Some(http) = kind.as_http_error() else {
        return Err(RpcError::Transport(kind));
    };
    if let Some(answer) = reread(&http.body)
        && answer.is_error()
    {
        return Ok(answer);
    }
    // A server may refuse a batch for its size, so a batch is no reason to conclude anything.
    let RequestPacket::Single(single) = request else {
        return Err(RpcError::Transport(kind));
    };
    if !refuses_request(http.status) {
        return Err(RpcError::Transport(kind));
    }
    Ok(ResponsePacket::Single(Response {
        id: single.id().clone(),
        payload: ResponsePayload::Failure(ErrorPayload {
            code: http.status.into(),
            message: Cow::Owned(words_of(&http.body)),
            data: None,
        }),
    }))
}

/// An answer whose fields may be null.
#[derive(Deserialize)]
struct Loose {
    #[serde(default)]
    id: Option<Id>,
    #[serde(default, deserialize_with = "present")]
    result: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "present")]
    error: Option<Box<RawValue>>,
}

/// One answer or several.
#[derive(Deserialize)]
#[serde(transparent)]
struct LooseList(Vec<Loose>);

/// Reads a field that is there, `null` included.
fn present<'de, D: Deserializer<'de>>(field: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::deserialize(field).map(Some)
}

fn reread(text: &str) -> Option<ResponsePacket> {
    if text.trim_start().starts_with('[') {
        let list: LooseList = serde_json::from_str(text).ok()?;
        let answers: Option<Vec<_>> = list.0.into_iter().map(strict).collect();
        return answers.map(ResponsePacket::Batch);
    }
    let single: Loose = serde_json::from_str(text).ok()?;
    strict(single).map(ResponsePacket::Single)
}

/// Returns `None` for an object that has neither a result nor an error.
fn strict(loose: Loose) -> Option<Response> {
    let is_null = |value: &RawValue| value.get() == "null";
    let error = loose.error.filter(|error| !is_null(error));
    let payload = match (loose.result, error) {
        (_, Some(error)) => ResponsePayload::Failure(error_of(&error)?),
        (Some(result), None) => ResponsePayload::Success(result),
        (None, None) => return None,
    };
    Some(Response {
        id: loose.id.unwrap_or(Id::None),
        payload,
    })
}

fn error_of(error: &RawValue) -> Option<ErrorPayload> {
    if let Ok(error) = serde_json::from_str(error.get()) {
        return Some(error);
    }
    let message: String = serde_json::from_str(error.get()).ok()?;
    Some(ErrorPayload {
        code: 0,
        message: Cow::Owned(message),
        data: None,
    })
}

/// Gives the answers the ids of their requests.
fn with_ids_of(request: &RequestPacket, answer: ResponsePacket) -> ResponsePacket {
    match (request, answer) {
        (RequestPacket::Single(request), ResponsePacket::Batch(mut list)) if list.len() == 1 => {
            let answer = list.remove(0);
            with_ids_of(&request.clone().into(), ResponsePacket::Single(answer))
        }
        (RequestPacket::Single(request), ResponsePacket::Single(mut answer)) => {
            answer.id = request.id().clone();
            ResponsePacket::Single(answer)
        }
        (_, ResponsePacket::Batch(mut list)) => {
            for answer in &mut list {
                if let Some(number) = answer.id.as_string().and_then(|id| id.parse().ok()) {
                    answer.id = Id::Number(number);
                }
            }
            ResponsePacket::Batch(list)
        }
        (RequestPacket::Batch(_), answer) => answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::rpc::json_rpc::Request;

    fn single() -> RequestPacket {
        let request = Request::new("eth_chainId", Id::Number(7), ());
        request.serialize().unwrap().into()
    }

    fn batch() -> RequestPacket {
        let request = |id| Request::new("eth_chainId", Id::Number(id), ()).serialize();
        [request(7).unwrap(), request(8).unwrap()]
            .into_iter()
            .collect()
    }

    /// What the HTTP transport makes of a body.
    fn body(text: &str) -> Result<ResponsePacket, TransportError> {
        let read = serde_json::from_str(text);
        read.map_err(|error| TransportError::deser_err(error, text))
    }

    fn result_of(answer: &ResponsePacket) -> Option<(u64, String)> {
        let answer = answer.as_single()?;
        let ResponsePayload::Success(result) = &answer.payload else {
            return None;
        };
        Some((answer.id.as_number()?, result.get().to_owned()))
    }

    #[test]
    fn reads_answers_with_null_errors_and_text_ids() {
        for (text, result) in [
            (r#"{"jsonrpc":"2.0","id":7,"result":"0x1"}"#, "\"0x1\""),
            (
                r#"{"jsonrpc":"2.0","id":7,"result":"0x1","error":null}"#,
                "\"0x1\"",
            ),
            (r#"{"jsonrpc":"2.0","id":"7","result":"0x1"}"#, "\"0x1\""),
            (r#"{"id":"7","error":null,"result":null}"#, "null"),
            (r#"[{"id":7,"result":"0x1"}]"#, "\"0x1\""),
            (r#"[{"id":null,"result":"0x1","error":null}]"#, "\"0x1\""),
        ] {
            let answer = read_answer(&single(), body(text)).unwrap();
            assert_eq!(result_of(&answer), Some((7, result.to_owned())), "{text}");
        }
        for text in [
            r#"[{"id":"8","result":"0x2","error":null},{"id":"7","result":"0x1","error":null}]"#,
            r#"[{"id":"8","result":"0x2"},{"id":"7","result":"0x1"}]"#,
        ] {
            let answer = read_answer(&batch(), body(text)).unwrap();
            let ids: Vec<_> = answer.response_ids().cloned().collect();
            assert_eq!(ids, [Id::Number(8), Id::Number(7)]);
            assert!(answer.is_success());
        }
    }

    #[test]
    fn reads_errors_beside_null_results() {
        for (text, code, message) in [
            (
                r#"{"id":7,"result":null,"error":{"code":-1,"message":"no"}}"#,
                -1,
                "no",
            ),
            (r#"{"id":7,"error":"no"}"#, 0, "no"),
        ] {
            let answer = read_answer(&single(), body(text)).unwrap();
            let error = answer.as_error().unwrap();
            assert_eq!(
                (error.code, error.message.as_ref()),
                (code, message),
                "{text}"
            );
        }
    }

    #[test]
    fn invents_no_answer() {
        for text in [
            "",
            "<html>",
            "{}",
            r#"{"id":7}"#,
            "[]",
            r#"{"error":null}"#,
            "7",
        ] {
            let read = read_answer(&single(), body(text));
            let is_answer = |packet: &ResponsePacket| packet.as_single().is_some();
            assert!(!read.as_ref().is_ok_and(is_answer), "{text}: {read:?}");
        }
    }

    #[test]
    fn takes_a_status_for_a_refusal_of_a_single_request_only() {
        let failed = |status| {
            Err(TransportErrorKind::http_error(
                status,
                "<p>no archive".into(),
            ))
        };
        for status in 300..600 {
            let read = read_answer(&single(), failed(status));
            let refused = read.ok().map(|answer| answer.first_error_code());
            let expected = refuses_request(status).then_some(Some(i64::from(status)));
            assert_eq!(refused, expected, "{status}");
            assert!(read_answer(&batch(), failed(status)).is_err());
        }
        let refused = read_answer(&single(), failed(403)).unwrap();
        assert_eq!(refused.first_error_message(), Some("no archive"));
        let told = r#"{"id":7,"result":null,"error":{"code":-32000,"message":"no"}}"#;
        let failed = Err(TransportErrorKind::http_error(500, told.into()));
        let answer = read_answer(&single(), failed).unwrap();
        assert_eq!(answer.first_error_code(), Some(-32_000));
    }
}
