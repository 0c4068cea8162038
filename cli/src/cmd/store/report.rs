//! The result of a backup or restore.

use std::path::Path;

use cheque::store::BackupSize;
use serde_json::{Value, json};

use crate::output::fields;

/// File, records and bytes, as JSON and as text.
pub(super) fn copied_report(file: &Path, copied: BackupSize) -> (Value, String) {
    let file = file.display().to_string();
    let json = json!({ "file": file, "records": copied.records, "bytes": copied.bytes });
    let text = fields(&[
        ("file", file),
        ("records", copied.records.to_string()),
        ("bytes", copied.bytes.to_string()),
    ]);
    (json, text)
}
