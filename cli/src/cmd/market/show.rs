//! How clients and parameters are shown and written.

use serde_json::{Map, Value};

use crate::output::table;

/// A parameter as `NAME=VALUE`: a whole number, or words between commas for `userTags`.
pub(super) fn parse_param(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| format!("`{text}` is not NAME=VALUE, such as pricing/timeFactor=5"))?;
    if name == "userTags" {
        let tags = value.split(',').filter(|tag| !tag.is_empty());
        return Ok((name.to_owned(), tags.collect()));
    }
    let number: u64 = value.parse().map_err(|_| {
        format!("`{value}` is not a whole number from 0 on: {name} has no other values")
    })?;
    Ok((name.to_owned(), number.into()))
}

/// The parameters as the market wants them.
pub(super) fn object(params: Vec<(String, Value)>) -> Value {
    Value::Object(params.into_iter().collect::<Map<_, _>>())
}

/// One line for each client of an answer; one that is only named has more behind it.
pub(super) fn clients(infos: &Value) -> String {
    let infos = infos.as_object().into_iter().flatten();
    let rows: Vec<_> = infos
        .map(|(id, info)| {
            let shown = |name: &str| match &info[name] {
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
            row.extend(columns.map(shown));
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parameters_are_whole_numbers_or_tags() {
        let parsed = |text| parse_param(text).map(|(_, value)| value);
        assert_eq!(parsed("capacity=5"), Ok(json!(5)));
        assert_eq!(parsed("userTags=vip,eu"), Ok(json!(["vip", "eu"])));
        assert_eq!(parsed("userTags="), Ok(json!([])));
        for bad in ["capacity", "capacity=", "capacity=-1", "capacity=0.5"] {
            assert!(parse_param(bad).is_err(), "{bad}");
        }
    }
}
