//! Results on stdout, everything else on stderr; no other file of the crate prints.

use std::io::{self, IsTerminal, Write};

use eyre::{Result, WrapErr};
use serde_json::Value;

use crate::input::interruptible;

/// A command's output, in the format of the flags.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
}

impl Output {
    pub(crate) const fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    /// Prints the result of a command: `text` without its last line break, or the JSON value.
    ///
    /// # Errors
    /// Fails if stdout cannot be written: a result lost on a full disk must not look like success. A closed pipe (`|
    /// head`) is no error.
    pub(crate) fn result(&self, json: &Value, text: impl FnOnce() -> String) -> Result<()> {
        let line = if self.json {
            serde_json::to_string_pretty(json)?
        } else {
            text()
        };
        self.line(&line)
    }

    /// Prints a piece of a result at once; JSON on a single line.
    pub(crate) fn event(&self, json: &Value, text: impl FnOnce() -> String) -> Result<()> {
        let line = if self.json { json.to_string() } else { text() };
        self.line(&line)
    }

    fn line(&self, line: &str) -> Result<()> {
        let mut stdout = io::stdout().lock();
        let written = writeln!(stdout, "{}", line.trim_end_matches('\n'));
        match written.and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.wrap_err("cannot write the result to stdout"),
        }
    }

    /// Prints on stderr what belongs to a result without being it, except with `--quiet`; JSON has all of it.
    pub(crate) fn details(&self, text: impl FnOnce() -> String) {
        if !self.json {
            self.progress(text().trim_end_matches('\n'));
        }
    }

    /// Prints progress on stderr, except with `--quiet`.
    pub(crate) fn progress(&self, text: impl AsRef<str>) {
        if !self.quiet {
            self.stderr(text.as_ref());
        }
    }

    /// Prints a warning on stderr; the command can still succeed.
    pub(crate) fn warn(&self, text: impl AsRef<str>) {
        self.stderr(&format!("warning: {}", text.as_ref()));
    }

    /// Prints the reason of a failure, on stderr.
    pub(crate) fn error(&self, text: &str, json: &Value) {
        if self.json {
            self.stderr(&json.to_string());
        } else {
            self.stderr(&format!("error: {text}"));
        }
    }

    fn stderr(&self, text: &str) {
        // A closed stderr leaves no way to report anything.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}

/// Reads a secret from the terminal, without echo.
pub(crate) fn ask_secret(prompt: &str) -> Result<String> {
    if !io::stdin().is_terminal() {
        eyre::bail!("cannot ask for the {prompt}; run the command on a terminal");
    }
    let _ = write!(io::stderr().lock(), "{prompt}: ");
    interruptible(rpassword::read_password).wrap_err_with(|| format!("cannot read the {prompt}"))
}

/// Formats a table: numbers to the right, words to the left, two spaces between columns.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let widest = cells.map(|cell| cell.chars().count()).max();
        widest.unwrap_or(0).max(head[column].chars().count())
    };
    let widths: Vec<_> = (0..head.len()).map(width).collect();
    let numeric = |column: usize| {
        let mut cells = rows.iter().filter_map(|row| row.get(column));
        cells.all(|cell| cell.starts_with(|c: char| c.is_ascii_digit()) && !cell.starts_with("0x"))
    };
    let right: Vec<_> = (0..head.len()).map(numeric).collect();
    let mut text = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for (column, cell) in cells.enumerate() {
            let gap = " ".repeat(widths[column] - cell.chars().count());
            if column > 0 {
                line.push_str("  ");
            }
            if right[column] {
                line.push_str(&gap);
                line.push_str(cell);
            } else {
                line.push_str(cell);
                line.push_str(&gap);
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    };
    line(&mut head.iter().copied());
    for row in rows {
        line(&mut row.iter().map(String::as_str));
    }
    text
}

/// Formats `name  value` lines with aligned values.
pub(crate) fn fields(fields: &[(&str, String)]) -> String {
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines = fields
        .iter()
        .map(|(name, value)| format!("{name:width$}  {value}\n"));
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligns_numbers_to_the_right() {
        let rows = vec![
            vec!["a".to_owned(), "1".to_owned()],
            vec!["long".to_owned(), "100".to_owned()],
        ];
        assert_eq!(
            table(&["who", "n"], &rows),
            "who     n\na       1\nlong  100\n"
        );
        assert_eq!(
            fields(&[("id", "x".into()), ("amount", "5".into())]),
            "id      x\namount  5\n"
        );
    }
}
