//! Statements of the documents about the code, checked against the code.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod markdown;
mod named_tests;
#[path = "../support/mod.rs"]
mod support;

use markdown::{anchors, commands, names, quoted, rows, section};
use named_tests::{TEST_FOLDERS, check_test_tables, check_tests};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};
use support::{program, root, text};

/// Reads a document of the project.
fn read(document: &str) -> String {
    fs::read_to_string(root().join(document)).unwrap()
}

/// Folders with documents.
const FOLDERS: [&str; 6] = [
    "",
    "bindings/ethers/",
    "contracts/test/",
    "contracts/test/invariant/",
    "docs/",
    "market/",
];

/// Names the Markdown files of the folders.
fn documents() -> Vec<String> {
    let mut documents = Vec::new();
    for folder in FOLDERS {
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
fn names_existing_tests_for_every_old_defect() {
    let document = "contracts/test/README.md";
    let text = read(document);
    let defects = section(&text, "## Defects of an earlier design");
    let rows = check_test_tables(document, defects, 3, false);
    assert!(rows > 10, "{rows}");
}

#[test]
fn names_existing_files() {
    let mut checked = 0;
    for document in documents() {
        let text = read(&document);
        let folder = Path::new(&document).parent().unwrap();
        let prose: String = text.split("```").step_by(2).collect();
        for quote in prose.lines().flat_map(quoted) {
            let path = quote.split(": ").next().unwrap();
            let is_path = path.contains('/') && !path.contains([' ', '*', '<']);
            let kind = path.rsplit('.').next().unwrap();
            let is_source = ["rs", "sol", "mjs", "js", "py", "md", "toml"].contains(&kind);
            if is_path && is_source {
                let mut folders = [Path::new(""), folder, Path::new(TEST_FOLDERS[0])].into_iter();
                let exists = folders.any(|folder| root().join(folder).join(path).exists());
                assert!(exists, "{document}: {quote}");
                checked += 1;
            }
        }
    }
    assert!(checked > 100, "{checked}");
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
    for folder in ["cheque/src", "cli/src", "gateway/src"] {
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
fn lists_every_code_of_the_http_api_in_the_guide() {
    let mut codes = BTreeSet::new();
    for folder in ["cli/src/service", "cli/src/cmd/payer", "cli/src/cmd/payee"] {
        for file in sources(&root().join(folder)) {
            let code = fs::read_to_string(file).unwrap();
            for rest in code.split("StatusCode::").skip(1) {
                let next = rest.split_once(',').map(|(_, next)| next.trim_start());
                let text = next.and_then(|next| next.strip_prefix('"')?.split('"').next());
                let is_code =
                    |text: &&str| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
                codes.extend(text.filter(is_code).map(ToOwned::to_owned));
            }
        }
    }
    assert!(codes.len() > 10, "{codes:?}");
    let guide = read("docs/operations.md");
    for code in codes {
        assert!(guide.contains(&format!("`{code}`")), "{code}");
    }
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
                let target = fs::read_to_string(&target).unwrap();
                assert!(anchors(&target).contains(anchor), "{document}: {link}");
            }
            checked += 1;
        }
    }
    assert!(checked > 30, "{checked}");
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
