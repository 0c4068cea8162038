//! What documents say of the code is so.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The cells of all rows of tables, without heads and rules.
fn rows(document: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(root().join(document)).unwrap();
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
    let rows = rows("docs/faults.md");
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
            let places = [root().join("cheque/tests").join(file), root().join(file)];
            let place = places.iter().find(|place| place.is_file());
            let place = place.unwrap_or_else(|| panic!("{fault}: there is no {file}"));
            let text = fs::read_to_string(place).unwrap();
            let found = text.split_once(&format!("fn {name}("));
            let (before, _) = found.unwrap_or_else(|| panic!("{fault}: {file} has no {name}"));
            let attributes = before.rsplit("\n\n").next().unwrap_or_default();
            assert!(attributes.contains("test"), "{fault}: {name} is no test");
        }
    }
}
