//! Roles of this test binary as other processes, and their kills.
//!
//! A role reports by lines on its standard output. A written line has left the process and counts as acknowledged, even
//! if a kill follows at once.

#![allow(dead_code, reason = "every test binary uses its own part of this")]

use super::harness::ROLE;
use std::{
    fmt::Display,
    io::{self, BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

/// Longest wait for a line of a process.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A helper process, killed at the latest when dropped.
pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
}

/// Questions to a process and its answers, for a thread other than the killer's.
pub(crate) struct Dialogue {
    stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Process {
    /// Starts this binary in a role, with these variables in its environment.
    pub(crate) fn start(role: &str, variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env(ROLE, role)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            // An unfinished line has not left the process.
            while stdout.read_line(&mut line).is_ok() && line.ends_with('\n') {
                let _ = sender.send(line.trim_end().to_owned());
                line.clear();
            }
        });
        Self { child, lines }
    }

    /// Writes lines to its standard input and closes the input.
    pub(crate) fn give(&mut self, lines: &[impl Display]) {
        let mut stdin = self.child.stdin.take().unwrap();
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        // A killed process leaves input unread, and then writing fails.
        std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    }

    /// Splits off its input and its unread lines.
    pub(crate) fn dialogue(&mut self) -> Dialogue {
        let (_, none) = channel();
        Dialogue {
            stdin: self.child.stdin.take().unwrap(),
            lines: std::mem::replace(&mut self.lines, none),
        }
    }

    /// The next line, or `None` at the end of its output.
    pub(crate) fn line(&self) -> Option<String> {
        self.lines.recv_timeout(TIMEOUT).ok()
    }

    /// Waits for its end and returns the unread lines. Panics if the process fails.
    pub(crate) fn finish(&mut self) -> Vec<String> {
        let lines = std::iter::from_fn(|| self.line()).collect();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "the process ends with {status}");
        lines
    }

    /// Kills the process (SIGKILL) and returns the unread lines.
    pub(crate) fn kill(&mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.lines.iter().collect()
    }

    /// Kills the process `micros` microseconds after its line number `lines`, and returns all its lines.
    pub(crate) fn kill_after(&mut self, lines: usize, micros: u64) -> Vec<String> {
        let mut said = Vec::new();
        while said.len() < lines {
            match self.line() {
                Some(line) => said.push(line),
                None => break,
            }
        }
        assert!(!said.is_empty(), "the process prints nothing");
        if let Ok(line) = self.lines.recv_timeout(Duration::from_micros(micros)) {
            said.push(line);
        }
        said.extend(self.kill());
        said
    }
}

impl Dialogue {
    /// Writes a line and returns the next line of the process. `None` after its end.
    pub(crate) fn ask(&mut self, question: &str) -> Option<String> {
        writeln!(self.stdin, "{question}").ok()?;
        self.lines.recv_timeout(TIMEOUT).ok()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A failed test leaves the process running.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Prints a line to the test of this process.
pub(crate) fn say(line: &str) {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}
