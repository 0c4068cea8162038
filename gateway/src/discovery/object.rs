//! JSON objects whose fields keep their order and their bytes, for small changes of long documents.

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;
use std::fmt;

/// A JSON object. Its values are not parsed.
#[derive(Debug, Default)]
pub(super) struct Object(pub(super) Vec<(String, Box<RawValue>)>);

impl Object {
    /// Parses the fields of an object. `None` for other JSON.
    pub(super) fn parse(value: &RawValue) -> Option<Self> {
        serde_json::from_str(value.get()).ok()
    }

    pub(super) fn get(&self, key: &str) -> Option<&RawValue> {
        let mut fields = self.0.iter();
        let (_, value) = fields.find(|(name, _)| name == key)?;
        Some(value)
    }

    /// Sets a field in its place, or as the last one.
    pub(super) fn set(&mut self, key: &str, value: Box<RawValue>) {
        match self.0.iter_mut().find(|(name, _)| name == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key.to_owned(), value)),
        }
    }

    /// Writes the object. `None` never happens: names are text.
    pub(super) fn to_raw(&self) -> Option<Box<RawValue>> {
        raw(self)
    }
}

/// Writes a value. `None` never happens for plain data.
pub(super) fn raw(value: &impl Serialize) -> Option<Box<RawValue>> {
    serde_json::value::to_raw_value(value).ok()
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Object(fields))
    }
}
