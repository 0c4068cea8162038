use super::*;

const KEYSTORES: [&str; 3] = ["ETH_PRIVATE_KEY", "ETH_KEYSTORE", "ETH_KEYSTORE_ACCOUNT"];

fn command() -> Command {
    let mut command = Cli::command();
    command.build();
    command
}

/// Adds the file to a command line; returns the added arguments.
fn added(file: &str, line: &str, variables: &[&str]) -> Result<Vec<String>> {
    let command = command();
    let relaxed = Cli::command().ignore_errors(true);
    let given = relaxed.try_get_matches_from(line.split(' '))?;
    let file = File::parse(file, &command)?;
    let added = additions(&command, &given, &file, |name| variables.contains(&name))?;
    Ok(added
        .into_iter()
        .map(|text| text.into_string().unwrap())
        .collect())
}

fn rejected(file: &str) -> String {
    let parsed = File::parse(file, &command());
    format!("{:#}", parsed.unwrap_err())
}

#[test]
fn adds_known_flags_and_prefers_the_table_of_the_verb() {
    let file = "chain = \"base\"\nstore = 'all'\njson = true\nquiet = false\nmax-steps = 9\n[holdings]\nstore = 'own'";
    let holdings = added(file, "cheque holdings", &[]).unwrap();
    assert_eq!(holdings, ["--store=own", "--chain=base", "--json"]);
    let receive = added(file, "cheque receive x", &[]).unwrap();
    assert!(receive.contains(&"--store=all".to_owned()), "{receive:?}");
    assert!(receive.contains(&"--max-steps=9".to_owned()), "{receive:?}");
}

#[test]
fn adds_no_flag_of_the_command_line() {
    let file = "store = 'file'\nmax-steps = 9";
    let line = "cheque receive x --max-steps 4 --store typed";
    assert_eq!(added(file, line, &[]).unwrap(), [""; 0]);
    let line = "cheque receive --max-steps=4 x";
    assert_eq!(added(file, line, &[]).unwrap(), ["--store=file"]);
}

#[test]
fn adds_no_flag_excluded_by_another_flag_or_variable() {
    let file = "keystore = 'a.json'";
    assert_eq!(
        added(file, "cheque fund 1", &[]).unwrap(),
        ["--keystore=a.json"]
    );
    for line in [
        "cheque fund 1 --account alice",
        "cheque fund 1 --interactive",
    ] {
        assert_eq!(added(file, line, &[]).unwrap(), [""; 0], "{line}");
    }
    for variable in KEYSTORES {
        assert_eq!(added(file, "cheque fund 1", &[variable]).unwrap(), [""; 0]);
    }
    // Two flags of one group exclude each other without naming each other.
    let file = "draw-in = 900";
    let line = "cheque deposit create --lane 2";
    assert_eq!(added(file, line, &[]).unwrap(), ["--draw-in=900"]);
    let line = "cheque deposit create --draw-at 5";
    assert_eq!(added(file, line, &[]).unwrap(), [""; 0]);
    // A positional argument excludes a flag too.
    let file = "all = true";
    assert_eq!(added(file, "cheque withdraw", &[]).unwrap(), ["--all"]);
    assert_eq!(added(file, "cheque withdraw 5", &[]).unwrap(), [""; 0]);
}

#[test]
fn prefers_variables_read_by_verbs_to_the_file() {
    let payee = "payee = '0x01'";
    assert_eq!(
        added(payee, "cheque holdings", &[]).unwrap(),
        ["--payee=0x01"]
    );
    assert_eq!(
        added(payee, "cheque holdings", &["CHEQUE_PAYEE"]).unwrap(),
        [""; 0]
    );
    for variable in ["CHEQUE_STORE", "CHEQUE_STORE_FILE"] {
        for file in ["store = 's'", "store-file = 's'"] {
            assert_eq!(
                added(file, "cheque holdings", &[variable]).unwrap(),
                [""; 0]
            );
        }
    }
    let password = "password-file = 'p'";
    assert_eq!(
        added(password, "cheque fund 1", &["ETH_PASSWORD"]).unwrap(),
        [""; 0]
    );
}

