//! Tests that documents name as `file: test`, looked up in the code.

use crate::{
    markdown::{quoted, tables},
    support::root,
};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Folders of the files that documents name as tests.
pub(crate) const TEST_FOLDERS: [&str; 2] = ["contracts/test", "."];

/// Checks the tests that the last column of the tables of `text` names, in rows of `width` cells. Returns the number of
/// rows.
pub(crate) fn check_test_tables(
    document: &str,
    text: &str,
    width: usize,
    may_lack_tests: bool,
) -> usize {
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
pub(crate) fn check_tests(tests: &[&str], place: &str) {
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
