//! Bodies of JSON-RPC, as far as they decide about the price.
//!
//! A body is forwarded as it is, so it must have one meaning for every parser: no key twice, and in a call no key but the
//! four of JSON-RPC. Some parsers take `Method` for `method`, and the last of both.

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use std::{collections::BTreeSet, fmt};

/// The calls of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calls(Vec<String>);

/// The reason why a body is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The body is not JSON, or has a key twice.
    #[error("the body is not JSON with distinct keys: {0}")]
    Json(String),
    /// The body is not a call of JSON-RPC, and no batch of these.
    #[error("the body is not a call of JSON-RPC 2.0, and no batch of calls: {0}")]
    NotACall(&'static str),
}

impl Calls {
    /// Parses a call, or a batch of calls.
    ///
    /// # Errors
    ///
    /// [`BodyError`] names the first fault.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let strict: Strict =
            serde_json::from_slice(body).map_err(|error| BodyError::Json(error.to_string()))?;
        let calls = match strict {
            Strict::Object(call) => vec![method(&call)?],
            Strict::Array(calls) if calls.is_empty() => {
                return Err(BodyError::NotACall("a batch has at least one call"));
            }
            Strict::Array(calls) => calls
                .iter()
                .map(|call| match call {
                    Strict::Object(call) => method(call),
                    _ => Err(BodyError::NotACall("a batch has objects only")),
                })
                .collect::<Result<_, _>>()?,
            Strict::Text(_) | Strict::Other => {
                return Err(BodyError::NotACall("a body is an object or an array"));
            }
        };
        Ok(Self(calls))
    }

    /// Returns the methods of the calls, in their order.
    pub fn methods(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

fn method(call: &[(String, Strict)]) -> Result<String, BodyError> {
    let known = |key: &str| matches!(key, "jsonrpc" | "id" | "method" | "params");
    if !call.iter().all(|(key, _)| known(key)) {
        return Err(BodyError::NotACall(
            "a call has jsonrpc, id, method and params only",
        ));
    }
    let method = call.iter().find(|(key, _)| key == "method");
    match method {
        Some((_, Strict::Text(method))) => Ok(method.clone()),
        _ => Err(BodyError::NotACall("a call has a method, as text")),
    }
}

/// JSON whose objects have distinct keys. Keeps what a price depends on.
enum Strict {
    Object(Vec<(String, Strict)>),
    Array(Vec<Strict>),
    Text(String),
    Other,
}

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        StrictAt(0).deserialize(deserializer)
    }
}

/// Below this depth (of a batch, its calls, and their fields) nothing is kept.
const KEPT: u32 = 3;

struct StrictAt(u32);

impl<'de> DeserializeSeed<'de> for StrictAt {
    type Value = Strict;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Strict, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StrictAt {
    type Value = Strict;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Strict, E> {
        Ok(Strict::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Strict, E> {
        Ok(Strict::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Strict, E> {
        Ok(Strict::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Strict, E> {
        Ok(Strict::Other)
    }

    fn visit_unit<E>(self) -> Result<Strict, E> {
        Ok(Strict::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Strict, E> {
        Ok(Strict::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Strict, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(StrictAt(self.0 + 1))? {
            if self.0 < KEPT {
                items.push(item);
            }
        }
        Ok(Strict::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Strict, A::Error> {
        let (mut fields, mut keys) = (Vec::new(), BTreeSet::new());
        while let Some(key) = map.next_key::<String>()? {
            if !keys.insert(key.clone()) {
                map.next_value::<IgnoredAny>()?;
                return Err(de::Error::custom(format_args!(
                    "the key {key:?} is there twice"
                )));
            }
            let value = map.next_value_seed(StrictAt(self.0 + 1))?;
            if self.0 < KEPT {
                fields.push((key, value));
            }
        }
        Ok(Strict::Object(fields))
    }
}
