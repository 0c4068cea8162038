//! Who may call.

use jsonrpsee::server::{HttpBody, HttpRequest, HttpResponse, http::response::internal_error};
use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use subtle::ConstantTimeEq;

const SHORTEST: usize = 32;

/// What a caller must know. Compared in a time that tells nothing but its length.
#[derive(Clone)]
pub struct Token(Arc<str>);

/// Why a text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It could be guessed.
    #[error(
        "a token has at least {SHORTEST} characters, and this one has {found}: take 32 random bytes in hexadecimal"
    )]
    Short {
        /// How many it has.
        found: usize,
    },
    /// It cannot be sent in a header.
    #[error("a token consists of visible ASCII characters: take 32 random bytes in hexadecimal")]
    Characters,
}

impl Token {
    /// Takes a token of at least 32 visible ASCII characters. Whether it is random cannot be checked.
    pub fn new(text: &str) -> Result<Self, TokenError> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Characters);
        }
        if text.len() < SHORTEST {
            return Err(TokenError::Short { found: text.len() });
        }
        Ok(Self(text.into()))
    }

    fn allows(&self, header: &[u8]) -> bool {
        let given = header.strip_prefix(b"Bearer ").unwrap_or_default();
        given.ct_eq(self.0.as_bytes()).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Lets requests through that may be answered.
#[derive(Clone, Debug)]
pub(super) struct Gate<S> {
    pub(super) inner: S,
    pub(super) token: Option<Token>,
}

impl<S> Gate<S> {
    fn refusal(&self, request: &HttpRequest) -> Option<(u16, &'static str)> {
        let headers = request.headers();
        // Browsers name the page that a request comes from; programs do not.
        if headers.contains_key("origin") {
            return Some((403, "requests from web pages are refused"));
        }
        let token = self.token.as_ref()?;
        let given = headers.get("authorization");
        match given.is_some_and(|header| token.allows(header.as_bytes())) {
            true => None,
            false => Some((401, "the bearer token is missing or wrong")),
        }
    }
}

impl<S> tower::Service<HttpRequest> for Gate<S>
where
    S: tower::Service<HttpRequest, Response = HttpResponse>,
    S::Future: Send + 'static,
{
    type Response = HttpResponse;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: HttpRequest) -> Self::Future {
        let Some((status, text)) = self.refusal(&request) else {
            return Box::pin(self.inner.call(request));
        };
        let response = HttpResponse::builder()
            .status(status)
            .body(HttpBody::from(text));
        Box::pin(async move { Ok(response.unwrap_or_else(|_| internal_error())) })
    }
}
