//! The table of clients.

use serde_json::Value;

use crate::output::table;

/// Formats the clients of an answer. A last client with empty columns means that more follow.
pub(super) fn client_table(infos: &Value) -> String {
    let infos = infos.as_object().into_iter().flatten();
    let rows: Vec<_> = infos
        .map(|(id, info)| {
            let cell = |name: &str| match &info[name] {
                Value::Null => "-".to_owned(),
                Value::Array(tags) => {
                    let tags: Vec<_> = tags.iter().filter_map(Value::as_str).collect();
                    tags.join(",")
                }
                other => other.to_string(),
            };
            let columns = [
                "isConnected",
                "capacity",
                "pricing/balance",
                "pricing/negBalance",
                "pricing/totalAmount",
                "userTags",
            ];
            let mut row = vec![id.clone()];
            row.extend(columns.map(cell));
            row
        })
        .collect();
    let head = [
        "client",
        "connected",
        "capacity",
        "tokens",
        "owes",
        "charged",
        "tags",
    ];
    table(&head, &rows)
}
