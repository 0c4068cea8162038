//! Stored record of a peer: one version byte, then the RLP list `[setup version, state, [[field, value], ...]]`.

use super::setup::{Layout, Value};
use alloy_rlp::{Bytes, RlpDecodable, RlpEncodable};
use std::collections::BTreeMap;

const VERSION: u8 = 1;

/// Stored image of a peer: persistent flags without a timer, and persistent fields by position.
#[derive(Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
struct Record {
    setup: u32,
    state: u64,
    fields: Vec<FieldRecord>,
}

#[derive(Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
struct FieldRecord {
    index: u64,
    value: Bytes,
}

/// A decoded record.
pub(super) enum Stored {
    /// A peer's flags and fields.
    Peer(u64, BTreeMap<usize, Value>),
    /// Record of another format or setup version, which no later program reads.
    Outdated,
    /// Unreadable record of this version.
    Unreadable,
}

pub(super) fn encode(layout: &Layout, state: u64, fields: &BTreeMap<usize, Value>) -> Vec<u8> {
    let fields = fields.iter().filter_map(|(index, value)| {
        let codec = layout.fields.get(*index)?.codec.as_ref()?;
        Some(FieldRecord {
            index: u64::try_from(*index).ok()?,
            value: (codec.encode)(value)?.into(),
        })
    });
    let record = Record {
        setup: layout.version,
        state,
        fields: fields.collect(),
    };
    let mut bytes = vec![VERSION];
    bytes.append(&mut alloy_rlp::encode(&record));
    bytes
}

pub(super) fn decode(layout: &Layout, bytes: &[u8]) -> Stored {
    let Some((&version, record)) = bytes.split_first() else {
        return Stored::Unreadable;
    };
    if version != VERSION {
        return Stored::Outdated;
    }
    let Ok(record) = alloy_rlp::decode_exact::<Record>(record) else {
        return Stored::Unreadable;
    };
    if record.setup != layout.version {
        return Stored::Outdated;
    }
    // Peers without flags and flags that are not persistent are never stored.
    if record.state == 0 || record.state & !layout.persistent != 0 {
        return Stored::Unreadable;
    }
    let mut fields = BTreeMap::new();
    for field in record.fields {
        let Some((index, value)) = field_value(layout, &field) else {
            return Stored::Unreadable;
        };
        if fields.insert(index, value).is_some() {
            return Stored::Unreadable;
        }
    }
    Stored::Peer(record.state, fields)
}

fn field_value(layout: &Layout, field: &FieldRecord) -> Option<(usize, Value)> {
    let index = usize::try_from(field.index).ok()?;
    let codec = layout.fields.get(index)?.codec.as_ref()?;
    Some((index, (codec.decode)(&field.value)?))
}
