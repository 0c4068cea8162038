//! Parameters of clients, as typed and as the market's RPC takes them.

use serde_json::{Map, Value};

/// Parses a parameter `NAME=VALUE`: a whole number, or tags separated by commas for `userTags`.
pub(super) fn parse_param(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| {
        format!("`{text}` is not a parameter; write NAME=VALUE, such as pricing/timeFactor=5")
    })?;
    if name == "userTags" {
        let tags = value.split(',').filter(|tag| !tag.is_empty());
        return Ok((name.to_owned(), tags.collect()));
    }
    let number: u64 = value.parse().map_err(|_| {
        format!("`{value}` is not a value of {name}; write a whole number from 0 on")
    })?;
    Ok((name.to_owned(), number.into()))
}

/// Converts parameters to the JSON object of the RPC.
pub(super) fn params_object(params: Vec<(String, Value)>) -> Value {
    Value::Object(params.into_iter().collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parses_whole_numbers_and_tags() {
        let parsed = |text| parse_param(text).map(|(_, value)| value);
        assert_eq!(parsed("capacity=5"), Ok(json!(5)));
        assert_eq!(parsed("userTags=vip,eu"), Ok(json!(["vip", "eu"])));
        assert_eq!(parsed("userTags="), Ok(json!([])));
        for bad in ["capacity", "capacity=", "capacity=-1", "capacity=0.5"] {
            assert!(parse_param(bad).is_err(), "{bad}");
        }
    }
}
