//! Statements of the documents about the code, checked against the code.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use support::{program, text};

/// Folders of the files that documents name as tests.
const TEST_FOLDERS: [&str; 2] = ["contracts/test", "."];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Reads a document of the project.
fn read(document: &str) -> String {
    fs::read_to_string(root().join(document)).unwrap()
}

/// Names the Markdown files of the root folder and of `docs`.
fn documents() -> Vec<String> {
    let mut documents = Vec::new();
    for folder in ["", "docs/"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if Path::new(&name)
                .extension()
                .is_some_and(|kind| kind == "md")
            {
                documents.push(format!("{folder}{name}"));
            }
        }
    }
    documents
}

/// Cuts out a section: from its heading to the next one of second rank.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("\n{heading}\n")).unwrap();
    let end = rest.find("\n## ").unwrap_or(rest.len());
    &rest[..end]
}

/// Finds all Rust files of a folder and its subfolders.
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

/// The names in backticks in the first cells of all rows.
fn names(text: &str) -> BTreeSet<String> {
    let rows = rows(text);
    let names = rows.iter().filter(|row| row[0].starts_with('`'));
    let names = names.flat_map(|row| quoted(&row[0]));
    names.map(ToOwned::to_owned).collect()
}

/// The cells of all rows of tables, without heads and rules.
fn rows(text: &str) -> Vec<Vec<String>> {
    let tables = tables(text).into_iter();
    tables.flat_map(|(_, rows)| rows).collect()
}

type Row = Vec<String>;

/// All tables: head and rows.
fn tables(text: &str) -> Vec<(Row, Vec<Row>)> {
    let cells = |line: &str| -> Row {
        let cells = line.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().to_owned()).collect()
    };
    let mut tables: Vec<(Row, Vec<Row>)> = Vec::new();
    let mut inside = false;
    let lines: Vec<_> = text.lines().collect();
    for (number, line) in lines.iter().enumerate() {
        let next = lines.get(number + 1);
        if line.starts_with("|--") {
            continue;
        }
        if next.is_some_and(|next| next.starts_with("|--")) {
            tables.push((cells(line), Vec::new()));
            inside = true;
        } else if inside && line.starts_with("| ") {
            let (_, rows) = tables.last_mut().unwrap();
            rows.push(cells(line));
        } else {
            inside = false;
        }
    }
    tables
}

/// The texts between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// Checks the tests that the last column of the tables of `text` names, in rows of `width` cells. Returns the number of
/// rows.
fn check_test_tables(document: &str, text: &str, width: usize, may_lack_tests: bool) -> usize {
    let mut count = 0;
    for (head, rows) in tables(text) {
        assert_eq!(head.len(), width, "{document}: {head:?}");
        assert_eq!(head[width - 1], "test", "{document}: {head:?}");
        count += rows.len();
        for row in rows {
            let (first, last) = (&row[0], row.last().unwrap());
            let tests = quoted(last);
            let has_none = may_lack_tests && last == "None";
            assert_eq!(row.len(), width, "{document}: {row:?}");
            assert!(
                row.iter().all(|cell| !cell.is_empty()),
                "{document}: {row:?}"
            );
            assert!(has_none || !tests.is_empty(), "{document}: {row:?}");
            check_tests(&tests, &format!("{document}: {first}"));
        }
    }
    count
}

/// Checks names of tests: `file: test`, a test of the file before, or a Solidity file, which stands for all its tests.
fn check_tests(tests: &[&str], place: &str) {
    let mut path = None;
    for test in tests {
        let (file, name) = match test.split_once(": ") {
            Some((file, name)) => (Some(file), Some(name)),
            None if test.ends_with(".sol") => (Some(*test), None),
            None => (None, Some(*test)),
        };
        if let Some(file) = file {
            path = Some(find_test_file(file, place));
        }
        if let Some(name) = name {
            let path = path.as_ref();
            let path = path.unwrap_or_else(|| panic!("{place}: {name} has no file"));
            assert_is_test(path, name, place);
        }
    }
}

/// Finds a file in the first of the folders of tests that has it.
fn find_test_file(file: &str, place: &str) -> PathBuf {
    let mut paths = TEST_FOLDERS.map(|folder| root().join(folder).join(file));
    let found = paths.iter_mut().find(|path| path.is_file());
    let found =
        found.unwrap_or_else(|| panic!("{place}: no folder of {TEST_FOLDERS:?} has {file}"));
    std::mem::take(found)
}

/// Asserts that a Rust or Solidity file has a test of this name.
fn assert_is_test(path: &Path, name: &str, place: &str) {
    let code = fs::read_to_string(path).unwrap();
    if path.extension().is_some_and(|kind| kind == "sol") {
        let exists = code.contains(&format!("function {name}("));
        assert!(exists, "{place}: {name} does not exist");
        assert!(name.starts_with("test"), "{place}: {name} is not a test");
        return;
    }
    let found = code.split_once(&format!("fn {name}("));
    let (before, _) = found.unwrap_or_else(|| panic!("{place}: {name} does not exist"));
    // The last piece begins the function's own line.
    let lines = before.rsplit('\n').skip(1).map(str::trim);
    let mut attributes = lines.take_while(|line| line.starts_with("#["));
    let has_attribute =
        attributes.any(|line| line.contains("test]") || line.starts_with("#[tokio::test("));
    let is_test = has_attribute || is_listed(path, &code, name);
    assert!(is_test, "{place}: {name} is not a test");
}

