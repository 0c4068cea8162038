//! Sections, tables, code and headings of Markdown texts.

use std::collections::BTreeSet;

/// Cuts out a section: from its heading to the next one of second rank.
pub(crate) fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("\n{heading}\n")).unwrap();
    let end = rest.find("\n## ").unwrap_or(rest.len());
    &rest[..end]
}

/// The names in backticks in the first cells of all rows.
pub(crate) fn names(text: &str) -> BTreeSet<String> {
    let rows = rows(text);
    let names = rows.iter().filter(|row| row[0].starts_with('`'));
    let names = names.flat_map(|row| quoted(&row[0]));
    names.map(ToOwned::to_owned).collect()
}

/// The cells of all rows of tables, without heads and rules.
pub(crate) fn rows(text: &str) -> Vec<Vec<String>> {
    let tables = tables(text).into_iter();
    tables.flat_map(|(_, rows)| rows).collect()
}

type Row = Vec<String>;

/// All tables: head and rows.
pub(crate) fn tables(text: &str) -> Vec<(Row, Vec<Row>)> {
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
pub(crate) fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// The anchors of a document's headings, as Markdown renderers derive them.
pub(crate) fn anchors(text: &str) -> BTreeSet<String> {
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

/// The commands `cheque ...` in a document's shell blocks and inline code.
pub(crate) fn commands(text: &str) -> Vec<String> {
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
