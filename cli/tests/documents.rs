//! What documents say of the code is so.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod common;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use common::{program, text};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A document of the project.
fn read(document: &str) -> String {
    fs::read_to_string(root().join(document)).unwrap()
}

/// What stands under a heading, up to the next one of its rank or a higher one.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("\n{heading}\n")).unwrap();
    let end = rest.find("\n## ").unwrap_or(rest.len());
    &rest[..end]
}

/// All Rust files of a folder and those below it.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.append(&mut sources(&path));
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(path);
        }
    }
    found
}

/// The first cell of each row whose first cell is code, without what surrounds it.
fn names(text: &str) -> BTreeSet<String> {
    let rows = rows(text);
    let names = rows.iter().filter(|row| row[0].starts_with('`'));
    let names = names.flat_map(|row| quoted(&row[0]));
    names.map(ToOwned::to_owned).collect()
}

/// The cells of all rows of tables, without heads and rules.
fn rows(text: &str) -> Vec<Vec<String>> {
    let lines: Vec<_> = text.lines().collect();
    let is_rule = |line: Option<&&str>| line.is_some_and(|line| line.starts_with("|--"));
    let rows = lines.iter().enumerate().filter(|(number, line)| {
        let head = is_rule(lines.get(number + 1)) || is_rule(lines.get(*number));
        line.starts_with("| ") && !head
    });
    let cells = |line: &str| {
        let cells = line.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().to_owned()).collect()
    };
    rows.map(|(_, line)| cells(line)).collect()
}

/// What stands between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_fault_names_tests_that_are_there() {
    let rows = rows(&read("docs/faults.md"));
    assert!(rows.len() > 30, "{}", rows.len());
    for row in rows {
        let [fault, promise, tests] = &row[..] else {
            panic!("{row:?}");
        };
        let tests = quoted(tests);
        assert!(!promise.is_empty() && !tests.is_empty(), "{fault}");
        for test in tests {
            let (file, name) = test
                .split_once(": ")
                .unwrap_or_else(|| panic!("{fault}: {test}"));
            let code = read_in(&["cheque/tests", "."], file);
            assert_is_test(&code, name, fault);
        }
    }
}

#[test]
fn every_attack_names_tests_that_are_there() {
    let security = read("SECURITY.md");
    let rows = rows(section(&security, "## Attacks"));
    assert!(rows.len() > 30, "{}", rows.len());
    for row in rows {
        let [attack, .., tests] = &row[..] else {
            panic!("{row:?}");
        };
        let tests = quoted(tests);
        assert!(
            row.len() == 4 && (row[3] == "None" || !tests.is_empty()),
            "{row:?}"
        );
        let mut code = String::new();
        for test in tests {
            // A name without a file is of the file before it, and a file without a name stands for all its tests.
            let (file, name) = match test.split_once(": ") {
                Some((file, name)) => (Some(file), Some(name)),
                None if test.ends_with(".sol") => (Some(test), None),
                None => (None, Some(test)),
            };
            if let Some(file) = file {
                code = read_in(&["contracts/test", "cheque/src", "cheque"], file);
            }
            if let Some(name) = name {
                assert_is_test(&code, name, attack);
            }
        }
    }
}

/// The file of this name, in the first of these folders that has it.
fn read_in(folders: &[&str], file: &str) -> String {
    let mut places = folders.iter().map(|folder| root().join(folder).join(file));
    let place = places.find(|place| place.is_file());
    let place = place.unwrap_or_else(|| panic!("{folders:?} have no {file}"));
    fs::read_to_string(place).unwrap()
}

/// That Rust or Solidity code has a test of this name, which a document gives for a `promise`.
fn assert_is_test(code: &str, name: &str, promise: &str) {
    if code.contains(&format!("function {name}(")) {
        assert!(name.starts_with("test"), "{promise}: {name} is no test");
        return;
    }
    let found = code.split_once(&format!("fn {name}("));
    let (before, _) = found.unwrap_or_else(|| panic!("{promise}: there is no {name}"));
    let attributes = before.rsplit("\n\n").next().unwrap_or_default();
    assert!(attributes.contains("test"), "{promise}: {name} is no test");
}