/// Looks for a test without an attribute in the lists of its file, or of the `main.rs` of its folder.
fn is_listed(path: &Path, code: &str, name: &str) -> bool {
    if listed_tests(code).contains(name) {
        return true;
    }
    let main = fs::read_to_string(path.with_file_name("main.rs")).unwrap_or_default();
    let module = path.file_stem().unwrap().to_str().unwrap();
    listed_tests(&main).contains(&*format!("{module}::{name}"))
}

/// The names in the lists `tests![..]` and `checks![..]`.
fn listed_tests(code: &str) -> BTreeSet<&str> {
    let lists = ["tests![", "checks!["].map(|begin| code.split(begin).skip(1));
    let lists = lists.into_iter().flatten();
    let lists = lists.filter_map(|rest| Some(rest.split_once(']')?.0));
    lists
        .flat_map(|list| list.split(',').map(str::trim))
        .collect()
}

#[test]
fn names_existing_tests_for_every_fault() {
    let document = "docs/faults.md";
    let rows = check_test_tables(document, &read(document), 3, false);
    assert!(rows > 30, "{rows}");
}

#[test]
fn names_existing_tests_for_every_attack() {
    let document = "docs/threat-model.md";
    let text = read(document);
    let rows = check_test_tables(document, section(&text, "## Attacks"), 4, true);
    assert!(rows > 30, "{rows}");
}

#[test]
fn names_existing_tests_outside_of_tables() {
    for document in documents() {
        let text = read(&document);
        let lines = text.lines().filter(|line| !line.starts_with('|'));
        for quote in lines.flat_map(quoted) {
            let Some((file, _)) = quote.split_once(": ") else {
                continue;
            };
            let kind = Path::new(file).extension();
            if kind.is_some_and(|kind| kind == "rs" || kind == "sol") {
                check_tests(&[quote], &document);
            }
        }
    }
}

#[test]
fn lists_exactly_the_metrics_in_the_guide() {
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
fn lists_exactly_the_logged_events_in_the_guide() {
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

/// The anchors of a document's headings, as Markdown renderers derive them.
fn anchors(document: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(document).unwrap();
    // A line of a code block that begins with # is a comment.
    let prose: String = text.split("```").step_by(2).collect();
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| -> String {
        let words = line.trim_start_matches(['#', ' ']).to_lowercase();
        let kept = words
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.collect::<String>().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn links_only_to_existing_files_and_headings() {
    let mut checked = 0;
    for document in documents() {
        let path = root().join(&document);
        let text = read(&document);
        let links = text.split("](").skip(1);
        for link in links.filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (file, anchor) = match link.split_once('#') {
                Some((file, anchor)) => (file, Some(anchor)),
                None => (link, None),
            };
            let target = match file.is_empty() {
                true => path.clone(),
                false => path.parent().unwrap().join(file),
            };
            assert!(target.exists(), "{document}: {link}");
            if let Some(anchor) = anchor {
                assert!(anchors(&target).contains(anchor), "{document}: {link}");
            }
            checked += 1;
        }
    }
    assert!(checked > 30, "{checked}");
}

/// The commands `cheque ...` in a document's shell blocks and inline code.
fn commands(text: &str) -> Vec<String> {
    let blocks = text.split("```sh\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().unwrap());
    let code = blocks.collect::<String>().replace("\\\n", " ");
    let prose = text.split("```").step_by(2);
    let inline = prose.flat_map(|prose| prose.split("\n\n").flat_map(quoted));
    let lines = code.lines().chain(inline);
    let mut commands = Vec::new();
    for line in lines {
        let command = line.split(" #").next().unwrap();
        let parts = command.split(['|', ';', '&']).map(str::trim);
        let own = parts.filter(|part| part.starts_with("cheque "));
        commands.extend(own.map(ToOwned::to_owned));
    }
    commands
}

#[test]
fn uses_only_existing_verbs_and_flags_in_commands() {
    let mut checked = 0;
    for document in documents() {
        // The changelog may name what was removed.
        if document == "CHANGELOG.md" {
            continue;
        }
        for command in commands(&read(&document)) {
            let words: Vec<_> = command.split_whitespace().skip(1).collect();
            let is_verb = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase());
            let verb: Vec<_> = words.iter().copied().take_while(is_verb).collect();
            let help = program().args(&verb).arg("--help").output().unwrap();
            assert!(help.status.success(), "{document}: {command}");
            let help = text(&help.stdout);
            for flag in words.iter().filter(|word| word.starts_with("--")) {
                let flag = flag.split('=').next().unwrap();
                let known = help
                    .split_whitespace()
                    .any(|word| word.trim_matches(',') == flag);
                assert!(known, "{document}: {command}: {flag}");
            }
            checked += 1;
        }
    }
    assert!(checked > 10, "{checked}");
}
