//! The figures, as a table, as JSON and in the documentation.

use std::{fmt::Write as _, fs, time::Duration};

use serde_json::{Value, json};

use crate::{callers::Waits, support::root};

/// The circumstances of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// The program.
    pub(crate) service: &'static str,
    /// Open deposits of the payee, or payees of the payer.
    pub(crate) size: usize,
    /// The delay of the node, in milliseconds.
    pub(crate) delay: u64,
    /// Connections without a request.
    pub(crate) held: usize,
    pub(crate) callers: usize,
}

struct Row {
    setting: Setting,
    answered: usize,
    failures: Vec<String>,
    per_second: u128,
    p50: u128,
    p99: u128,
}

/// Something else that was measured of a service of a size.
struct Fact {
    service: &'static str,
    size: usize,
    name: &'static str,
    value: u128,
    unit: &'static str,
}

#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
    facts: Vec<Fact>,
}

impl Report {
    pub(crate) fn add(&mut self, setting: Setting, waits: Waits, took: Duration) {
        let answered = waits.times.len();
        let micros = |percent| waits.percentile(percent).as_micros();
        let (p50, p99) = (micros(50), micros(99));
        let row = Row {
            setting,
            answered,
            per_second: u128::try_from(answered).unwrap() * 1_000 / took.as_millis().max(1),
            p50,
            p99,
            failures: waits.failures,
        };
        say(&format!(
            "{:5} {:>7} delay {:>3} ms, held {:>4}, callers {:>3}: {:>6} per second, p50 {:>8} µs, p99 {:>8} µs, failed {}",
            setting.service,
            setting.size,
            setting.delay,
            setting.held,
            setting.callers,
            row.per_second,
            p50,
            p99,
            row.failures.len()
        ));
        if let Some(failure) = row.failures.first() {
            say(failure);
        }
        self.rows.push(row);
    }

    pub(crate) fn add_fact(
        &mut self,
        (service, size): (&'static str, usize),
        name: &'static str,
        value: u128,
        unit: &'static str,
    ) {
        say(&format!("{service:5} {size:>7} {name}: {value} {unit}"));
        self.facts.push(Fact {
            service,
            size,
            name,
            value,
            unit,
        });
    }

    pub(crate) fn assert_all_answered(&self) {
        assert!(!self.rows.is_empty());
        for row in &self.rows {
            assert!(row.answered >= row.setting.callers, "{:?}", row.setting);
            assert_eq!(row.failures, Vec::<String>::new(), "{:?}", row.setting);
        }
    }

    /// Writes `target/load.json` and the tables of docs/performance.md.
    pub(crate) fn write(&self) {
        let target = root().join("target");
        fs::create_dir_all(&target).unwrap();
        fs::write(target.join("load.json"), format!("{:#}\n", self.json())).unwrap();
        let path = root().join("docs/performance.md");
        let text = fs::read_to_string(&path).unwrap();
        let (begin, end) = ("<!-- load -->\n", "<!-- end -->");
        let (before, rest) = text.split_once(begin).expect("the place of the figures");
        let (_, after) = rest.split_once(end).expect("the end of the figures");
        fs::write(
            path,
            format!("{before}{begin}{}{end}{after}", self.tables()),
        )
        .unwrap();
    }

    fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            json!({
                "service": row.setting.service,
                "size": row.setting.size,
                "node_delay_ms": row.setting.delay,
                "held_connections": row.setting.held,
                "callers": row.setting.callers,
                "answered": row.answered,
                "failed": row.failures.len(),
                "per_second": row.per_second,
                "p50_us": row.p50,
                "p99_us": row.p99,
            })
        });
        let facts = self.facts.iter().map(|fact| {
            json!({
                "service": fact.service,
                "size": fact.size,
                "name": fact.name,
                "value": fact.value,
                "unit": fact.unit,
            })
        });
        json!({ "rows": rows.collect::<Vec<_>>(), "facts": facts.collect::<Vec<_>>() })
    }

    /// One table for each service. A line has the figures of all numbers of callers.
    fn tables(&self) -> String {
        let mut text = String::new();
        for (service, sizes) in [("payee", "open deposits"), ("payer", "payees")] {
            let rows: Vec<_> = self
                .rows
                .iter()
                .filter(|row| row.setting.service == service)
                .collect();
            let mut callers: Vec<_> = rows.iter().map(|row| row.setting.callers).collect();
            callers.sort_unstable();
            callers.dedup();
            let mut names = format!("| `{service} run`: {sizes} | node, ms | held |");
            let mut line = "|--:|--:|--:|".to_owned();
            for callers in &callers {
                write!(names, " {callers}: p50 | p99 | per second |").unwrap();
                line.push_str("--:|--:|--:|");
            }
            writeln!(text, "{names}\n{line}").unwrap();
            for first in rows.iter().filter(|row| row.setting.callers == callers[0]) {
                let Setting {
                    size, delay, held, ..
                } = first.setting;
                write!(text, "| {size} | {delay} | {held} |").unwrap();
                for callers in &callers {
                    let setting = Setting {
                        callers: *callers,
                        ..first.setting
                    };
                    let row = rows
                        .iter()
                        .find(|row| row.setting == setting)
                        .expect("a row");
                    write!(
                        text,
                        " {} | {} | {} |",
                        millis(row.p50),
                        millis(row.p99),
                        row.per_second
                    )
                    .unwrap();
                }
                text.push('\n');
            }
            text.push('\n');
        }
        text.push_str("| service | size | |\n|---|--:|--:|\n");
        for Fact {
            service,
            size,
            name,
            value,
            unit,
        } in &self.facts
        {
            writeln!(
                text,
                "| `{service} run` | {size} | {name}: {value} {unit} |"
            )
            .unwrap();
        }
        text
    }
}

/// Milliseconds of microseconds, with two digits of a small number.
fn millis(micros: u128) -> String {
    match micros {
        0..10_000 => format!("{}.{}", micros / 1_000, micros % 1_000 / 100),
        _ => (micros / 1_000).to_string(),
    }
}

/// Prints a line of progress, which the harness shows for a failed test and for `--nocapture`.
#[expect(clippy::disallowed_macros, reason = "a test prints its progress")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// The largest memory of a process so far, in MiB. `None`: this system does not tell.
pub(crate) fn peak_memory(pid: u32) -> Option<u128> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u128 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kilobytes / 1_024)
}
