//! Common flags: every verb accepts them, and they may come before the verb, so that an alias or a script can name store,
//! node, bank and wallet once.

use std::ffi::OsString;

use clap::{Arg, Command};

/// Long names of flags with a value that have one meaning in all verbs. A verb that does not need one ignores it.
const COMMON: [&str; 8] = [
    "store",
    "store-file",
    "rpc-url",
    "chain",
    "bank",
    "account",
    "keystore",
    "password-file",
];

/// Flags without a value, and with one, that every verb has and that may come before it.
const SWITCHES: [&str; 3] = ["--json", "--quiet", "-q"];
const CONFIG: &str = "--config";

/// Adds the common flags to all verbs without them, hidden from help.
pub(super) fn accepted_everywhere(command: Command) -> Command {
    let command = command.mut_subcommands(accepted_everywhere);
    if command.has_subcommands() {
        return command;
    }
    let is_missing = |name: &&str| {
        let mut flags = command.get_arguments();
        !flags.any(|flag| flag.get_long() == Some(*name))
    };
    let missing: Vec<_> = COMMON.into_iter().filter(is_missing).collect();
    let hidden = |name| Arg::new(name).long(name).hide(true).num_args(1);
    command.args(missing.into_iter().map(hidden))
}

/// Moves common flags that come before the verb to the end of the command line.
pub(super) fn behind_the_verb(arguments: Vec<OsString>) -> Vec<OsString> {
    let mut rest = arguments.into_iter();
    let mut kept: Vec<_> = rest.next().into_iter().collect();
    let mut moved = Vec::new();
    let mut rest = rest.peekable();
    while let Some(argument) = rest.peek().and_then(|argument| argument.to_str()) {
        let flag = argument.split('=').next().unwrap_or_default();
        let has_value = argument.contains('=');
        let is_common = flag
            .strip_prefix("--")
            .is_some_and(|name| COMMON.contains(&name));
        let to = match is_common {
            true => &mut moved,
            false if flag == CONFIG || SWITCHES.contains(&flag) => &mut kept,
            false => break,
        };
        let takes_next = !has_value && (is_common || flag == CONFIG);
        to.extend(rest.next());
        if takes_next {
            to.extend(rest.next());
        }
    }
    kept.extend(rest);
    spliced(kept, moved)
}

/// Inserts arguments before a `--`, behind which all arguments are values.
pub(super) fn spliced(mut arguments: Vec<OsString>, added: Vec<OsString>) -> Vec<OsString> {
    let values = arguments.iter().position(|argument| argument == "--");
    let end = values.unwrap_or(arguments.len());
    arguments.splice(end..end, added);
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::CommandFactory;

    fn moved(line: &str) -> String {
        let arguments = line.split(' ').map(OsString::from).collect();
        let moved = behind_the_verb(arguments).into_iter();
        let words: Vec<_> = moved.map(|word| word.into_string().unwrap()).collect();
        words.join(" ")
    }

    #[test]
    fn moves_common_flags_behind_the_verb() {
        for (typed, parsed) in [
            ("cheque --store a balance", "cheque balance --store a"),
            (
                "cheque --json --store=a --config c --bank b holdings --json",
                "cheque --json --config c holdings --json --store=a --bank b",
            ),
            (
                "cheque --store a inspect -- x",
                "cheque inspect --store a -- x",
            ),
            ("cheque --store", "cheque --store"),
            ("cheque --help", "cheque --help"),
            (
                "cheque --lane 2 --store a withdraw",
                "cheque --lane 2 --store a withdraw",
            ),
            ("cheque balance --store a", "cheque balance --store a"),
        ] {
            assert_eq!(moved(typed), parsed);
        }
    }

    #[test]
    fn every_verb_takes_every_common_flag() {
        let mut open = vec![accepted_everywhere(Cli::command())];
        let mut verbs = 0;
        while let Some(command) = open.pop() {
            let inner: Vec<_> = command.get_subcommands().cloned().collect();
            if inner.is_empty() {
                verbs += 1;
                for name in COMMON {
                    let mut flags = command.get_arguments();
                    let flag = flags.find(|flag| flag.get_long() == Some(name));
                    let takes_value = flag.is_some_and(|flag| flag.get_action().takes_values());
                    assert!(takes_value, "{}: {name}", command.get_name());
                }
            }
            open.extend(inner);
        }
        assert!(verbs > 30, "{verbs}");
    }
}
