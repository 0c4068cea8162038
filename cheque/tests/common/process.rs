//! This test binary as another process, which can be killed. What a process has written to its standard output has left it,
//! and counts.

#![allow(dead_code, reason = "every test uses its own part of this")]

use std::{
    fmt::Display,
    io::{self, BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

/// How long a process may take to say something.
const LONG: Duration = Duration::from_secs(60);

/// A process that ends with the test.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    /// Runs one test of this binary alone, with these variables in its environment.
    pub(crate) fn start(test: &str, variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture", "--test-threads", "1"])
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            // A line that the process did not finish has not left it.
            while stdout.read_line(&mut line).is_ok() && line.ends_with('\n') {
                if let Some(said) = line.trim_end().strip_prefix("> ") {
                    let _ = sender.send(said.to_owned());
                }
                line.clear();
            }
        });
        Self { child, lines }
    }

    /// Writes lines to its standard input, and no more after them.
    pub(crate) fn give(&mut self, lines: &[impl Display]) {
        let mut stdin = self.child.stdin.take().unwrap();
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        // It may be killed before it has read everything.
        std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    }

    /// The next line it says. `None`: it has come to its end.
    pub(crate) fn line(&self) -> Option<String> {
        self.lines.recv_timeout(LONG).ok()
    }

    /// Kills it (SIGKILL), and returns what it had said beyond what was read.
    pub(crate) fn kill(&mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.lines.iter().collect()
    }

    /// Kills it some microseconds after it has said so many lines, and returns all it has said.
    pub(crate) fn kill_after(&mut self, lines: usize, micros: u64) -> Vec<String> {
        let mut said = Vec::new();
        while said.len() < lines {
            match self.line() {
                Some(line) => said.push(line),
                None => break,
            }
        }
        assert!(!said.is_empty(), "the process does not work");
        if let Ok(line) = self.lines.recv_timeout(Duration::from_micros(micros)) {
            said.push(line);
        }
        said.extend(self.kill());
        said
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Where the test fails in between.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Says a line to whoever has started this process.
pub(crate) fn say(line: &str) {
    let mut out = io::stdout().lock();
    // The test harness may have begun a line of its own.
    writeln!(out, "\n> {line}").unwrap();
    out.flush().unwrap();
}
