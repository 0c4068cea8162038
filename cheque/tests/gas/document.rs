//! Writes and checks the tables of the documents. Each stands between the lines `<!-- gas: NAME -->` and `<!-- end -->`.

use crate::figures::{Figure, Figures, KEYS, MORE, Row};
use crate::{glamsterdam, numbers::grouped, peers};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

const GAS: &str = "docs/gas.md";
const COMPARE: &str = "COMPARE.md";

/// Writes `target/gas.json`.
pub(crate) fn write_json(figures: &Figures) {
    let keys = KEYS.iter();
    let map: serde_json::Map<_, _> = keys
        .map(|row| (row.key.to_owned(), figures.gas(row.key).into()))
        .collect();
    let text = serde_json::to_string_pretty(&map).unwrap();
    let target = path("target");
    fs::create_dir_all(&target).unwrap();
    fs::write(target.join("gas.json"), text + "\n").unwrap();
}

/// Writes the figures and the tables derived from them into the documents.
pub(crate) fn write(figures: &Figures) {
    put(GAS, "figures", &listed(figures, KEYS));
    put(GAS, "more figures", &listed(figures, MORE));
    for (file, name, table) in derived(figures) {
        put(file, name, &table);
    }
}

/// Compares the figures with the documents. Fails if a figure differs by more than 1 %, exceeds its goal, or if a derived
/// table does not follow from the documented figures.
pub(crate) fn check(measured: &Figures) {
    let text = read(GAS);
    let mut documented = Figures::default();
    collect(&section(&text, "figures"), &mut documented);
    collect(&section(&text, "more figures"), &mut documented);

    let mut wrong = Vec::new();
    for row in [KEYS, MORE].concat() {
        let (is, says) = (measured.get(row.key), documented.get(row.key));
        for (is, says, unit) in [(is.gas, says.gas, "gas"), (is.bytes, says.bytes, "bytes")] {
            if is.abs_diff(says) * 100 > says {
                wrong.push(format!("{} takes {is} {unit}, {GAS} says {says}", row.key));
            }
        }
        if let Some(max) = row.max.filter(|max| is.gas > *max) {
            wrong.push(format!("{} takes {} gas, more than {max}", row.key, is.gas));
        }
    }
    for (file, name, table) in derived(&documented) {
        if section(&read(file), name) != table {
            wrong.push(format!(
                "table \"{name}\" of {file} does not follow from the figures of {GAS}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\nrun `make gas` to write the tables",
        wrong.join("\n")
    );
}

/// The tables computed from the figures, each with its file and name.
fn derived(figures: &Figures) -> [(&'static str, &'static str, String); 3] {
    let rounds = peers::table(figures);
    [
        (GAS, "one round", rounds.clone()),
        (GAS, "Glamsterdam", glamsterdam::table(figures)),
        (COMPARE, "one round", rounds),
    ]
}

fn listed(figures: &Figures, rows: &[Row]) -> String {
    let mut table =
        String::from("| key | gas | goal | calldata, bytes | what |\n|---|--:|--:|--:|---|\n");
    for row in rows {
        let figure = figures.get(row.key);
        let (gas, bytes) = (grouped(figure.gas), grouped(figure.bytes));
        let max = row.max.map(grouped).unwrap_or_default();
        writeln!(
            table,
            "| `{}` | {gas} | {max} | {bytes} | {} |",
            row.key, row.what
        )
        .unwrap();
    }
    table
}

fn collect(table: &str, figures: &mut Figures) {
    for line in table.lines().skip(2) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let number = |cell: usize| cells[cell].replace(',', "").parse().unwrap();
        let (gas, bytes) = (number(2), number(4));
        figures.set(cells[1].trim_matches('`'), Figure { gas, bytes });
    }
}

fn path(of: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(of)
}

fn read(file: &str) -> String {
    fs::read_to_string(path(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn put(file: &str, name: &str, table: &str) {
    let text = read(file);
    let (before, _, after) = split(&text, name);
    fs::write(path(file), format!("{before}{table}{after}")).unwrap();
}

fn section(text: &str, name: &str) -> String {
    split(text, name).1.to_owned()
}

/// Splits a document into the text before, in and after a section.
fn split<'a>(text: &'a str, name: &str) -> (&'a str, &'a str, &'a str) {
    let begin = format!("<!-- gas: {name} -->\n");
    let start = text
        .find(&begin)
        .unwrap_or_else(|| panic!("no section {name:?}"))
        + begin.len();
    let length = text[start..].find("<!-- end -->").expect("a section ends");
    let (before, rest) = text.split_at(start);
    let (table, after) = rest.split_at(length);
    (before, table, after)
}
