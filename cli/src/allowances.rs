//! Lists of payees and allowances, from flags and files.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
    str::FromStr,
};

use alloy::primitives::Address;
use cheque::{Amount, payer::PayeeName};
use eyre::{Context, ContextCompat, Result, bail, ensure, eyre};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

use crate::{
    amount::{AmountText, Token},
    input::interruptible,
};

/// A payee and an amount as typed: an allowance, or a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AllowanceText {
    /// The user's own name of the payee.
    pub(crate) name: Option<PayeeName>,
    pub(crate) payee: Address,
    /// The maximum that the deposit can pay to the payee, or the amount to pay.
    pub(crate) amount: AmountText,
}

impl AllowanceText {
    fn new(payee: &str, amount: &str) -> Result<Self> {
        let payee = payee.trim();
        Ok(Self {
            name: None,
            payee: parse_address(payee)?,
            amount: amount.trim().parse()?,
        })
    }

    fn named(mut self, name: Option<&str>) -> Result<Self> {
        let name = name.map(str::trim).filter(|name| !name.is_empty());
        let name = name.map(|name| name.parse().wrap_err_with(|| format!("`{name}`")));
        self.name = name.transpose()?;
        Ok(self)
    }

    /// The payee for messages: the user's own name and the address.
    pub(crate) fn shown(&self) -> String {
        match &self.name {
            Some(name) => format!("{name} ({})", self.payee),
            None => self.payee.to_string(),
        }
    }
}

impl FromStr for AllowanceText {
    type Err = eyre::Report;

    fn from_str(text: &str) -> Result<Self> {
        let (payee, amount) = text
            .split_once('=')
            .wrap_err_with(|| format!("`{text}` is not an allowance; write ADDRESS=AMOUNT"))?;
        Self::new(payee, amount)
    }
}

/// Returns the names of the payees of a list.
pub(crate) fn names(list: &[AllowanceText]) -> BTreeMap<Address, PayeeName> {
    let named = list
        .iter()
        .filter_map(|entry| Some((entry.payee, entry.name.clone()?)));
    named.collect()
}

/// Returns the payees of a list with their amounts in units of a token.
///
/// # Errors
/// Fails if the token has no such amount.
pub(crate) fn in_units(list: &[AllowanceText], token: &Token) -> Result<Vec<(Address, Amount)>> {
    let in_units = |entry: &AllowanceText| {
        let amount = entry.amount.in_units_of(token);
        amount
            .map(|amount| (entry.payee, amount))
            .wrap_err_with(|| format!("the allowance of {}", entry.shown()))
    };
    list.iter().map(in_units).collect()
}

/// Parses an address. An address in mixed case must have the right EIP-55 checksum, which catches typing errors.
pub(crate) fn parse_address(text: &str) -> Result<Address> {
    let address: Address = text
        .parse()
        .map_err(|_| eyre!("`{text}` is not an address; write 0x and 40 hex digits"))?;
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let mixed = digits.contains(|c: char| c.is_ascii_lowercase())
        && digits.contains(|c: char| c.is_ascii_uppercase());
    ensure!(
        !mixed || address.to_checksum(None).ends_with(digits),
        "`{text}` has a wrong checksum; correct its digits and the case of its letters"
    );
    Ok(address)
}

/// Reads a list from a CSV file (`address,amount` or `name,address,amount` lines, with or without a head line) or a JSON
/// file (an object `{"address": "amount"}`, or an array of `{"name": .., "payee": .., "amount": ..}`). `-` is stdin.
pub(crate) fn read_file(path: &Path) -> Result<Vec<AllowanceText>> {
    let name = path.display();
    let mut text = String::new();
    let read = if path == Path::new("-") {
        interruptible(|| io::stdin().read_to_string(&mut text))
    } else {
        File::open(path).and_then(|file| BufReader::new(file).read_to_string(&mut text))
    };
    read.wrap_err_with(|| format!("cannot read the list of payees from {name}"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let list = if text.trim_start().starts_with(['{', '[']) {
        read_json(text)
    } else {
        read_csv(text)
    };
    let list = list.wrap_err_with(|| format!("{name} is not a list of payees"))?;
    ensure!(!list.is_empty(), "{name} is empty; list at least one payee");
    Ok(list)
}

fn read_csv(text: &str) -> Result<Vec<AllowanceText>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .comment(Some(b'#'))
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut list = Vec::new();
    for record in reader.records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        let fields: Vec<_> = record.iter().collect();
        let (name, payee, amount) = match fields[..] {
            [payee, amount] => (None, payee, amount),
            [name, payee, amount] => (Some(name), payee, amount),
            _ => bail!(
                "line {line} has other fields; write `address,amount` or `name,address,amount`"
            ),
        };
        // A head line names the columns; a first line like data is data.
        if list.is_empty()
            && line == 1
            && !payee.starts_with("0x")
            && amount.starts_with(char::is_alphabetic)
        {
            continue;
        }
        let entry = AllowanceText::new(payee, amount).and_then(|entry| entry.named(name));
        list.push(entry.wrap_err_with(|| format!("line {line}"))?);
    }
    Ok(list)
}

