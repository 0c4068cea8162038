//! The figures: as a table, as `target/bench.json`, and between the markers of the document.

use serde_json::{Map, Value};
use std::{fmt::Write, fs, path::PathBuf};

/// A figure with its bound.
pub struct Figure {
    key: String,
    value: f64,
    bound: Option<Bound>,
    what: String,
}

#[derive(Clone, Copy)]
pub enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

#[derive(Default)]
pub struct Report {
    figures: Vec<Figure>,
}

/// A line of the comparison: microseconds of CPU time to write and to check a payment.
pub struct Row {
    pub system: String,
    pub write: f64,
    pub check: f64,
    pub ratio: f64,
}

impl Report {
    pub fn add(&mut self, key: impl Into<String>, value: f64, what: impl Into<String>) {
        self.push(key.into(), value, None, what.into());
    }

    pub fn at_most(&mut self, key: impl Into<String>, value: f64, bound: f64, what: &str) {
        self.push(key.into(), value, Some(Bound::AtMost(bound)), what.into());
    }

    pub fn at_least(&mut self, key: impl Into<String>, value: f64, bound: f64, what: &str) {
        self.push(key.into(), value, Some(Bound::AtLeast(bound)), what.into());
    }

    fn push(&mut self, key: String, value: f64, bound: Option<Bound>, what: String) {
        self.figures.push(Figure {
            key,
            value,
            bound,
            what,
        });
    }

    /// Formats the table. Figures beyond their bound are marked; on a busy machine a mark may be noise.
    pub fn table(&self) -> String {
        let mut table = String::new();
        for figure in &self.figures {
            let bound = figure.bound.map_or(String::new(), Bound::text);
            let mark = if figure.within() {
                ""
            } else {
                "  <-- not reached"
            };
            let (key, value, what) = (&figure.key, shown(figure.value), &figure.what);
            writeln!(table, "{key:<36} {value:>12} {bound:>10}  {what}{mark}").unwrap();
        }
        table
    }

    /// Writes `target/bench.json`.
    pub fn write_json(&self) {
        let figures = self.figures.iter();
        let map: Map<String, Value> = figures
            .map(|figure| (figure.key.clone(), figure.value.into()))
            .collect();
        let text = serde_json::to_string_pretty(&map).unwrap();
        fs::create_dir_all(root("target")).unwrap();
        fs::write(root("target/bench.json"), text + "\n").unwrap();
    }
}

impl Figure {
    fn within(&self) -> bool {
        match self.bound {
            Some(Bound::AtMost(max)) => self.value <= max,
            Some(Bound::AtLeast(min)) => self.value >= min,
            None => true,
        }
    }
}

impl Bound {
    fn text(self) -> String {
        match self {
            Self::AtMost(max) => format!("<= {max}"),
            Self::AtLeast(min) => format!(">= {min}"),
        }
    }
}

/// The document that has the comparison.
const DOCUMENT: &str = "docs/performance.md";

/// Writes the comparison into the document.
pub fn write_document(rows: &[Row]) {
    let begin = "<!-- bench: peers -->\n";
    let text = fs::read_to_string(root(DOCUMENT)).unwrap();
    let start = text.find(begin).expect("the document has the marker") + begin.len();
    let length = text[start..].find("<!-- end -->").expect("a section ends");
    let (before, after) = (&text[..start], &text[start + length..]);
    fs::write(root(DOCUMENT), format!("{before}{}{after}", compared(rows))).unwrap();
}

fn compared(rows: &[Row]) -> String {
    let mut table = String::from(
        "| system, one core | write, µs | check, µs | checks per second | a cheque here is faster |\n|---|--:|--:|--:|--:|\n",
    );
    for row in rows {
        let (system, write, check) = (&row.system, shown(row.write), shown(row.check));
        let per_second = grouped((1e6 / row.check) as u64);
        let ratio = if row.ratio == 1.0 {
            String::new()
        } else {
            format!("{:.1} times", row.ratio)
        };
        writeln!(
            table,
            "| {system} | {write} | {check} | {per_second} | {ratio} |"
        )
        .unwrap();
    }
    table
}

/// Formats three significant digits or more.
fn shown(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// Formats 26493 as 26,493.
fn grouped(number: u64) -> String {
    if number < 1_000 {
        return number.to_string();
    }
    format!("{},{:03}", grouped(number / 1_000), number % 1_000)
}

fn root(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}
