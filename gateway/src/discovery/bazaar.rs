//! The extension `bazaar` of x402: the form of a request, for facilitators' lists.

use crate::offers::Tariff;
use http::Method;
use serde_json::{Value, json};

/// The name of the extension.
const BAZAAR: &str = "bazaar";

/// Describes a request without a body, or with calls of JSON-RPC. `None` for other requests: the gateway does not know what
/// their bodies are.
pub(crate) fn bazaar(tariff: &Tariff) -> Option<(String, Value)> {
    let method = tariff.method();
    let (info, own, required) = match *method {
        Method::GET | Method::HEAD | Method::DELETE => (
            json!({ "type": "http", "method": method.as_str() }),
            json!({
                "type": { "type": "string", "const": "http" },
                "method": { "type": "string", "enum": ["GET", "HEAD", "DELETE"] },
                "queryParams": { "type": "object" },
                "headers": { "type": "object", "additionalProperties": { "type": "string" } },
            }),
            json!(["type", "method"]),
        ),
        Method::POST if tariff.is_of_calls() => (
            json!({
                "type": "http",
                "method": "POST",
                "bodyType": "json",
                "body": { "jsonrpc": "2.0", "id": 1, "method": tariff.example_call(), "params": [] },
            }),
            json!({
                "type": { "type": "string", "const": "http" },
                "method": { "type": "string", "enum": ["POST", "PUT", "PATCH"] },
                "bodyType": { "type": "string", "enum": ["json", "form-data", "text"] },
                "body": { "type": "object" },
                "headers": { "type": "object", "additionalProperties": { "type": "string" } },
            }),
            json!(["type", "method", "bodyType", "body"]),
        ),
        _ => return None,
    };
    let extension = json!({
        "info": { "input": info },
        "schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "input": {
                    "type": "object",
                    "properties": own,
                    "required": required,
                    "additionalProperties": false,
                },
            },
            "required": ["input"],
        },
    });
    Some((BAZAAR.to_owned(), extension))
}
