//! Settings of every verb, in order of precedence: flag, environment variable, configuration file, default.
//!
//! The command line is parsed twice. The first pass finds the verb and the flags settled by the command line and the
//! environment. Values of the file for other flags are then added to the command line as if typed, and the second pass
//! parses all of them. A value therefore has the same meaning and the same checks in all three places, and verbs need
//! not know its source.

mod common;
mod file;
#[cfg(test)]
mod tests;

use std::{env, ffi::OsString, path::PathBuf};

use clap::{
    Arg, ArgAction, ArgMatches, Command, CommandFactory, Error, FromArgMatches,
    builder::StyledStr,
    error::{ContextKind, ContextValue, ErrorKind},
    parser::ValueSource,
};
use eyre::{Report, Result, bail, ensure};
use toml::Value;

use self::{common::spliced, file::File};
use crate::{cli::Cli, opts::variables::variables_of};

/// The id of the flag that names the file.
const CONFIG: &str = "config";

/// Parses the command line, with the settings of the file named by the command line or the environment.
///
/// # Errors
/// Fails if the command line is wrong or asks for help, or if the file cannot be read or has unknown keys or bad
/// values.
pub(crate) fn parse(arguments: Vec<OsString>) -> Result<Cli, Error> {
    let arguments = common::behind_the_verb(arguments);
    let relaxed = common::accepted_everywhere(Cli::command()).ignore_errors(true);
    let given = relaxed.try_get_matches_from(&arguments)?;
    let Some(path) = given.get_one::<PathBuf>(CONFIG) else {
        return strictly(arguments);
    };
    // Help needs no file.
    if let Err(help) = strictly(arguments.clone())
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
    let parsed = strictly(spliced(arguments, added));
    parsed.map_err(|mut error| {
        if !names.is_empty() {
            let tip = format!("{} sets {}", path.display(), names.join(", "));
            let tips = vec![StyledStr::from(tip)];
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
        }
        error
    })
}

/// Parses the command line alone. Verbs ignore common flags that they do not need.
fn strictly(arguments: Vec<OsString>) -> Result<Cli, Error> {
    let mut command = common::accepted_everywhere(Cli::command());
    let mut matches = command.try_get_matches_from_mut(arguments)?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// An error of the file, reported as wrong usage (exit code 2).
fn unusable(error: &Report) -> Error {
    Error::raw(ErrorKind::InvalidValue, format!("{error:#}\n"))
}

/// The file's values for flags of the verb not settled by command line or environment, as arguments.
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
        let settled = variables_of(name).iter().any(|variable| is_set(variable));
        if !settled && !is_settled(verb, matches, flag) {
            added.extend(typed(flag, name, value)?);
        }
    }
    Ok(added)
}

/// True if the flag, or another that excludes it, is on the command line or in the environment.
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

/// True if the two arguments exclude each other.
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

/// Formats a value of the file as arguments.
fn typed(flag: &Arg, name: &str, value: &Value) -> Result<Vec<OsString>> {
    if matches!(flag.get_action(), ArgAction::SetTrue) {
        let Value::Boolean(yes) = value else {
            bail!("{name} is {value}; write true or false");
        };
        let typed = yes.then(|| format!("--{name}").into());
        return Ok(typed.into_iter().collect());
    }
    let values = match value {
        Value::Array(values) => {
            let repeats = matches!(flag.get_action(), ArgAction::Append);
            ensure!(repeats, "{name} is {value}; write one value");
            &values[..]
        }
        value => std::slice::from_ref(value),
    };
    let typed = values.iter().map(|value| match value {
        Value::String(text) => Ok(format!("--{name}={text}").into()),
        Value::Integer(number) => Ok(format!("--{name}={number}").into()),
        other => bail!("{name} is {other}; write a text in quotes or a whole number"),
    });
    typed.collect()
}

/// The names of the flags, without values, which may be private.
fn names_of(added: &[OsString]) -> Vec<String> {
    let texts = added.iter().map(|argument| argument.to_string_lossy());
    let mut names: Vec<_> = texts
        .map(|text| text.split('=').next().unwrap_or_default().to_owned())
        .collect();
    names.dedup();
    names
}
