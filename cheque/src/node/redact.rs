//! Redaction of node URLs, which may contain keys as user information, in the path or in the query.

use alloy::{
    rpc::json_rpc::RpcError,
    transports::{TransportError, TransportErrorKind, http::reqwest::Url},
};
use std::fmt;

/// The parts of a node's URL that may be keys. A node's error may repeat them.
pub(super) struct Secrets(Vec<String>);

/// Omits the parts themselves.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Secrets").finish_non_exhaustive()
    }
}

impl Secrets {
    /// Collects user information, segments of the path and values of the query. Short segments, such as `v3`, are no keys.
    pub(super) fn of(url: &Url) -> Self {
        const MIN_KEY: usize = 6;
        let own = [url.username(), url.password().unwrap_or_default()].map(str::to_owned);
        let path = url.path_segments().into_iter().flatten();
        let path = path.filter(|segment| segment.len() >= MIN_KEY);
        let query = url.query_pairs().map(|(_, value)| value.into_owned());
        let parts = own.into_iter().chain(path.map(str::to_owned)).chain(query);
        let mut parts: Vec<_> = parts.filter(|part| !part.is_empty()).collect();
        // A part may contain another one.
        parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
        Self(parts)
    }

    /// Replaces the parts in `text`.
    pub(super) fn hide(&self, text: &str) -> String {
        let hide = |text: String, part: &String| text.replace(part, "...");
        self.0.iter().fold(text.to_owned(), hide)
    }

    /// Replaces the parts in what a server said.
    pub(super) fn hide_in_error(&self, error: TransportError) -> TransportError {
        match error {
            RpcError::ErrorResp(mut refusal) => {
                refusal.message = self.hide(&refusal.message).into();
                RpcError::ErrorResp(refusal)
            }
            RpcError::DeserError { err, text } => RpcError::DeserError {
                err,
                text: self.hide(&text),
            },
            RpcError::Transport(kind) => {
                let retry_after = kind.retry_after();
                match kind.as_http_error() {
                    Some(http) => TransportErrorKind::http_error_with_retry_after(
                        http.status,
                        self.hide(&http.body),
                        retry_after,
                    ),
                    None => RpcError::Transport(kind),
                }
            }
            error => error,
        }
    }
}

/// Cuts each URL in `text` to scheme and host.
pub(crate) fn without_secrets(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut remaining = text;
    while let Some(at) = remaining.find("://") {
        let (before, url) = remaining.split_at(at + 3);
        shown.push_str(before);
        let is_end = |c: char| c.is_whitespace() || matches!(c, ')' | '"' | '\'' | '>');
        let (url, after) = url.split_at(url.find(is_end).unwrap_or(url.len()));
        let host = url.split(['/', '?', '#']).next().unwrap_or_default();
        shown.push_str(host.rsplit('@').next().unwrap_or_default());
        remaining = after;
    }
    shown.push_str(remaining);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hides_parts_of_the_url_that_may_be_keys() {
        let url = "https://user:word@host/v3/0123abcd?key=q-key&x=";
        let secrets = Secrets::of(&url.parse().unwrap());
        for (text, shown) in [
            ("nothing", "nothing"),
            ("v3 has no project 0123abcd", "v3 has no project ..."),
            ("user word q-key", "... ... ..."),
        ] {
            assert_eq!(secrets.hide(text), shown);
        }
        assert!(!format!("{secrets:?}").contains("word"));
        let none = Secrets::of(&"http://localhost:8545".parse().unwrap());
        assert_eq!(none.hide("localhost failed"), "localhost failed");
    }

    #[test]
    fn cuts_urls_to_scheme_and_host() {
        for (text, shown) in [
            ("", ""),
            ("no URL: nothing", "no URL: nothing"),
            ("https://host/v3/key", "https://host"),
            ("wss://user:key@host:8546?key=key#key", "wss://host:8546"),
            (
                "sending for url (http://key@[::1]:1/key): and \"ws://b/key\" failed",
                "sending for url (http://[::1]:1): and \"ws://b\" failed",
            ),
            ("://", "://"),
        ] {
            assert_eq!(without_secrets(text), shown);
        }
    }
}