#[test]
fn the_guide_lists_exactly_the_metrics_that_there_are() {
    let code = read("cheque/src/service/metrics.rs");
    let known: BTreeSet<_> = code
        .lines()
        .filter(|line| line.starts_with("pub const "))
        .filter_map(|line| Some(line.split('"').nth(1)?.to_owned()))
        .collect();
    assert!(known.len() > 10, "{known:?}");
    let guide = read("docs/operations.md");
    let metrics = section(&guide, "## Metrics");
    let words = metrics.split(|letter: char| letter != '_' && !letter.is_ascii_lowercase());
    let listed: BTreeSet<_> = words
        .filter(|word| word.starts_with("cheque_"))
        .map(ToOwned::to_owned)
        .collect();
    assert_eq!(listed, known);
    for row in rows(metrics) {
        if let [name, kind, ..] = &row[..]
            && row.len() == 4
        {
            assert_eq!(name.contains("_total`"), kind == "counter", "{name}");
        }
    }
}

#[test]
fn the_guide_lists_exactly_the_events_that_are_logged() {
    let mut logged = BTreeSet::new();
    for folder in ["cheque/src", "cli/src"] {
        for file in sources(&root().join(folder)) {
            let code = fs::read_to_string(file).unwrap();
            let events = code.split("event = \"").skip(1);
            logged.extend(events.filter_map(|rest| Some(rest.split('"').next()?.to_owned())));
        }
    }
    assert!(logged.len() > 10, "{logged:?}");
    let guide = read("docs/operations.md");
    assert_eq!(names(section(&guide, "## Log")), logged);
}

#[test]
fn links_of_the_guides_lead_somewhere() {
    for document in ["docs/operations.md", "docs/faults.md"] {
        let text = read(document);
        let links = text.split("](").skip(1);
        for link in links.filter_map(|rest| rest.split(')').next()) {
            let found = match link.strip_prefix('#') {
                Some(anchor) => text
                    .lines()
                    .filter(|line| line.starts_with('#'))
                    .any(|line| {
                        let words = line.trim_start_matches(['#', ' ']).to_lowercase();
                        words.replace(' ', "-") == anchor
                    }),
                None => root().join("docs").join(link).exists(),
            };
            assert!(found, "{document}: {link}");
        }
    }
}

#[test]
fn every_command_in_the_guide_has_the_flags_that_it_uses() {
    let guide = read("docs/operations.md");
    let blocks = guide.split("```sh\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().unwrap());
    let code = blocks.collect::<String>().replace("\\\n", " ");
    let inline = guide
        .split('`')
        .filter(|text| text.starts_with("cheque "))
        .map(ToOwned::to_owned);
    let lines = code
        .lines()
        .filter(|line| line.starts_with("cheque "))
        .map(ToOwned::to_owned);
    let mut checked = 0;
    for line in inline.chain(lines) {
        let command = line.split('#').next().unwrap();
        let mut flags: Vec<_> = command.split_whitespace().skip(1).collect();
        let verb: Vec<_> = flags
            .iter()
            .take_while(|word| word.bytes().all(|byte| byte.is_ascii_lowercase()))
            .copied()
            .collect();
        flags.retain(|word| word.starts_with("--"));
        let help = program().args(&verb).arg("--help").output().unwrap();
        assert!(help.status.success(), "{line}");
        let help = text(&help.stdout);
        for flag in flags {
            let known = help
                .split_whitespace()
                .any(|word| word.trim_matches(',') == flag);
            assert!(known, "{line}: {flag}");
        }
        checked += 1;
    }
    assert!(checked > 10, "{checked}");
}
