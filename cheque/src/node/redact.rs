//! Node URLs carry keys: as user information, in the path, in the query. Errors show their scheme and host only.

/// The text with each URL in it cut to scheme and host.
pub(crate) fn without_secrets(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, url) = rest.split_at(at + 3);
        shown.push_str(before);
        let is_end = |c: char| c.is_whitespace() || matches!(c, ')' | '"' | '\'' | '>');
        let (url, after) = url.split_at(url.find(is_end).unwrap_or(url.len()));
        let host = url.split(['/', '?', '#']).next().unwrap_or_default();
        shown.push_str(host.rsplit('@').next().unwrap_or_default());
        rest = after;
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_cut_to_scheme_and_host_wherever_they_stand() {
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
