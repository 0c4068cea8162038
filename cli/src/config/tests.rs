use super::*;

const KEYSTORES: [&str; 3] = ["ETH_PRIVATE_KEY", "ETH_KEYSTORE", "ETH_KEYSTORE_ACCOUNT"];

fn command() -> Command {
    let mut command = Cli::command();
    command.build();
    command
}

/// What the file adds to a command line.
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

fn refused(file: &str) -> String {
    let parsed = File::parse(file, &command());
    format!("{:#}", parsed.unwrap_err())
}

#[test]
fn a_verb_gets_what_it_has_flags_for_and_its_own_table_counts_first() {
    let file = "chain = \"base\"\nstore = 'all'\njson = true\nquiet = false\nmax-steps = 9\n[ledger]\nstore = 'own'";
    let ledger = added(file, "cheque ledger", &[]).unwrap();
    assert_eq!(ledger, ["--store=own", "--chain=base", "--json"]);
    let receive = added(file, "cheque receive x", &[]).unwrap();
    assert!(receive.contains(&"--store=all".to_owned()), "{receive:?}");
    assert!(receive.contains(&"--max-steps=9".to_owned()), "{receive:?}");
}

#[test]
fn what_is_on_the_command_line_is_not_added() {
    let file = "store = 'file'\nmax-steps = 9";
    let line = "cheque receive x --max-steps 4 --store typed";
    assert_eq!(added(file, line, &[]).unwrap(), [""; 0]);
    let line = "cheque receive --max-steps=4 x";
    assert_eq!(added(file, line, &[]).unwrap(), ["--store=file"]);
}

#[test]
fn a_flag_or_variable_of_another_kind_excludes_what_the_file_names() {
    let file = "keystore = 'a.json'";
    assert_eq!(
        added(file, "cheque fund 1", &[]).unwrap(),
        ["--keystore=a.json"]
    );
    for line in [
        "cheque fund 1 --account alice",
        "cheque fund 1 --private-key",
    ] {
        assert_eq!(added(file, line, &[]).unwrap(), [""; 0], "{line}");
    }
    for variable in KEYSTORES {
        assert_eq!(added(file, "cheque fund 1", &[variable]).unwrap(), [""; 0]);
    }
    // Of two that are alternatives without excluding each other by name.
    let file = "draw-in = 900";
    let line = "cheque deposit create --lane 2";
    assert_eq!(added(file, line, &[]).unwrap(), ["--draw-in=900"]);
    let line = "cheque deposit create --draw-block 5";
    assert_eq!(added(file, line, &[]).unwrap(), [""; 0]);
    // A value that is no flag excludes, too.
    let file = "all = true";
    assert_eq!(added(file, "cheque withdraw", &[]).unwrap(), ["--all"]);
    assert_eq!(added(file, "cheque withdraw 5", &[]).unwrap(), [""; 0]);
}

#[test]
fn variables_that_verbs_read_themselves_count_before_the_file() {
    let payee = "payee = '0x01'";
    assert_eq!(
        added(payee, "cheque ledger", &[]).unwrap(),
        ["--payee=0x01"]
    );
    assert_eq!(
        added(payee, "cheque ledger", &["CHEQUE_PAYEE"]).unwrap(),
        [""; 0]
    );
    let password = "password-file = 'p'";
    assert_eq!(
        added(password, "cheque fund 1", &["ETH_PASSWORD"]).unwrap(),
        [""; 0]
    );
}

#[test]
fn no_variable_of_a_flag_is_forgotten() {
    let mut open = vec![command()];
    let mut found = 0;
    while let Some(command) = open.pop() {
        for flag in command.get_arguments() {
            let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
            let own = own_variables(flag.get_long().unwrap_or_default());
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
fn lists_are_repeated_flags_and_other_types_are_refused() {
    let file = "[deposit-create]\nallowance = ['a=1', 'b=2']";
    let line = "cheque deposit create --draw-in 5";
    assert_eq!(
        added(file, line, &[]).unwrap(),
        ["--allowance=a=1", "--allowance=b=2"]
    );
    for (file, reason) in [
        ("store = ['a', 'b']", "has one value"),
        ("store = 1.5", "in quotes or a whole number"),
        ("store = true", "in quotes or a whole number"),
        ("json = 'yes'", "is true or false"),
        ("json = 1", "is true or false"),
    ] {
        let said = added(file, "cheque ledger", &[]).unwrap_err().to_string();
        assert!(said.contains(reason), "{said}");
    }
}

#[test]
fn added_flags_come_before_what_can_only_be_values() {
    let typed = ["cheque", "inspect", "--", "x"].map(OsString::from);
    let all = spliced(typed.to_vec(), vec!["--json".into()]);
    assert_eq!(all, ["cheque", "inspect", "--json", "--", "x"]);
}

#[test]
fn unknown_keys_and_tables_are_refused_with_the_nearest() {
    let said = refused("rcp-url = 'x'");
    assert_eq!(
        said,
        "rcp-url is not a flag of any verb: the nearest is rpc-url"
    );
    let said = refused("[ledger]\nmax-steps = 3");
    assert!(
        said.starts_with("max-steps is not a flag of `cheque ledger`: "),
        "{said}"
    );
    let said = refused("[legder]\nstore = 'x'");
    assert_eq!(
        said,
        "[legder] is not the name of a verb: the nearest is [ledger]"
    );
    let said = refused("[deposit.create]\nstore = 'x'");
    assert!(said.ends_with("the nearest is [deposit-create]"), "{said}");
    assert!(refused("config = 'other'").contains("not a flag"));
    assert!(refused("json = true\nstore = ").starts_with("line 2: "));
}

#[test]
fn secrets_are_refused_without_repeating_them() {
    for file in [
        "private-key = 'hunter2'",
        "eth-private-key = 'hunter2'",
        "password = 'hunter2'",
        "[ledger]\nmnemonic = 'hunter2'",
        "store = 'postgres://me:hunter2@localhost/db'",
        "store = 'postgresql://localhost/db?password=hunter2'",
    ] {
        let said = refused(file);
        assert!(said.contains("copied, shared and shown"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    assert!(File::parse("store = 'postgres:///db?host=/run/postgresql'", &command()).is_ok());
    assert!(File::parse("password-file = '/run/secret'", &command()).is_ok());
}

#[test]
fn no_verb_is_called_like_a_flag() {
    let command = command();
    // Then a key could be meant as either.
    for verb in command
        .get_subcommands()
        .filter(|verb| !verb.has_subcommands())
    {
        let said = refused(&format!("{} = 1", verb.get_name()));
        assert!(said.contains("is not a flag of any verb"), "{said}");
    }
}
