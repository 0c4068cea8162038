//! Settings from a file, for every verb alike: what a flag says counts first, then its variable in the environment, then
//! the file, then the flag's default.
//!
//! The command line is parsed twice. The first time tells which verb it is and what flags and environment have settled;
//! for the rest, what the file says is put into the command line as if it had been typed. So a value means the same in all
//! three places and is checked by the same code, and no verb knows where it came from.

mod file;
#[cfg(test)]
mod tests;

use std::{env, ffi::OsString, path::PathBuf};

use clap::{
    Arg, ArgAction, ArgMatches, Command, CommandFactory, Error, Parser,
    builder::StyledStr,
    error::{ContextKind, ContextValue, ErrorKind},
    parser::ValueSource,
};
use eyre::{Report, Result, bail, ensure};
use toml::Value;

use crate::{Cli, opts::own_variables};
use file::File;

/// The flag that names the file.
const CONFIG: &str = "config";

/// Parses the command line, with what the file adds that it or the environment names.
///
/// # Errors
/// Those of the command line; and a file that cannot be read, or says what no verb understands.
pub(crate) fn parse(arguments: Vec<OsString>) -> Result<Cli, Error> {
    let relaxed = Cli::command().ignore_errors(true);
    let given = relaxed.try_get_matches_from(&arguments)?;
    let Some(path) = given.get_one::<PathBuf>(CONFIG) else {
        return Cli::try_parse_from(arguments);
    };
    // Help needs no file.
    if let Err(help) = Cli::try_parse_from(&arguments)
        && !help.use_stderr()
    {
        return Err(help);
    }
    let mut command = Cli::command();
    command.build();
    let is_set = |variable: &str| env::var_os(variable).is_some();
    let added = File::read(path, &command)
        .and_then(|file| additions(&command, &given, &file, is_set))
        .map_err(|error| unusable(&error))?;
    let names = names_of(&added);
    let parsed = Cli::try_parse_from(spliced(arguments, added));
    parsed.map_err(|mut error| {
        if !names.is_empty() {
            let tip = format!("{} says {}", path.display(), names.join(", "));
            let tips = vec![StyledStr::from(tip)];
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
        }
        error
    })
}

/// Wrong usage, such as a wrong flag.
fn unusable(error: &Report) -> Error {
    Error::raw(ErrorKind::InvalidValue, format!("{error:#}\n"))
}

/// What the file says for this verb where neither flags nor environment say anything, as arguments.
fn additions(
    command: &Command,
    given: &ArgMatches,
    file: &File,
    is_set: impl Fn(&str) -> bool,
) -> Result<Vec<OsString>> {
    let mut verb = command;
    let mut matches = given;
    let mut path = Vec::new();
    while let Some((name, inner)) = matches.subcommand() {
        let Some(found) = verb.find_subcommand(name) else {
            break;
        };
        path.push(name);
        (verb, matches) = (found, inner);
    }
    let mut added = Vec::new();
    for flag in verb.get_arguments() {
        let Some(name) = flag.get_long() else {
            continue;
        };
        let Some(value) = file.value(&path.join("-"), name) else {
            continue;
        };
        let settled = own_variables(name).iter().any(|variable| is_set(variable));
        if !settled && !is_settled(verb, matches, flag) {
            added.extend(written(flag, name, value)?);
        }
    }
    Ok(added)
}

/// Whether the flag, or another that excludes it, is on the command line or in the environment.
fn is_settled(verb: &Command, matches: &ArgMatches, flag: &Arg) -> bool {
    let mut others = verb.get_arguments();
    others.any(|other| {
        let explicit = matches!(
            matches.value_source(other.get_id().as_str()),
            Some(ValueSource::CommandLine | ValueSource::EnvVariable)
        );
        explicit && (other.get_id() == flag.get_id() || exclude(verb, flag, other))
    })
}

/// Whether only one of the two can be given.
fn exclude(verb: &Command, one: &Arg, other: &Arg) -> bool {
    let names = |from: &Arg, to: &Arg| {
        let excluded = verb.get_arg_conflicts_with(from);
        excluded.iter().any(|arg| arg.get_id() == to.get_id())
    };
    let mut groups = verb.get_groups().cloned();
    names(one, other)
        || names(other, one)
        || groups.any(|mut group| {
            let has = |arg: &Arg| group.get_args().any(|id| id == arg.get_id());
            has(one) && has(other) && !group.is_multiple()
        })
}

/// A value of the file as one would type it.
fn written(flag: &Arg, name: &str, value: &Value) -> Result<Vec<OsString>> {
    if matches!(flag.get_action(), ArgAction::SetTrue) {
        let Value::Boolean(yes) = value else {
            bail!("{name} is true or false in a configuration file, and here it is {value}");
        };
        let typed = yes.then(|| format!("--{name}").into());
        return Ok(typed.into_iter().collect());
    }
    let values = match value {
        Value::Array(values) => {
            let repeats = matches!(flag.get_action(), ArgAction::Append);
            ensure!(repeats, "{name} has one value, and here it is {value}");
            &values[..]
        }
        value => std::slice::from_ref(value),
    };
    let typed = values.iter().map(|value| match value {
        Value::String(text) => Ok(format!("--{name}={text}").into()),
        Value::Integer(number) => Ok(format!("--{name}={number}").into()),
        other => bail!("{name} is a text in quotes or a whole number, and here it is {other}"),
    });
    typed.collect()
}

/// The arguments with others added, before those that can only be values.
fn spliced(mut arguments: Vec<OsString>, added: Vec<OsString>) -> Vec<OsString> {
    let values = arguments.iter().position(|argument| argument == "--");
    let end = values.unwrap_or(arguments.len());
    arguments.splice(end..end, added);
    arguments
}

/// The names of the flags, without what may be private.
fn names_of(added: &[OsString]) -> Vec<String> {
    let texts = added.iter().map(|argument| argument.to_string_lossy());
    let mut names: Vec<_> = texts
        .map(|text| text.split('=').next().unwrap_or_default().to_owned())
        .collect();
    names.dedup();
    names
}
