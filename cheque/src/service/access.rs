//! Access to an operator's HTTP port: a bearer token, or callers on this machine. Requests from web pages are refused.

use http::{HeaderMap, header};
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use subtle::ConstantTimeEq;

/// The shortest token: 128 bits in hexadecimal.
pub const MIN_TOKEN_LENGTH: usize = 32;

/// A bearer token. Comparing takes a time that depends on its length alone.
#[derive(Clone)]
pub struct Token(Arc<str>);

/// Why a text is no token. The text never becomes part of the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// A shorter token could be guessed.
    #[error(
        "the token has {found} characters, the minimum is {MIN_TOKEN_LENGTH}; make one with `openssl rand -hex 32`"
    )]
    Short {
        /// The number of its characters.
        found: usize,
    },
    /// A header cannot carry the characters.
    #[error(
        "the token has characters other than visible ASCII; make one with `openssl rand -hex 32`"
    )]
    Characters,
}

impl Token {
    /// Takes a token of at least 32 visible ASCII characters. Does not check that it is random.
    ///
    /// # Errors
    ///
    /// If it is shorter, or a header cannot carry it.
    pub fn new(text: &str) -> Result<Self, TokenError> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Characters);
        }
        if text.len() < MIN_TOKEN_LENGTH {
            return Err(TokenError::Short { found: text.len() });
        }
        Ok(Self(text.into()))
    }

    fn is_in(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION);
        let given = given.and_then(|header| header.as_bytes().split_first_chunk::<7>());
        // The name of the scheme has no case.
        given.is_some_and(|(scheme, given)| {
            scheme.eq_ignore_ascii_case(b"bearer ") && given.ct_eq(self.0.as_bytes()).into()
        })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// A browser sends the request for a web page.
    #[error("requests from web pages are forbidden; call from a program")]
    WebPage,
    /// The request does not carry the token.
    #[error("the bearer token is missing or wrong; send `Authorization: Bearer TOKEN`")]
    Unauthorized,
    /// Without a token, the request names another host: a page whose name leads to this machine does so.
    #[error(
        "the request is not addressed to this machine; use localhost, a loopback address, or a token"
    )]
    WrongHost,
}

impl Denial {
    /// A stable name in lower case, for programs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::WebPage => "web_page",
            Self::Unauthorized => "unauthorized",
            Self::WrongHost => "wrong_host",
        }
    }

    /// The HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::WebPage | Self::WrongHost => 403,
            Self::Unauthorized => 401,
        }
    }
}

/// Decides which requests are answered.
#[derive(Clone, Debug)]
pub struct Gate {
    token: Option<Token>,
}

impl Gate {
    /// A gate for a port at `address`. `None` if callers from other machines could reach it and there is no token.
    pub fn new(address: SocketAddr, token: Option<Token>) -> Option<Self> {
        (token.is_some() || address.ip().is_loopback()).then_some(Self { token })
    }

    /// Checks the headers of a request.
    ///
    /// # Errors
    ///
    /// The reason to refuse it.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), Denial> {
        // Browsers name the page that a request comes from; programs do not.
        if headers.contains_key(header::ORIGIN) {
            return Err(Denial::WebPage);
        }
        match &self.token {
            Some(token) if token.is_in(headers) => Ok(()),
            Some(_) => Err(Denial::Unauthorized),
            None if is_to_this_machine(headers) => Ok(()),
            None => Err(Denial::WrongHost),
        }
    }
}

/// True if the request is addressed to this machine by a loopback number or as `localhost`, or to nobody: HTTP/1.0 knows
/// no addressee, and browsers do not send it.
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

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn gate(token: Option<&str>) -> Gate {
        let token = token.map(|text| Token::new(text).unwrap());
        Gate::new("127.0.0.1:1".parse().unwrap(), token).unwrap()
    }

    fn check(gate: &Gate, pairs: &[(header::HeaderName, &str)]) -> Result<(), Denial> {
        let pairs = pairs.iter();
        let pairs =
            pairs.map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()));
        gate.check(&pairs.collect())
    }

    #[test]
    fn needs_a_token_beyond_loopback_addresses() {
        let open = |address: &str, token| Gate::new(address.parse().unwrap(), token);
        assert!(open("127.0.0.1:1", None).is_some());
        assert!(open("[::1]:1", None).is_some());
        for address in ["0.0.0.0:1", "10.0.0.1:1", "[::]:1"] {
            assert!(open(address, None).is_none(), "{address}");
        }
        assert!(open("0.0.0.0:1", Token::new(TOKEN).ok()).is_some());
    }

    #[test]
    fn rejects_tokens_that_are_short_or_no_header() {
        assert_eq!(
            Token::new(&TOKEN[1..]).unwrap_err(),
            TokenError::Short { found: 31 }
        );
        assert_eq!(Token::new("").unwrap_err(), TokenError::Short { found: 0 });
        let spaced = "0123456789abcdef 0123456789abcdef";
        assert_eq!(Token::new(spaced).unwrap_err(), TokenError::Characters);
        assert_eq!(format!("{:?}", Token::new(TOKEN).unwrap()), "Token(..)");
    }

    #[test]
    fn answers_only_requests_that_carry_the_token() {
        let gate = gate(Some(TOKEN));
        let bearer = format!("Bearer {TOKEN}");
        assert_eq!(check(&gate, &[(header::AUTHORIZATION, &bearer)]), Ok(()));
        for scheme in ["bearer", "BEARER"] {
            let given = format!("{scheme} {TOKEN}");
            assert_eq!(check(&gate, &[(header::AUTHORIZATION, &given)]), Ok(()));
        }
        assert_eq!(check(&gate, &[]), Err(Denial::Unauthorized));
        for wrong in [
            TOKEN,
            &bearer[..38],
            &format!("{bearer}0"),
            &format!("Basic {TOKEN}"),
            "Bearer ",
        ] {
            let denied = check(&gate, &[(header::AUTHORIZATION, wrong)]);
            assert_eq!(denied, Err(Denial::Unauthorized), "{wrong}");
        }
        let page = [
            (header::AUTHORIZATION, &bearer[..]),
            (header::ORIGIN, "https://example.org"),
        ];
        assert_eq!(check(&gate, &page), Err(Denial::WebPage));
    }

    #[test]
    fn refuses_pages_and_foreign_hosts_without_a_token() {
        let gate = gate(None);
        let host = |host| check(&gate, &[(header::HOST, host)]);
        assert_eq!(check(&gate, &[]), Ok(()));
        for here in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1",
            "127.0.0.2:1",
            "[::1]",
            "[::1]:1",
        ] {
            assert_eq!(host(here), Ok(()), "{here}");
        }
        for elsewhere in [
            "example.org",
            "localhost.example.org:80",
            "10.0.0.1:1",
            "",
            "[::2]:1",
        ] {
            assert_eq!(host(elsewhere), Err(Denial::WrongHost), "{elsewhere}");
        }
        assert_eq!(
            check(&gate, &[(header::ORIGIN, "null")]),
            Err(Denial::WebPage)
        );
    }
}