fn read_json(text: &str) -> Result<Vec<AllowanceText>> {
    let Entries(entries) = serde_json::from_str(text)?;
    let entries = entries.into_iter().enumerate();
    entries
        .map(|(index, entry)| {
            let allowance = AllowanceText::new(&entry.payee, &entry.allowance.0);
            let allowance = allowance.and_then(|allowance| allowance.named(entry.name.as_deref()));
            allowance.wrap_err_with(|| format!("entry {}", index + 1))
        })
        .collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(default)]
    name: Option<String>,
    #[serde(alias = "address")]
    payee: String,
    #[serde(alias = "amount")]
    allowance: Written,
}

/// An amount as a string or a whole number.
struct Written(String);

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Written;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an amount as a string or a whole number")
            }
            fn visit_str<E>(self, text: &str) -> Result<Written, E> {
                Ok(Written(text.to_owned()))
            }
            fn visit_u64<E>(self, units: u64) -> Result<Written, E> {
                Ok(Written(units.to_string()))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// An object or an array. A map would overwrite a payee named twice; the list keeps both.
struct Entries(Vec<Entry>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Entries;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(
                    "an object {\"address\": \"amount\"} or an array of {\"payee\", \"allowance\"}",
                )
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some((payee, allowance)) = map.next_entry()? {
                    entries.push(Entry {
                        name: None,
                        payee,
                        allowance,
                    });
                }
                Ok(Entries(entries))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = seq.next_element()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "0x00000000000000000000000000000000000000aa";
    const B: &str = "0x00000000000000000000000000000000000000bb";

    fn units(list: &[AllowanceText]) -> Vec<u128> {
        let units = list
            .iter()
            .map(|entry| entry.amount.in_units_of(&Token::coin()));
        units.map(|amount| amount.unwrap().get()).collect()
    }

    #[test]
    fn reads_the_same_list_from_csv_and_json() {
        let csv = format!("payee,allowance\n# friends\n{A}, 20gwei\n\n{B},7\n");
        let object = format!(r#"{{"{A}": "20gwei", "{B}": 7}}"#);
        let array =
            format!(r#"[{{"payee":"{A}","allowance":"20gwei"}},{{"address":"{B}","amount":"7"}}]"#);
        let expected = read_csv(&csv).unwrap();
        assert_eq!(units(&expected), [20_000_000_000, 7]);
        assert_eq!(read_json(&object).unwrap(), expected);
        assert_eq!(read_json(&array).unwrap(), expected);
        assert_eq!(
            format!("{A}=7").parse::<AllowanceText>().unwrap().amount,
            expected[1].amount
        );
    }

    #[test]
    fn reads_names_of_payees() {
        let names = |list: Vec<AllowanceText>| {
            let names = list.into_iter().map(|entry| entry.name);
            names.collect::<Vec<_>>()
        };
        let csv = format!("name,payee,amount\nalice, {A}, 20gwei\n,{B},7\n");
        let expected = [Some("alice".parse().unwrap()), None];
        assert_eq!(names(read_csv(&csv).unwrap()), expected);
        let json = format!(
            r#"[{{"name":"alice","payee":"{A}","amount":"20gwei"}},{{"payee":"{B}","amount":7}}]"#
        );
        assert_eq!(read_json(&json).unwrap(), read_csv(&csv).unwrap());
        let error = read_csv(&format!("alice,{A},1,2")).unwrap_err().to_string();
        assert!(error.contains("`name,address,amount`"), "{error}");
        let error = read_csv(&format!("{A},{B},1")).unwrap_err();
        assert!(format!("{error:#}").contains("is no address"), "{error:#}");
        // A number with a fraction may have lost digits.
        let error = read_json(&format!(r#"{{"{A}": 1.5}}"#))
            .unwrap_err()
            .to_string();
        assert!(error.contains("a whole number"), "{error}");
    }

    #[test]
    fn keeps_both_entries_of_a_payee_named_twice() {
        // The allowance tree then rejects the list.
        assert_eq!(
            read_json(&format!(r#"{{"{A}": 1, "{A}": 2}}"#))
                .unwrap()
                .len(),
            2
        );
    }

    #[test]
    fn names_the_line_of_an_error() {
        let error = |csv: String| format!("{:#}", read_csv(&csv).unwrap_err());
        assert!(error(format!("{A},1\n{B}")).contains("line 2"));
        assert!(error(format!("{A},1\n{B},one")).contains("line 2: `one` is not an amount"));
        assert!(error(format!("{A},1,2")).contains("line 1"));
        assert!(error("0x12,5".to_owned()).contains("line 1: `0x12` is not an address"));
        // Bad data on the first line is an error, not a head line.
        assert!(error("0xzz,abc".to_owned()).contains("line 1"));
    }

    #[test]
    fn rejects_address_with_a_wrong_checksum() {
        let good = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045";
        assert!(parse_address(good).is_ok());
        assert!(parse_address(&good.to_lowercase()).is_ok());
        assert!(parse_address(&good.replace('F', "f")).is_err());
        assert!(parse_address(&good.replace('8', "7")).is_err());
    }
}