#[test]
fn knows_every_variable_documented_in_a_help_text() {
    let mut open = vec![command()];
    let mut found = 0;
    while let Some(command) = open.pop() {
        for flag in command.get_arguments() {
            let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
            let own = variables_of(flag.get_long().unwrap_or_default());
            if help.contains("[env: ") {
                found += 1;
                assert!(own.iter().any(|name| help.contains(name)), "{help}");
            }
        }
        open.extend(command.get_subcommands().cloned());
    }
    assert!(found > 4, "{found}");
}

#[test]
fn repeats_flag_for_a_list_and_rejects_other_types() {
    let file = "[deposit-create]\nallowance = ['a=1', 'b=2']";
    let line = "cheque deposit create --draw-in 5";
    assert_eq!(
        added(file, line, &[]).unwrap(),
        ["--allowance=a=1", "--allowance=b=2"]
    );
    for (file, reason) in [
        ("store = ['a', 'b']", "write one value"),
        ("store = 1.5", "in quotes or a whole number"),
        ("store = true", "in quotes or a whole number"),
        ("json = 'yes'", "write true or false"),
        ("json = 1", "write true or false"),
    ] {
        let error = added(file, "cheque holdings", &[]).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn inserts_flags_before_a_double_dash() {
    let typed = ["cheque", "inspect", "--", "x"].map(OsString::from);
    let all = spliced(typed.to_vec(), vec!["--json".into()]);
    assert_eq!(all, ["cheque", "inspect", "--json", "--", "x"]);
}

#[test]
fn rejects_unknown_keys_and_tables_and_names_the_nearest() {
    let error = rejected("rcp-url = 'x'");
    assert_eq!(
        error,
        "rcp-url is not a flag of any verb; the nearest is rpc-url"
    );
    let error = rejected("[holdings]\nmax-steps = 3");
    assert!(
        error.starts_with("max-steps is not a flag of `cheque holdings`; "),
        "{error}"
    );
    let error = rejected("[hodlings]\nstore = 'x'");
    assert_eq!(error, "[hodlings] is not a verb; the nearest is [holdings]");
    let error = rejected("[deposit.create]\nstore = 'x'");
    assert!(
        error.ends_with("the nearest is [deposit-create]"),
        "{error}"
    );
    assert!(rejected("config = 'other'").contains("not a flag"));
    assert!(rejected("interactive = true").contains("not a flag"));
    assert!(rejected("json = true\nstore = ").starts_with("line 2: "));
}

#[test]
fn rejects_secrets_without_repeating_them() {
    for file in [
        "private-key = 'hunter2'",
        "eth-private-key = 'hunter2'",
        "password = 'hunter2'",
        "[holdings]\nmnemonic = 'hunter2'",
        "store = 'postgres://me:hunter2@localhost/db'",
        "store = 'postgresql://localhost/db?password=hunter2'",
        "store = 'mysql://me:hunter2@localhost/db'",
        "store = 'host=localhost password=hunter2'",
    ] {
        let error = rejected(file);
        assert!(error.contains("copied and shared"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    assert!(File::parse("store = 'postgres:///db?host=/run/postgresql'", &command()).is_ok());
    assert!(File::parse("rpc-url = 'https://me:key@node.example'", &command()).is_ok());
    assert!(File::parse("password-file = '/run/secret'", &command()).is_ok());
}

#[test]
fn names_no_verb_like_a_flag() {
    let command = command();
    // Otherwise a key could mean either.
    for verb in command
        .get_subcommands()
        .filter(|verb| !verb.has_subcommands())
    {
        let error = rejected(&format!("{} = 1", verb.get_name()));
        assert!(error.contains("is not a flag of any verb"), "{error}");
    }
}
