//! The configuration file: TOML whose keys are the long names of flags.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use clap::Command;
use eyre::{Report, Result, WrapErr, bail, ensure, eyre};
use toml::{Table, Value};

/// Flags excluded from files.
const EXCLUDED: [&str; 5] = ["config", "create-store", "help", "interactive", "version"];

/// Parts of common names of secrets.
const SECRET: [&str; 5] = [
    "private-key",
    "password",
    "passphrase",
    "mnemonic",
    "secret",
];

/// The settings of a file; every key is a known flag. Values are unchecked.
#[derive(Debug)]
pub(super) struct File {
    settings: Table,
}

impl File {
    /// Reads the file and checks its keys and tables. Values are checked when they are used.
    ///
    /// # Errors
    /// Fails if the file cannot be read, a key is not a flag, a table is not a verb, or a value looks like a secret.
    pub(super) fn read(path: &Path, command: &Command) -> Result<Self> {
        let text = fs::read_to_string(path)
            .wrap_err_with(|| format!("cannot read the configuration file {}", path.display()))?;
        Self::parse(&text, command).wrap_err_with(|| path.display().to_string())
    }

    pub(super) fn parse(text: &str, command: &Command) -> Result<Self> {
        let settings: Table = text.parse().map_err(|error| unreadable(&error, text))?;
        let verbs = verbs_of(command);
        let all = verbs.values().flatten().copied().collect();
        for (key, value) in &settings {
            match value {
                Value::Table(table) => check_table(key, table, &verbs)?,
                value => check_key(key, value, &all, "any verb")?,
            }
        }
        Ok(Self { settings })
    }

    /// The value of a flag for a verb: of the verb's table, else of the top, which is for all verbs.
    pub(super) fn value(&self, verb: &str, flag: &str) -> Option<&Value> {
        let own = self.settings.get(verb).and_then(Value::as_table);
        let common = || self.settings.get(flag).filter(|value| !value.is_table());
        own.and_then(|table| table.get(flag)).or_else(common)
    }
}

/// Names the line of a syntax error, without its text, which may be private.
fn unreadable(error: &toml::de::Error, text: &str) -> Report {
    let end = error.span().map_or(0, |span| span.start);
    let line = 1 + text.bytes().take(end).filter(|byte| *byte == b'\n').count();
    eyre!("line {line}: {}", error.message())
}

fn check_table(name: &str, table: &Table, verbs: &BTreeMap<String, BTreeSet<&str>>) -> Result<()> {
    let Some(flags) = verbs.get(name) else {
        // `[payer.run]` stands for `[payer-run]`.
        let inner = table.iter().find(|(_, value)| value.is_table());
        let meant = inner.map_or_else(|| name.to_owned(), |(inner, _)| format!("{name}-{inner}"));
        let nearest = nearest(&meant, verbs.keys().map(String::as_str));
        bail!("[{name}] is not a verb; the nearest is [{nearest}]");
    };
    for (key, value) in table {
        check_key(
            key,
            value,
            flags,
            &format!("`cheque {}`", name.replace('-', " ")),
        )?;
    }
    Ok(())
}

fn check_key(key: &str, value: &Value, flags: &BTreeSet<&str>, verb: &str) -> Result<()> {
    if !flags.contains(key) {
        let is_secret = SECRET.iter().any(|secret| key.contains(secret));
        ensure!(
            !is_secret,
            "{key} is a secret, and configuration files get copied and shared; name a keystore and a password file, or \
             use the environment"
        );
        let nearest = nearest(key, flags.iter().copied());
        bail!("{key} is not a flag of {verb}; the nearest is {nearest}");
    }
    let has_password = value.as_str().is_some_and(holds_a_password);
    ensure!(
        !has_password,
        "{key} holds a password, and configuration files get copied and shared; use the environment"
    );
    Ok(())
}

/// Schemes of nodes and relays, whose addresses may have a key.
const WEB: [&str; 4] = ["http", "https", "ws", "wss"];

/// True if the text is a database's address, or list of settings, with a password.
fn holds_a_password(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.contains("password=");
    };
    let user = rest.rsplit_once('@').map_or("", |(user, _)| user);
    !WEB.contains(&scheme) && (user.contains(':') || rest.contains("password="))
}

/// The flags of every verb without subcommands, by the verb's words joined with hyphens.
fn verbs_of(command: &Command) -> BTreeMap<String, BTreeSet<&str>> {
    let mut verbs = BTreeMap::new();
    let mut open = vec![(String::new(), command)];
    while let Some((path, command)) = open.pop() {
        let inner = command.get_subcommands();
        let inner = inner.filter(|inner| inner.get_name() != "help");
        let mut inner = inner.peekable();
        if inner.peek().is_none() {
            let flags = command.get_arguments().filter_map(|flag| flag.get_long());
            let flags = flags.filter(|flag| !EXCLUDED.contains(flag));
            verbs.insert(path, flags.collect());
            continue;
        }
        open.extend(inner.map(|inner| {
            let name = inner.get_name();
            let path = match path.is_empty() {
                true => name.to_owned(),
                false => format!("{path}-{name}"),
            };
            (path, inner)
        }));
    }
    verbs
}

/// The candidate with the smallest edit distance; empty without candidates.
fn nearest<'a>(to: &str, candidates: impl Iterator<Item = &'a str>) -> &'a str {
    let nearest = candidates.min_by_key(|candidate| strsim::osa_distance(to, candidate));
    nearest.unwrap_or_default()
}
