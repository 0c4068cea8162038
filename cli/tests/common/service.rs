//! A service as a process that can be killed and started again.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Arc, PoisonError, RwLock},
};

use serde_json::Value;

use super::http::request;

/// Where a service answers now. It changes when it is started again.
#[derive(Clone, Default)]
pub(crate) struct Url(Arc<RwLock<String>>);

impl Url {
    pub(crate) fn get(&self) -> String {
        let url = self.0.read();
        url.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, url: String) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = url;
    }
}

pub(crate) struct Service {
    command: Box<dyn Fn() -> Command>,
    log: PathBuf,
    pub(crate) url: Url,
    running: Option<(Child, BufReader<ChildStdout>)>,
}

impl Service {
    /// Starts a service whose command prints where it listens, and logs into this file.
    pub(crate) fn start(command: impl Fn() -> Command + 'static, log: PathBuf) -> Self {
        let mut service = Self {
            command: Box::new(command),
            log,
            url: Url::default(),
            running: None,
        };
        service.launch();
        service
    }

    fn launch(&mut self) {
        let log = File::options().create(true).append(true).open(&self.log);
        let mut child = (self.command)()
            .stdout(Stdio::piped())
            .stderr(log.expect("a log"))
            .spawn()
            .expect("the program runs");
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        let said: Value = serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("it does not listen: {}", self.log()));
        let url = said["listening"].as_str().expect("an address");
        self.url.set(url.to_owned());
        self.running = Some((child, stdout));
    }

    /// Kills it with signal 9, and starts it again.
    pub(crate) fn kill_and_restart(&mut self) {
        self.kill();
        self.launch();
    }

    fn kill(&mut self) {
        if let Some((mut child, _)) = self.running.take() {
            // It must not have ended by itself.
            assert!(
                child.try_wait().expect("a child").is_none(),
                "{}",
                self.log()
            );
            child.kill().expect("it can be killed");
            child.wait().expect("it has ended");
        }
    }

    /// Ends it in order.
    pub(crate) fn stop(&mut self) {
        let (mut child, _) = self.running.take().expect("it runs");
        let kill = Command::new("kill").arg(child.id().to_string()).status();
        assert!(kill.expect("kill runs").success());
        let status = child.wait().expect("it has ended");
        assert!(status.success(), "{status}: {}", self.log());
    }

    /// What it answers, which is to be good.
    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, body) = request(&self.url.get(), "GET", path, None)
            .unwrap_or_else(|error| panic!("{path}: {error}: {}", self.log()));
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// The end of what it has logged.
    pub(crate) fn log(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some((mut child, _)) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
