//! Ids as text.

/// Formats an id as `0x` and its bytes in hexadecimal.
pub(super) fn id_text(id: &impl AsRef<[u8]>) -> String {
    const_hex::encode_prefixed(id.as_ref())
}
