//! Redaction of node URLs, which may contain keys as user information, in the path or in the query.

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
