//! Errors of the HTTP API.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

/// An error answer, in the form of errors with `--json`.
#[derive(Clone, Debug)]
pub(crate) struct HttpError {
    status: StatusCode,
    code: &'static str,
    text: String,
}

impl HttpError {
    /// `code` is a stable name in snake case.
    pub(crate) fn new(status: StatusCode, code: &'static str, text: impl Into<String>) -> Self {
        Self {
            status,
            code,
            text: text.into(),
        }
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.text, "code": self.code });
        (self.status, Json(body)).into_response()
    }
}
