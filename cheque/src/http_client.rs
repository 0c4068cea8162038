//! HTTP clients for nodes and relays: through the proxy of the environment, except to this machine.

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{ClientBuilder, Url};
use std::{error::Error, net::IpAddr};

/// The most characters of another server's text that an error repeats.
const MAX_WORDS: usize = 300;

/// Returns a builder of clients for requests to `url`. Proxies of the environment (`http_proxy` and its kin) are used as the
/// environment says, but never to reach this machine: they could not.
pub(crate) fn client_for(url: &Url) -> ClientBuilder {
    let builder = reqwest::Client::builder();
    if is_this_machine(url) {
        return builder.no_proxy();
    }
    builder
}

/// Returns the host and port of the proxy for requests to `url`, by the same rules as [`client_for`].
pub(crate) fn proxy_for(url: &Url) -> Option<String> {
    proxy_by(&Matcher::from_system(), url)
}

fn proxy_by(rules: &Matcher, url: &Url) -> Option<String> {
    if is_this_machine(url) {
        return None;
    }
    let proxy = rules.intercept(&url.as_str().parse::<Uri>().ok()?)?;
    let authority = proxy.uri().authority()?.as_str();
    // The part before the sign is a password.
    authority.rsplit('@').next().map(str::to_owned)
}

/// True for `localhost` and addresses of the loopback interface.
fn is_this_machine(url: &Url) -> bool {
    let Some(host) = url.host_str() else {
        return false;
    };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    match address.parse::<IpAddr>() {
        Ok(address) => {
            let address = address.to_canonical();
            address.is_loopback() || address.is_unspecified()
        }
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

/// Names the reason why a request got no answer, without its URL: the innermost cause, such as "connection refused".
pub(crate) fn reason_of(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// Shortens another server's text to a line: the message of a JSON error, the title and text of a web page, else the text
/// itself.
pub(crate) fn words_of(body: &str) -> String {
    let body = body.trim();
    let json = serde_json::from_str::<serde_json::Value>(body).ok();
    let message = json.as_ref().and_then(|json| {
        let places = ["/error/message", "/message", "/error", "/detail", "/reason"];
        places
            .iter()
            .find_map(|place| json.pointer(place)?.as_str())
    });
    let text = match message {
        Some(message) => message.to_owned(),
        None if body.starts_with('<') => text_of_page(body),
        None => body.to_owned(),
    };
    let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.retain(|c| !c.is_control());
    if let Some((end, _)) = words.char_indices().nth(MAX_WORDS) {
        words.truncate(end);
        words.push_str("...");
    }
    words
}

/// Extracts the visible text of a web page, without scripts and styles.
fn text_of_page(page: &str) -> String {
    let mut text = String::new();
    let mut left = page;
    while let Some((before, tag)) = left.split_once('<') {
        text.push_str(before);
        text.push(' ');
        let name = tag.get(..6).unwrap_or_default().to_ascii_lowercase();
        let hidden = ["script", "style"]
            .into_iter()
            .find(|hidden| name.starts_with(hidden));
        let end = hidden.map_or(Some(0), |hidden| tag.find(&format!("</{hidden}")));
        let Some(end) = end else {
            return text;
        };
        left = tag[end..].split_once('>').map_or("", |(_, after)| after);
    }
    text.push_str(left);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn uses_no_proxy_to_this_machine() {
        let rules = Matcher::builder()
            .all("http://user:password@proxy:3128")
            .no("inside.example")
            .build();
        for own in [
            "http://localhost:8545",
            "http://node.localhost:8545",
            "http://127.0.0.1:8545/key",
            "http://127.8.9.1",
            "http://0.0.0.0:8545",
            "http://[::1]:8545",
            "http://[::ffff:127.0.0.1]:8545",
        ] {
            assert_eq!(proxy_by(&rules, &url(own)), None, "{own}");
        }
        for other in [
            "http://10.0.0.1:8545",
            "https://node.example/key",
            "http://localhost.example",
            "http://[2001:db8::1]",
        ] {
            let proxy = proxy_by(&rules, &url(other));
            assert_eq!(proxy.as_deref(), Some("proxy:3128"), "{other}");
        }
        assert_eq!(proxy_by(&rules, &url("http://inside.example")), None);
        let none = Matcher::builder().build();
        assert_eq!(proxy_by(&none, &url("http://10.0.0.1:8545")), None);
    }

    #[test]
    fn shortens_what_servers_say_to_a_line() {
        for (body, words) in [
            ("", ""),
            (
                " archive state \n is not on this plan ",
                "archive state is not on this plan",
            ),
            (r#"{"error":{"code":1,"message":"no key"}}"#, "no key"),
            (r#"{"message":"no key"}"#, "no key"),
            (r#"{"error":"no key"}"#, "no key"),
            (r#"{"other":1}"#, r#"{"other":1}"#),
            (
                "<!DOCTYPE html><html><head><title>Attention Required! | Cloudflare</title><style>p { a: b }</style>\
                 <script>if (a < b) { c() }</script></head><body><h1>Sorry</h1><p>you are\nblocked</p></body></html>",
                "Attention Required! | Cloudflare Sorry you are blocked",
            ),
            ("<html><script>endless", ""),
            ("<", ""),
        ] {
            assert_eq!(words_of(body), words);
        }
        let long = words_of(&"\u{e4}".repeat(1_000));
        assert_eq!(long.chars().count(), MAX_WORDS + 3);
    }
}
