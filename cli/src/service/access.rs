//! Who may call: everybody on this machine, or whoever has the token. The rule is the one of a market's operator.

use std::{
    fmt, fs,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use eyre::{Result, WrapErr, ensure};
use subtle::ConstantTimeEq;

use super::Refusal;

/// A token is not to be guessed: 128 bits in hexadecimal.
const SHORTEST_TOKEN: usize = 32;

/// What a caller must know. Compared in a time that tells nothing but its length.
#[derive(Clone)]
struct Token(Arc<str>);

impl Token {
    fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path)
            .wrap_err_with(|| format!("cannot read the token from {}", path.display()))?;
        Self::new(text.trim()).wrap_err_with(|| format!("the token in {}", path.display()))
    }

    /// The text never becomes part of an error.
    fn new(text: &str) -> Result<Self> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        ensure!(
            visible && text.len() >= SHORTEST_TOKEN,
            "a token has at least {SHORTEST_TOKEN} visible ASCII characters and nothing else: take what `openssl rand -hex \
             32` prints"
        );
        Ok(Self(text.into()))
    }

    fn is_in(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION);
        let given = given.and_then(|header| header.as_bytes().strip_prefix(b"Bearer "));
        given.is_some_and(|given| given.ct_eq(self.0.as_bytes()).into())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Lets requests through that may be answered.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    token: Option<Token>,
}

impl Gate {
    /// A gate for this address with the token in this file, which only an address of this machine alone can do without.
    pub(super) fn open(address: SocketAddr, token: Option<&Path>) -> Result<Self> {
        let token = token.map(Token::read).transpose()?;
        ensure!(
            token.is_some() || address.ip().is_loopback(),
            "{address} can be reached from other machines: name a file with a token by --api-token-file, or listen on \
             127.0.0.1"
        );
        Ok(Self { token })
    }

    fn refusal(&self, headers: &HeaderMap) -> Option<Refusal> {
        // Browsers name the page that a request comes from; programs do not.
        if headers.contains_key(header::ORIGIN) {
            let text = "requests from web pages are refused";
            return Some(Refusal::new(StatusCode::FORBIDDEN, "web_page", text));
        }
        if let Some(token) = &self.token {
            let text = "the bearer token is missing or wrong";
            let wrong = Refusal::new(StatusCode::UNAUTHORIZED, "unauthorized", text);
            return (!token.is_in(headers)).then_some(wrong);
        }
        // A page whose name leads to this machine names itself here, and may leave the origin out.
        let text = "without a token, requests must be addressed to localhost or a loopback address";
        let elsewhere = Refusal::new(StatusCode::FORBIDDEN, "wrong_host", text);
        (!is_to_this_machine(headers)).then_some(elsewhere)
    }
}

/// Whether the request is addressed to this machine by number or by the name that every machine has for itself. One
/// without an addressee is of HTTP/1.0 and comes from no browser.
fn is_to_this_machine(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else {
        return true;
    };
    let Ok(host) = host.to_str() else {
        return false;
    };
    if let Ok(address) = host.parse::<SocketAddr>() {
        return address.ip().is_loopback();
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let number = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = |address: IpAddr| address.is_loopback();
    name.eq_ignore_ascii_case("localhost") || number.parse().is_ok_and(is_loopback)
}

/// Answers in the place of the service what may not be answered.
///
/// Without the token, too, `/health` says whether all is well, and nothing else: who starts and stops services needs no
/// secrets for it.
pub(super) async fn check(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let Some(refusal) = gate.refusal(request.headers()) else {
        return next.run(request).await;
    };
    let is_health = request.uri().path() == "/health";
    let refusal = refusal.into_response();
    if is_health && refusal.status() == StatusCode::UNAUTHORIZED {
        return next.run(request).await.status().into_response();
    }
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        let pairs = pairs.iter();
        let pairs =
            pairs.map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()));
        pairs.collect()
    }

    fn code(gate: &Gate, pairs: &[(header::HeaderName, &str)]) -> Option<u16> {
        let refusal = gate.refusal(&headers(pairs));
        refusal.map(|refusal| refusal.into_response().status().as_u16())
    }

    #[test]
    fn only_a_loopback_address_does_without_a_token() {
        let open = |address: &str, token| Gate::open(address.parse().unwrap(), token);
        assert!(open("127.0.0.1:1", None).is_ok());
        assert!(open("[::1]:1", None).is_ok());
        for address in ["0.0.0.0:1", "10.0.0.1:1", "[::]:1"] {
            let said = open(address, None).unwrap_err().to_string();
            assert!(said.contains("--api-token-file"), "{said}");
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        fs::write(&file, format!("{TOKEN}\n")).unwrap();
        assert!(open("0.0.0.0:1", Some(&file)).is_ok());
        for bad in [&TOKEN[1..], "0123456789abcdef 0123456789abcdef", ""] {
            fs::write(&file, bad).unwrap();
            let said = format!("{:#}", open("127.0.0.1:1", Some(&file)).unwrap_err());
            assert!(said.contains("at least 32"), "{said}");
            assert!(bad.is_empty() || !said.contains(bad), "{said}");
        }
        let said = format!("{:#}", open("[::1]:1", Some(folder.path())).unwrap_err());
        assert!(said.contains("cannot read the token"), "{said}");
    }

    #[test]
    fn with_a_token_only_requests_that_carry_it_are_answered() {
        let token = Some(Token::new(TOKEN).unwrap());
        let gate = Gate { token };
        let bearer = format!("Bearer {TOKEN}");
        assert_eq!(code(&gate, &[(header::AUTHORIZATION, &bearer)]), None);
        assert_eq!(code(&gate, &[]), Some(401));
        for wrong in [
            TOKEN,
            &bearer[..38],
            &format!("{bearer}0"),
            &format!("Basic {TOKEN}"),
            "Bearer ",
        ] {
            assert_eq!(code(&gate, &[(header::AUTHORIZATION, wrong)]), Some(401));
        }
        let page = [
            (header::AUTHORIZATION, &bearer[..]),
            (header::ORIGIN, "https://example.org"),
        ];
        assert_eq!(code(&gate, &page), Some(403));
    }

    #[test]
    fn without_a_token_pages_and_names_that_lead_here_are_refused() {
        let gate = Gate { token: None };
        let host = |host| code(&gate, &[(header::HOST, host)]);
        assert_eq!(code(&gate, &[]), None);
        for here in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1",
            "127.0.0.2:1",
            "[::1]",
            "[::1]:1",
        ] {
            assert_eq!(host(here), None, "{here}");
        }
        for elsewhere in [
            "example.org",
            "localhost.example.org:80",
            "10.0.0.1:1",
            "",
            "[::2]:1",
        ] {
            assert_eq!(host(elsewhere), Some(403), "{elsewhere}");
        }
        assert_eq!(code(&gate, &[(header::ORIGIN, "null")]), Some(403));
    }
}
