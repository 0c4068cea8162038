//! A minimal HTTP client for the services.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value;

/// The read timeout, longer than any request on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Sends a request without a token; see [`request_as`].
pub(crate) fn request(
    url: &str,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> io::Result<(u16, Value)> {
    request_as("", url, method, path, body)
}

/// Sends a request with a bearer token. Returns status and body of the answer; the body is null if it is not JSON.
///
/// # Errors
/// Fails if no complete answer arrives. The service may still have done the request.
pub(crate) fn request_as(
    token: &str,
    url: &str,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> io::Result<(u16, Value)> {
    let authorization = format!("authorization: Bearer {token}\r\n");
    request_with(&authorization, url, method, path, body)
}

/// Sends a request with these lines of header; see [`request_as`].
pub(crate) fn request_with(
    header: &str,
    url: &str,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> io::Result<(u16, Value)> {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let body = body.map(ToString::to_string).unwrap_or_default();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{header}\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    parsed(&answer).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

/// Parses an answer; `None` if it is incomplete.
fn parsed(answer: &str) -> Option<(u16, Value)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    if length.is_none_or(|length| length.parse() != Ok(body.len())) {
        return None;
    }
    Some((status, serde_json::from_str(body).unwrap_or_default()))
}
