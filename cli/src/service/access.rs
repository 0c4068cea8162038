//! Access to a service: for every process of this machine, or for holders of the token. The library has the rule, and a
//! market's operator RPC has the same.

use std::{fs, net::SocketAddr, path::Path};

use axum::{
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};
use cheque::service::{
    access::{Denial, Gate, Token},
    http::{Caller, Refusals},
};
use eyre::{Result, WrapErr, eyre};

use super::error::HttpError;

/// Creates the gate of an address, with the token in this file. Only a loopback address needs no token.
pub(super) fn open(address: SocketAddr, token: Option<&Path>) -> Result<Gate> {
    let token = token.map(read).transpose()?;
    Gate::new(address, token).ok_or_else(|| {
        eyre!(
            "{address} is reachable from other machines; name a token's file with --api-token-file, or listen on 127.0.0.1"
        )
    })
}

fn read(path: &Path) -> Result<Token> {
    let text = fs::read_to_string(path)
        .wrap_err_with(|| format!("cannot read the token from {}", path.display()))?;
    Token::new(text.trim()).wrap_err_with(|| format!("the token in {}", path.display()))
}

/// The gate, and the count of the requests that it refuses.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    gate: Gate,
    refusals: Refusals,
}

impl Guard {
    pub(super) const fn new(gate: Gate, refusals: Refusals) -> Self {
        Self { gate, refusals }
    }
}

/// Answers forbidden requests with the refusal, and passes other requests on. The connection of such a request is trusted from
/// then on.
///
/// Without the token, `/health` answers its status alone, so that supervisors need no secret.
pub(super) async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let Err(denial) = guard.gate.check(request.headers()) else {
        if let Some(caller) = request.extensions().get::<Caller>() {
            caller.trust();
        }
        return next.run(request).await;
    };
    if request.uri().path() == "/health" && denial == Denial::Unauthorized {
        return next.run(request).await.status().into_response();
    }
    guard.refusals.count(denial.code());
    let status = StatusCode::from_u16(denial.status()).unwrap_or(StatusCode::FORBIDDEN);
    HttpError::new(status, denial.code(), denial.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_a_readable_token_beyond_loopback() {
        let address = |text: &str| text.parse().unwrap();
        assert!(open(address("127.0.0.1:1"), None).is_ok());
        let said = open(address("0.0.0.0:1"), None).unwrap_err().to_string();
        assert!(said.contains("--api-token-file"), "{said}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        fs::write(&file, "0123456789abcdef0123456789abcdef\n").unwrap();
        assert!(open(address("0.0.0.0:1"), Some(&file)).is_ok());
        fs::write(&file, "0123").unwrap();
        let said = format!("{:#}", open(address("[::1]:1"), Some(&file)).unwrap_err());
        assert!(
            said.contains("the minimum is 32") && !said.contains("0123"),
            "{said}"
        );
        let said = format!(
            "{:#}",
            open(address("[::1]:1"), Some(folder.path())).unwrap_err()
        );
        assert!(said.contains("cannot read the token"), "{said}");
    }
}
